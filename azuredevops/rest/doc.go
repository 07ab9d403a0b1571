// Package rest is how to ask Azure DevOps Services and Server.
//
// A [Client] is one organization seen with one credential. [Client.Send] is the
// only way to the service: every request is signed in, limited, repeated where
// that may help, asked for in a version that the service has, and judged. What
// comes back is a [Page] of bytes or an [Error] that says what it means.
// [Sender] follows lists to their end. What the answers are about is not known
// here.
package rest
