package azuredevops

import (
	"context"
	"iter"
	"slices"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

var _ = register(row[repositorySelector]{
	Name: "repository", List: listRepositories,
	Wants:  func(sel repositorySelector) []want { return wantFiles(sel.IncludedFiles) },
	Events: inRepository("git.push", "git.repo.created", "git.repo.forked"),
})

type repositorySelector struct {
	IncludedFiles []string `json:"includedFiles"`
}

// listRepositories lists the repositories of every project, disabled ones included,
// with `__includedFiles` when there are any to include.
func listRepositories(l *lister, sel repositorySelector) stream[Record] {
	included := unique(sel.IncludedFiles)
	record := func(r *repository) Record { return l.record(r.JSON, r.scope(), r.ID, rawjson.Members{}) }
	if len(included)+len(l.files) > 0 {
		return each(wideRecords, l.eachRepository, one(func(ctx context.Context, r *repository) (Record, error) {
			return l.withFiles(ctx, r, record(r), included), nil
		}))
	}
	return func(ctx context.Context) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			for r, err := range l.eachRepository(ctx) {
				var rec Record
				if err == nil {
					rec = record(r)
				}
				if !yield(rec, err) {
					return
				}
			}
		}
	}
}

// unique drops repetitions.
func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
