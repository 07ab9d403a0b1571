// Package azuredevops reads Azure DevOps Services and Server.
//
// A [Client] is one organization seen with one credential. Package rest knows how to
// ask it, rawjson cuts and splices the answers, content reads files, and hooks looks
// after the service hooks. [Bind] turns a kind and the selector of a mapping into a
// [Listing]; [Listing.Records] lists the records of that kind, as the bytes that
// Azure DevOps sent, and takes the parents that several kinds share (projects,
// repositories, file trees) from a [Snapshot].
//
// An error says "unknown", never "empty": see [ScopeError] and [ErrNotFound].
// The package does not map records to entities and knows nothing of Port.
//
// A new kind is one file: a row of data, given to register, and a function that
// composes the primitives perProject, pages, skipPages and each. See
// kind_pipeline.go. What its events change is added to event_change.go.
package azuredevops
