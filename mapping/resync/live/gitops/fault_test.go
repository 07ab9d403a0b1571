package gitops_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port/porttest"
)

func TestCancelled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.repo.Push("main", ado.Files{"port.yml": both})
	m, err := mapping.Parse([]byte(b.mapping), mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.gitops.Push(ctx, b.org, b.between(nil, c), m, catalog.Cause{Event: catalog.EventLive, ID: "event", Type: "git.push"}); err == nil {
		t.Error("no error of a cancelled context")
	}
}

// What cannot be read is worth another try, and is not absent: nothing is deleted
// until everything has been read.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	type faults struct {
		ado  *ado.Fault
		port *porttest.Rule
	}
	rule := func(r porttest.Rule) *porttest.Rule { return &r }
	at := func(f func(string) *ado.Fault, which string) func(old, now *ado.Commit) faults {
		return func(old, now *ado.Commit) faults {
			commit := now
			if which == "old" {
				commit = old
			}
			return faults{ado: f(itemsRoute).Query("version", commit.ID)}
		}
	}
	status := func(code int) func(string) *ado.Fault {
		return func(p string) *ado.Fault { return ado.Status(p, code) }
	}
	always := func(f faults) func(_, _ *ado.Commit) faults { return func(_, _ *ado.Commit) faults { return f } }
	for name, fault := range map[string]func(old, now *ado.Commit) faults{
		"new 500": at(status(500), "new"), "new 503": at(status(503), "new"), "new 403": at(status(403), "new"), "new 401": at(status(401), "new"),
		"new 404 without a reason": at(func(p string) *ado.Fault { return ado.Answer(p, 404, "application/json", `{}`) }, "new"),
		"new signed out":           at(ado.SignInHTML, "new"), "new truncated": at(ado.Truncate, "new"), "new reset": at(ado.Reset, "new"),
		"old 500": at(status(500), "old"), "old truncated": at(ado.Truncate, "old"),
		"tip 500":       always(faults{ado: ado.Status(refsRoute, 500)}),
		"tip 404":       always(faults{ado: ado.Status(refsRoute, 404)}),
		"throttled":     always(faults{ado: ado.RateLimited(itemsRoute, 0)}),
		"search 500":    always(faults{port: rule(porttest.Status(searchRoute, http.StatusInternalServerError))}),
		"upsert 500":    always(faults{port: rule(porttest.Status(bulkRoute, http.StatusInternalServerError))}),
		"delete 500":    always(faults{port: rule(porttest.Status(deleteRoute, http.StatusInternalServerError))}),
		"nothing found": always(faults{port: rule(porttest.HTML(searchRoute))}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				old := b.pushed(ado.Files{"port.yml": both})
				now := b.repo.Push("main", ado.Files{"port.yml": onlyA + "title: New\n"})
				f := fault(old, now)
				if f.ado != nil {
					b.ado.Fault(f.ado)
				}
				if f.port != nil {
					b.port.Fault(*f.port)
				}
				if err := b.do(b.between(old, now)); err == nil {
					t.Errorf("no error\n%s", b.log.String())
				}
				b.want("service/a tool/b")
				b.ado.ClearFaults()
				b.port.ClearFaults()
				b.mustDo(b.between(old, now))
				b.want("service/a")
				if e, _ := b.port.Entity("service", "a"); e.Title != "New" {
					t.Errorf("title = %s", e.Title)
				}
			})
		})
	}
}

// A push that was begun is not forgotten when further ones come to it.
func TestBegunPush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.pushed(ado.Files{"port.yml": onlyA})
		old := b.repo.Branch("main")
		b.port.Fault(porttest.Status(searchRoute, 500).After(2)) // after the comparisons
		now := b.repo.Push("main", ado.Files{"port.yml": onlyB + "---\n{identifier: c, blueprint: service}\n"})
		if err := b.do(b.between(old, now)); err == nil {
			t.Error("no error")
		}
		b.want("service/a service/c tool/b")
		b.port.ClearFaults()
		last := b.repo.Push("main", ado.Files{"port.yml": onlyB})
		b.mustDo(b.between(old, last)) // both in one
		b.want("tool/b")
	})
}

// A reference that cannot be read holds back its entity and all deletions.
func TestUnreadableReference(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		old := b.pushed(ado.Files{"port.yml": both + "- {identifier: gone, blueprint: tool}\n", "doc.md": "x"})
		now := b.repo.Push("main", ado.Files{"port.yml": onlyA + "properties: {doc: file://doc.md}\n---\n" + onlyB + "title: B\n"})
		b.ado.Fault(ado.Status(itemsRoute, 500).Query("path", "/doc.md"))
		if err := b.do(b.between(old, now)); err == nil {
			t.Error("no error")
		}
		b.want("service/a tool/b tool/gone")
		if e, _ := b.port.Entity("tool", "b"); e.Title != "B" {
			t.Error("b does not depend on the file")
		}
		b.ado.ClearFaults()
		b.mustDo(b.between(old, now))
		b.want("service/a tool/b")
		if e, _ := b.port.Entity("service", "a"); e.Property("doc") != `"x"` {
			t.Errorf("doc = %s", e.Property("doc"))
		}
	})
}

// A spec that is not understood deletes nothing, and once it is understood again
// nothing is left over.
func TestNotUnderstood(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{
		"no yaml": "a: [1\n", "a text": "hello", "no blueprint": "identifier: x\n", "no identifier": "blueprint: tool\n",
		"list of texts": "[a, b]", "identifier not a text": "{identifier: [1], blueprint: tool}", "not UTF-8": "\xff", "too large": strings.Repeat("# x\n", 1<<19),
		"unknown tag": "identifier: !Ref x\nblueprint: tool\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.pushed(ado.Files{"port.yml": both})
			b.pushed(ado.Files{"port.yml": spec})
			b.want("service/a tool/b")
			b.logged("port.yml")
			b.logged("nothing is deleted")
			b.pushed(ado.Files{"port.yml": onlyA})
			b.want("service/a")
		})
	}
}

func TestHalfUnderstood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pushed(ado.Files{"port.yml": both})
	b.pushed(ado.Files{"port.yml": onlyA + "title: New\n---\nidentifier: x\n"})
	b.want("service/a tool/b")
	if e, _ := b.port.Entity("service", "a"); e.Title != "New" {
		t.Errorf("title = %q: what is understood is written", e.Title)
	}
	b.pushed(ado.Files{"port.yml": onlyA + "relations: 5\n"}) // it is known which one
	b.want("service/a")
}

// An old commit that is not there any more holds nothing back.
func TestForcedPush(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pushed(ado.Files{"port.yml": both})
	p := b.between(nil, b.repo.Push("main", ado.Files{"port.yml": onlyA + "title: New\n"}))
	p.Old = strings.Repeat("1", 40)
	b.mustDo(p)
	b.want("service/a tool/b")
	b.logged("is not there")
	if e, _ := b.port.Entity("service", "a"); e.Title != "New" {
		t.Errorf("title = %q", e.Title)
	}
}

func TestRefusedEntities(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pushed(ado.Files{"port.yml": onlyB})
	b.pushed(ado.Files{"port.yml": "{identifier: 'not valid!', blueprint: service}\n---\n{identifier: x, blueprint: nope}\n---\n" + onlyA})
	b.want("service/a")
	b.logged("refused by Port")
	b.port.Fault(porttest.Status(deleteRoute, 403))
	b.pushed(ado.Files{"port.yml": onlyB})
	b.want("service/a tool/b")
	b.logged("were not deleted")
}
