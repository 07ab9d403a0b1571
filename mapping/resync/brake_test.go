package resync_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/mapping/resync"
)

// A mass of entities that vanish although the mapping stayed the same stay, until
// somebody confirms it.
func TestBrake(t *testing.T) {
	t.Parallel()
	other := strings.Replace(projects, `"query":"true"`, `"query":"true and true"`, 1)
	unwritten := strings.Replace(repositories, `\"repo\"`, `\"task\"`, 1)
	for name, tt := range map[string]struct {
		before  int // repositories besides four
		after   string
		brake   float64
		state   func(t *testing.T, file string)
		stays   bool
		unknown bool
	}{
		"vanished":                  {16, doc(repositories, projects), 0, nil, true, false},
		"fewer than 20":             {15, doc(repositories, projects), 0, nil, false, false},
		"confirmed":                 {16, doc(repositories, projects), 1, nil, false, false},
		"more than a smaller share": {16, doc(repositories, projects), 0.5, nil, true, false},
		"another block has changed": {16, doc(repositories, other), 0, nil, true, false},
		"its block has changed":     {16, doc(strings.Replace(repositories, ".project.name", ".name", 1), projects), 0, nil, false, false},
		"no block writes it":        {16, doc(unwritten, projects), 0, nil, false, false},
		"names in another order":    {16, doc(`{"port":`+strings.TrimSuffix(strings.SplitN(repositories, `"port":`, 2)[1], "}")+`,"selector":{"query":"true"},"kind":"repository"}`, projects), 0, nil, true, false},
		"nothing is remembered":     {16, doc(repositories, projects), 0, func(t *testing.T, file string) { t.Helper(); must(t, os.Remove(file)) }, true, true},
		"the file is damaged":       {16, doc(repositories, projects), 0, func(t *testing.T, file string) { t.Helper(); must(t, os.Truncate(file, 5)) }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.state, b.mapping = t.TempDir(), freely(doc(repositories, projects))
			for i := range tt.before {
				b.world.Project("Alpha").AddRepository(fmt.Sprint("more-", i))
			}
			b.resync(resync.StateCompleted)
			for _, p := range b.world.Projects {
				for len(p.Repositories) > 0 && !(p.Name == "Beta" && len(p.Repositories) == 1) {
					p.Repositories[0].Delete()
				}
			}
			if tt.state != nil {
				tt.state(t, filepath.Join(b.state, "completed.json"))
			}
			b.mapping = freely(tt.after)
			b.config = func(cfg *resync.Config) { cfg.DeletionBrake = tt.brake }
			for range 2 { // once braked, it stays braked
				sum := b.resync(resync.StateCompleted)
				gone := tt.before + 3
				if name == "no block writes it" {
					gone++
				}
				if !tt.stays {
					if sum.Total.Deleted != int64(gone) || sum.Held() != 0 {
						t.Fatalf("%d deleted, %d held, want %d gone", sum.Total.Deleted, sum.Held(), gone)
					}
					return
				}
				if sum.Total.Deleted != 0 || held(sum, resync.HoldBrake) != gone || sum.Held() != gone || len(sum.NotDeleted) != 1 {
					t.Fatalf("%d deleted, not deleted: %+v", sum.Total.Deleted, sum.NotDeleted)
				}
				why := sum.NotDeleted[0].String()
				if !strings.Contains(why, "OCEAN__DELETION_BRAKE_PER_BLUEPRINT=1") || tt.unknown != strings.Contains(why, "not known") {
					t.Errorf("the reason is %q", why)
				}
				tt.unknown = false // from now on it is remembered
			}
			if err := b.runner().Once(t.Context(), 0, true); err == nil || !strings.Contains(err.Error(), "repo entities") {
				t.Errorf("a strict run that does not delete ends with %v", err)
			}
			if err := b.runner().Once(t.Context(), 0, false); err != nil {
				t.Error(err)
			}
		})
	}
}

// freely lifts the threshold of a mapping.
func freely(doc string) string { return `{"entityDeletionThreshold":1,` + doc[1:] }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
