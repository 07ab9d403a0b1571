package gitops_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/ado-port/ado-port/azuredevops"
	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping/resync/live/gitops"
	"github.com/ado-port/ado-port/port/porttest"
)

// eachMemory runs a test with a memory of the process's own, and with one that several
// processes share.
func eachMemory(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	t.Parallel()
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprint("shared ", shared), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if shared {
				b.config.Store, b.config.StateDirectory = &sharedMemory{texts: map[string]string{}}, ""
				b.restart()
			}
			test(t, b)
		})
	}
}

// A sharedMemory is what several processes share.
type sharedMemory struct {
	turn  sync.Mutex // of Lock
	mu    sync.Mutex
	texts map[string]string
}

func (s *sharedMemory) All(context.Context) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.texts), nil
}

func (s *sharedMemory) Get(_ context.Context, id string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.texts[id], nil
}

func (s *sharedMemory) Put(_ context.Context, id, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts[id] = text
	return nil
}

func (s *sharedMemory) Lock(context.Context, string) (end func(), err error) {
	s.turn.Lock()
	return s.turn.Unlock, nil
}

// Whoever declares an entity keeps it, in whichever order the pushes are told.
func TestTwoRepositories(t *testing.T) {
	eachMemory(t, func(t *testing.T, b *bench) {
		t.Helper()
		other := b.repo.Project().AddRepository("other")
		told := func(r *ado.Repository, files ado.Files) {
			t.Helper()
			if files != nil {
				r.Push("main", files)
			}
			b.mustDo(b.of(r, "refs/heads/main", zeros, zeros))
		}
		told(b.repo, ado.Files{"port.yml": both})
		told(other, ado.Files{"port.yml": onlyB})
		told(b.repo, ado.Files{"port.yml": onlyA}) // b has moved
		b.want("service/a tool/b")
		told(other, nil)
		told(b.repo, nil)
		b.restart()
		told(b.repo, ado.Files{"port.yml": both}) // both declare it
		told(other, ado.Files{"port.yml": ""})
		b.want("service/a tool/b")
		told(other, ado.Files{"port.yml": onlyB + "properties: {doc: file://nope}\n"}) // declared, but not written
		told(b.repo, ado.Files{"port.yml": onlyA})
		b.want("service/a tool/b")
		told(other, ado.Files{"port.yml": ""})
		b.want("service/a")
	})
}

