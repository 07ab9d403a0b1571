package hooks

import "context"

// WantedBy is what a mapping needs events for; runs says whether the end of runs of
// pipelines is wanted whatever it is.
func WantedBy[M interface {
	Kinds() []string
	UsesGitOps() bool
}](current func(context.Context) (M, error), runs bool) func(context.Context) (Wanted, error) {
	return func(ctx context.Context) (Wanted, error) {
		m, err := current(ctx)
		if err != nil {
			return Wanted{}, err
		}
		return Wanted{Kinds: m.Kinds(), GitOps: m.UsesGitOps(), Runs: runs}, nil
	}
}
