package azuredevops

import "fmt"

// A Record is one raw REST object with the keys that a kind adds to it.
type Record struct {
	// JSON is the object as Azure DevOps sent it, key order and spelling of
	// numbers included, with the added `__…` members at its end. Read-only, as
	// several resources may share it, and valid until the next record is taken.
	JSON []byte

	// Scope says where the record came from; ID is the record itself.
	Scope Scope

	// Files holds the texts that `file://` mappings asked for, by path as
	// written behind `file://`. A nil text means that the file is absent, empty
	// or not text. A path that could not be read is not in the map but in Missing.
	Files map[string]*string

	// Missing lists what could not be read although the record refers to it. An
	// entity made of an incomplete record must not replace an existing one.
	Missing []error
}

// A Scope is a part of Azure DevOps whose content is known or unknown as a
// whole. Empty fields widen it: a Scope with only Organization is the whole
// organization.
type Scope struct {
	Organization string // the key of the organization: see OrganizationKey
	Project      string // id
	ProjectName  string // for people only
	Repository   string // id; for the members of a group, its descriptor
	// ID is the record's, unique below its kind and the fields above. Records
	// that are listed per parent, and known or unknown with it (the stages of a
	// build, the runs of a pipeline), have the id of the parent.
	ID string
}

// String names the scope for people: the project's name where it is known.
func (s Scope) String() string {
	out := s.Organization
	if s.ProjectName != "" {
		out = s.ProjectName
	} else if s.Project != "" {
		out = s.Project
	}
	if s.Repository != "" {
		out += "/" + s.Repository
	}
	if s.ID != "" {
		out += "/" + s.ID
	}
	return out
}

// A ScopeError is yielded by a listing when a part of it could not be read:
// that part is unknown, not empty. The listing goes on with the next part.
type ScopeError struct {
	Scope Scope
	Err   error
}

func (e *ScopeError) Error() string { return fmt.Sprintf("%s: %v", e.Scope, e.Err) }
func (e *ScopeError) Unwrap() error { return e.Err }