// An entity that moves while both pushes are handled at once stays.
func TestMovesAtOnce(t *testing.T) {
	eachMemory(t, func(t *testing.T, b *bench) {
		t.Helper()
		other := b.repo.Project().AddRepository("other")
		from, to := b.repo, other
		b.pushed(ado.Files{"port.yml": onlyB})
		other.Push("main", ado.Files{"README.md": "x"})
		for range 10 {
			from.Push("main", ado.Files{"port.yml": ""})
			to.Push("main", ado.Files{"port.yml": onlyB})
			var all sync.WaitGroup
			for _, r := range []*ado.Repository{from, to, from, to} {
				p := b.of(r, "refs/heads/main", zeros, zeros)
				all.Go(func() {
					if err := b.do(p); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			b.want("tool/b")
			from, to = to, from
		}
	})
}

// Without its memory GitOps deletes nothing that it cannot prove, says so, and
// remembers from then on.
func TestLostMemory(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(b *bench) error{
		"gone":      func(b *bench) error { return os.Remove(b.memory()) },
		"empty":     func(b *bench) error { return os.Truncate(b.memory(), 0) },
		"cut":       func(b *bench) error { return os.Truncate(b.memory(), 120) },
		"other":     func(b *bench) error { return os.WriteFile(b.memory(), []byte("{}"), 0o600) },
		"no file":   func(b *bench) error { _ = os.Remove(b.memory()); return os.Mkdir(b.memory(), 0o700) },
		"in memory": func(b *bench) error { b.config.StateDirectory = ""; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.pushed(ado.Files{"port.yml": both})
			b.log.Reset()
			if err := lose(b); err != nil {
				t.Fatal(err)
			}
			b.restart()
			b.pushed(ado.Files{"port.yml": "{identifier: c, blueprint: tool}"})
			b.want("service/a tool/b tool/c")
			if name != "gone" && name != "in memory" {
				b.logged("is not known any more")
			}
			b.pushed(ado.Files{"port.yml": onlyA})
			b.want("service/a tool/b")
			if name == "no file" {
				b.logged("not remembered beyond this process")
			}
			if name == "no file" { // the folder was in the way, and is removed with the next try
				b.restart()
				b.pushed(ado.Files{"port.yml": "{identifier: d, blueprint: tool}"})
				b.pushed(ado.Files{"port.yml": onlyA})
				b.want("service/a tool/b")
			}
			if left, _ := os.ReadDir(b.config.StateDirectory); b.config.StateDirectory != "" && len(left) != 1 {
				t.Errorf("left in the state directory: %v", left)
			}
		})
	}
}

// A spec under another name declares what counts; the former one is none any more.
func TestRenamedSpecPath(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.pushed(ado.Files{"port.yml": onlyA + "---\n" + onlyB, "catalog.yml": onlyB + "title: B\n"})
	b.mapping = `{"specPath":"catalog.yml","resources":[]}`
	b.mustDo(b.of(b.repo, "refs/heads/main", zeros, c.ID)) // the same tip, read in another way
	b.want("tool/b")
	if e, _ := b.port.Entity("tool", "b"); e.Title != "B" {
		t.Errorf("title = %q", e.Title)
	}
	b.mapping = `{"specPath":[],"resources":[]}`
	b.repo.Push("main", ado.Files{"catalog.yml": ""})
	b.mustDo(b.push())
	b.want("tool/b")
}

// Paths with dots at their beginning count from the folder of the spec.
func TestRelativePaths(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = `{"specPath":"meta/port.yml","resources":[]}`
	b.pushed(ado.Files{
		"meta/port.yml":  onlyA + "properties: {doc: 'file://./README.md', lang: 'file://../x/y', config: file://c.json}\n---\n" + onlyB + "properties: {doc: 'file://../../x'}\n",
		"meta/README.md": "of meta", "README.md": "of the root", "x/y": "go", "c.json": "{}", "meta/c.json": "1",
	})
	b.want("service/a")
	if e, _ := b.port.Entity("service", "a"); e.Property("doc") != `"of meta"` || e.Property("lang") != `"go"` || e.Property("config") != "{}" {
		t.Errorf("doc %s, lang %s, config %s", e.Property("doc"), e.Property("lang"), e.Property("config"))
	}
	b.logged("../../x is not a file in the repository")
}

// What others refer to stays, and goes with the next push after they have ceased to.
func TestReferredIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mapping = `{"createMissingRelatedEntities":true,"resources":[]}`
	b.pushed(ado.Files{"port.yml": both})
	other := b.repo.Project().AddRepository("other")
	other.Push("main", ado.Files{"port.yml": "{identifier: c, blueprint: tool, relations: {uses: [a]}}"})
	b.mustDo(b.of(other, "refs/heads/main", zeros, zeros))
	b.pushed(ado.Files{"port.yml": ""})
	b.want("service/a tool/c")
	other.Push("main", ado.Files{"port.yml": "{identifier: c, blueprint: tool, relations: {uses: []}}"})
	b.mustDo(b.of(other, "refs/heads/main", zeros, zeros))
	b.pushed(ado.Files{"README.md": "x"})
	b.want("tool/c")
}

// Without merging entities are written as they are declared, once.
func TestWithoutMerge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.mapping = `{"enableMergeEntity":false,"resources":[]}`
		b.pushed(ado.Files{"port.yml": both})
		n := b.port.Writes()
		b.pushed(ado.Files{"README.md": "x"})
		if b.port.Writes() != n {
			t.Error("a push beside the specs was written")
		}
		b.port.Fault(porttest.Status(bulkRoute, 500))
		b.repo.Push("main", ado.Files{"port.yml": onlyA})
		if err := b.do(b.push()); err == nil {
			t.Error("no error")
		}
		b.want("service/a tool/b")
	})
}

// pushes reads deliveries, and counts what is to be looked at.
func pushes(t *testing.T, bodies ...string) gitops.Pushes {
	t.Helper()
	var all gitops.Pushes
	for _, body := range bodies {
		ev, err := azuredevops.ParseEvent([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		all.Add(&ev)
	}
	return all
}

func TestPushes(t *testing.T) {
	t.Parallel()
	const (
		one = `"repository":{"id":"AAAAAAAA-1111-1111-1111-111111111111","project":{"id":"11111111-1111-1111-1111-111111111111"}}`
		two = `"repository":{"id":"22222222-1111-1111-1111-111111111111","project":{"id":"11111111-1111-1111-1111-111111111111"}}`
	)
	push := func(resource string) string {
		return `{"eventType":"git.push","publisherId":"tfs","resource":{` + resource + `}}`
	}
	all := pushes(t,
		push(one+`,"refUpdates":[{"name":"refs/heads/main"},{"name":7},null]`), push(strings.ToLower(one)+`,"refUpdates":[{"name":"refs/heads/dev"}]`),
		push(two), push(two+`,"refUpdates":{}`), push(`"refUpdates":[{"name":"refs/heads/main"}]`),
		push(`"repository":{"id":"22222222-1111-1111-1111-111111111111"},"refUpdates":[]`), strings.Replace(push(two), "git.push", "git.repo.created", 1),
	)
	if len(all.List) != 2 || all.List[0].Repository != "aaaaaaaa-1111-1111-1111-111111111111" {
		t.Errorf("%d repositories: %+v", len(all.List), all.List)
	}
}

// More refs than are told apart mean the repository; however many there are, each is
// looked at once.
func TestVeryManyRefs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.repo.Push("main", ado.Files{"port.yml": onlyA})
	var updates strings.Builder
	for i := range 2_000 {
		fmt.Fprintf(&updates, `,{"name":"refs/heads/r%d","oldObjectId":%q,"newObjectId":%[2]q}`, i, zeros)
	}
	p := tell(t, told{b.repo.Project().ID, strconv.Quote(b.repo.ID), "", "[" + updates.String()[1:] + "]"})
	b.mustDo(p)
	b.want("service/a")
}
