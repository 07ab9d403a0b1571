package azuredevops

import (
	"context"
	"iter"
)

// withinFolders leaves out projects that the selector does not name.
func withinFolders(_ *lister, sel folderSelector, at *part) stream[Record] {
	if sel.in(at.project) {
		return nil
	}
	return func(context.Context) iter.Seq2[Record, error] { return func(func(Record, error) bool) {} }
}
