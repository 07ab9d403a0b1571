package gitops_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port/porttest"
)

func TestCancelled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.repo.Push("main", ado.Files{"port.yml": both})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.doIn(ctx, b.push()); err == nil {
		t.Error("no error of a cancelled context")
	}
}

// What cannot be read is worth another try, and is not absent: nothing is deleted
// until everything has been read.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	type faults struct {
		ado  *ado.Fault
		port porttest.Rule
	}
	for name, fault := range map[string]faults{
		"spec 500": {ado: ado.Status(itemsRoute, 500)}, "spec 503": {ado: ado.Status(itemsRoute, 503)}, "spec 403": {ado: ado.Status(itemsRoute, 403)},
		"spec 401":                  {ado: ado.Status(itemsRoute, 401)},
		"spec 404 without a reason": {ado: ado.Answer(itemsRoute, 404, "application/json", `{}`)},
		"no such commit":            {ado: ado.Answer(itemsRoute, 404, "application/json", `{"typeKey":"GitUnresolvableToCommitException","message":"TF401175: no"}`)},
		"spec signed out":           {ado: ado.SignInHTML(itemsRoute)}, "spec truncated": {ado: ado.Truncate(itemsRoute)}, "spec reset": {ado: ado.Reset(itemsRoute)},
		"tip 500":        {ado: ado.Status(refsRoute, 500)},
		"tip 404":        {ado: ado.Status(refsRoute, 404)},
		"repository 500": {ado: ado.Status(repositoryRoute, 500)},
		"throttled":      {ado: ado.RateLimited(itemsRoute, 0)},
		"search 500":     {port: porttest.Status(searchRoute, http.StatusInternalServerError)},
		"upsert 500":     {port: porttest.Status(bulkRoute, http.StatusInternalServerError)},
		"delete 500":     {port: porttest.Status(deleteRoute, http.StatusInternalServerError)},
		"nothing found":  {port: porttest.HTML(searchRoute)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.pushed(ado.Files{"port.yml": both})
				b.repo.Push("main", ado.Files{"port.yml": onlyA + "title: New\n"})
				time.Sleep(time.Minute) // what is known of the repository is out of date
				if fault.ado != nil {
					b.ado.Fault(fault.ado)
				} else {
					b.port.Fault(fault.port)
				}
				if err := b.do(b.push()); err == nil {
					t.Errorf("no error\n%s", b.log.String())
				}
				b.want("service/a tool/b")
				b.ado.ClearFaults()
				b.port.ClearFaults()
				b.restart()
				b.mustDo(b.push())
				b.want("service/a")
				if e, _ := b.port.Entity("service", "a"); e.Title != "New" {
					t.Errorf("title = %s", e.Title)
				}
			})
		})
	}
}

// What a push has written that did not come to its end is taken away by a later
// one, also of another process.
func TestBegunPush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.pushed(ado.Files{"port.yml": onlyA})
		b.port.Fault(porttest.Status(searchRoute, 500).After(2)) // after the comparisons
		b.repo.Push("main", ado.Files{"port.yml": onlyB + "---\n{identifier: c, blueprint: service}\n"})
		if err := b.do(b.push()); err == nil {
			t.Error("no error")
		}
		b.want("service/a service/c tool/b")
		b.port.ClearFaults()
		b.restart()
		b.pushed(ado.Files{"port.yml": onlyB})
		b.want("tool/b")
	})
}

// A reference that cannot be read holds back its entity and all deletions.
func TestUnreadableReference(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.pushed(ado.Files{"port.yml": both + "- {identifier: gone, blueprint: tool}\n", "doc.md": "x"})
		b.repo.Push("main", ado.Files{"port.yml": onlyA + "properties: {doc: file://doc.md}\n---\n" + onlyB + "title: B\n"})
		b.ado.Fault(ado.Status(itemsRoute, 500).Query("path", "/doc.md"))
		if err := b.do(b.push()); err == nil {
			t.Error("no error")
		}
		b.want("service/a tool/b tool/gone")
		if e, _ := b.port.Entity("tool", "b"); e.Title != "B" {
			t.Error("b does not depend on the file")
		}
		b.ado.ClearFaults()
		b.mustDo(b.push())
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
	b.port.ClearFaults()
	b.pushed(ado.Files{"README.md": "x"}) // it is remembered, and tried again
	b.want("tool/b")
}
