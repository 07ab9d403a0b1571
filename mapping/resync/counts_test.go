package resync_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping/resync"
)

// Whatever the mapping, the records and the faults are, the figures of every block
// and project add up, and so do their sums.
func TestFiguresAddUp(t *testing.T) {
	t.Parallel()
	var all resync.Counts
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 11))
		b := newBench(t)
		b.port.AddBlueprint(`{"identifier":"tiered","schema":{"properties":{"note":{"type":"string","enum":["Alpha","alpha-api"]}}},"relations":{}}`)
		b.world.Project("Alpha").AddWorkItem("Bug", "broken")
		b.world.Project("Beta").AddWorkItem("Task", "to do")
		if pick(r, true, false) {
			b.state = t.TempDir()
		}
		b.mapping = randomMapping(r)
		for i := range 3 {
			if pick(r, true, false, false) {
				b.ado.Fault(ado.Status(pick(r, reposRoute, itemsRoute), 404).In(pick(r, "Alpha", "Beta")))
			}
			sum, err := b.runner().Full(t.Context(), "test")
			if err != nil {
				t.Fatal(err)
			}
			addsUp(t, fmt.Sprintf("resync %d of mapping %d, %s", i, seed, b.mapping), sum)
			all.Add(sum.Total)
			b.ado.ClearFaults()
			b.world.Repository(repository(t, b, "alpha-api")).Push("main", ado.Files{"README.md": fmt.Sprint("changed ", i)})
			b.world.Project("Beta").AddRepository(fmt.Sprint("new-", i))
			if pick(r, true, false, false) {
				b.mapping = randomMapping(r)
			}
		}
	}
	if min(all.Filtered, all.Failed, all.Unknown, all.Written, all.Unchanged, all.Merged, all.Refused, all.Kept, all.Deleted, all.Incomplete) == 0 {
		t.Errorf("a figure was never seen: %+v", all)
	}
}

func addsUp(t *testing.T, what string, sum *resync.Summary) {
	t.Helper()
	var total resync.Counts
	for _, k := range sum.Kinds {
		var kind resync.Counts
		for _, p := range k.Projects {
			balanced(t, fmt.Sprint(what, ": ", k.Resource, " in ", p.Project), p.Counts)
			kind.Add(p.Counts)
		}
		if kind != k.Counts {
			t.Errorf("%s: the projects of %s have %+v, it has %+v", what, k.Resource, kind, k.Counts)
		}
		total.Add(kind)
	}
	for _, n := range sum.Unwritten {
		total.Deleted += int64(n)
	}
	if total != sum.Total {
		t.Errorf("%s: the blocks have %+v, the total is %+v", what, total, sum.Total)
	}
}

func balanced(t *testing.T, what string, c resync.Counts) {
	t.Helper()
	if c.Listed != c.Mapped+c.Filtered+c.Failed+c.Unknown || c.Mapped != c.Written+c.Unchanged+c.Merged+c.Refused+c.Kept {
		t.Errorf("%s: %+v does not add up", what, c)
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomMapping has blocks that filter, fail, refuse, search and write the same
// entities.
func randomMapping(r *rand.Rand) string {
	var blocks []string
	for range 1 + r.IntN(5) {
		kind := pick(r, "repository", "repository", "project", "work-item")
		name := ".name"
		if kind == "work-item" {
			name = `(.id | tostring)`
		}
		query := pick(r, "true", "true", `(`+name+` | length) % 2 == 0`, name, `.nothing == 1`)
		id := quoted(pick(r, name, name, `"one"`, `if (`+name+` | length) % 2 == 0 then null else `+name+` end`, `error("no")`))
		if pick(r, false, false, false, true) {
			id = `{"combinator":"\"and\"","rules":[{"property":"\"$title\"","operator":"\"=\"","value":` + quoted(name) + `}]}`
		}
		items := pick(r, "", "", `"itemsToParse":"[1, 2]",`, `"itemsToParse":".nothing",`, `"itemsToParse":"[]",`)
		selector := `"query":` + quoted(query)
		if kind == "repository" && pick(r, true, false) {
			selector += `,"includedFiles":["README.md"]`
		}
		blocks = append(blocks, fmt.Sprintf(`{"kind":%q,"selector":{%s},"port":{%s"entity":{"mappings":{"identifier":%s,"title":%s,"blueprint":%s,"properties":{"note":%s}%s}}}}`,
			kind, selector, items, id, quoted(name), quoted(`"`+pick(r, "repo", "repo", "project", "tiered", "nowhere")+`"`), quoted(name),
			pick(r, "", "", `,"relations":{"project":"\"nobody\""}`)))
	}
	return fmt.Sprintf(`{"createMissingRelatedEntities":%v,"enableMergeEntity":%v,"entityDeletionThreshold":1,%s`,
		pick(r, true, false), pick(r, true, false), doc(blocks...)[1:])
}

func quoted(expression string) string { return `"` + strings.ReplaceAll(expression, `"`, `\"`) + `"` }
