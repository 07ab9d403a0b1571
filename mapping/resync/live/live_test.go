package live_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops"
	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync/live"
)

func TestPush(t *testing.T) {
	on(t, repositories+","+branches, func(_ *testing.T, b *bench) {
		main, feature, other := b.checkout.Branch("main").ID, b.checkout.Branch("feature").ID, b.other.Branch("main").ID
		b.want("branch/checkout/feature a="+feature, "branch/checkout/main a="+main, "branch/other/main a="+other, "repo/checkout a=checkout", "repo/other a=other")
		main = b.checkout.Push("main", ado.Files{"a": "b"}).ID
		b.mustHandle()
		b.want("branch/checkout/feature a="+feature, "branch/checkout/main a="+main, "branch/other/main a="+other, "repo/checkout a=checkout", "repo/other a=other")
		hotfix := b.checkout.Push("hotfix", ado.Files{"a": "c"}).ID
		b.checkout.DeleteBranch("feature")
		b.mustHandle()
		b.want("branch/checkout/hotfix a="+hotfix, "branch/checkout/main a="+main, "branch/other/main a="+other, "repo/checkout a=checkout", "repo/other a=other")
		b.checkout.DeleteBranch("hotfix") // which only the journal knows
		b.mustHandle()
		b.want("branch/checkout/main a="+main, "branch/other/main a="+other, "repo/checkout a=checkout", "repo/other a=other")
	})
}

func TestRenameAndDeletion(t *testing.T) {
	tips := block("branch", all, "branch", `".__repository.name + \"/\" + .name"`, ``)
	on(t, repositories+","+tips, func(_ *testing.T, b *bench) {
		b.checkout.Rename("till")
		b.mustHandle()
		b.want("branch/other/main", "branch/till/feature", "branch/till/main", "repo/other a=other", "repo/till a=till")
		b.checkout.Delete()
		b.mustHandle()
		b.want("branch/other/main", "repo/other a=other")
	})
}

// An entity stays as long as a record of any repository makes it.
func TestMoveBetweenRepositories(t *testing.T) {
	on(t, bareBranches, func(_ *testing.T, b *bench) {
		b.want("branch/feature", "branch/main")
		b.checkout.DeleteBranch("main") // other has one
		b.mustHandle()
		b.want("branch/feature", "branch/main")
		b.other.Push("feature", ado.Files{"a": "b"})
		b.checkout.DeleteBranch("feature")
		b.mustHandle()
		b.want("branch/feature", "branch/main")
		b.other.DeleteBranch("feature")
		b.mustHandle()
		b.want("branch/main")
		b.other.DeleteBranch("main")
		b.mustHandle()
		b.want()
	})
}

// An event that is about one run says nothing of the others.
func TestPartOfAPipeline(t *testing.T) {
	runs := block("pipeline-run", all, "build", `".id | tostring"`, ``)
	on(t, runs, func(t *testing.T, b *bench) {
		b.pipeline.QueueBuild("").Start()
		second := b.pipeline.QueueBuild("")
		second.Start()
		b.mustHandle()
		b.want("build/1", "build/2")
		second.Finish("failed")
		if len(b.events) == 0 {
			t.Fatal("nothing was announced")
		}
		b.mustHandle()
		b.want("build/1", "build/2")
	})
}

// Two deliveries and more about one part cost what one costs.
func TestCoalesced(t *testing.T) {
	on(t, branches, func(t *testing.T, b *bench) {
		var tip string
		for _, text := range []string{"1", "2", "3"} {
			tip = b.checkout.Push("main", ado.Files{"a": text}).ID
		}
		b.mustHandle()
		b.want("branch/checkout/feature a="+b.checkout.Branch("feature").ID, "branch/checkout/main a="+tip, "branch/other/main a="+b.other.Branch("main").ID)
		if got := b.ado.Calls(refsRoute); got != 1 {
			t.Errorf("the branches were listed %d times, want once", got)
		}
		if got := len(b.port.Requests(bulkRoute)); got != 1 {
			t.Errorf("%d requests to write, want 1", got)
		}
	})
}

func TestDuplicates(t *testing.T) {
	on(t, branches, func(t *testing.T, b *bench) {
		tip := b.checkout.Push("main", ado.Files{"a": "b"}).ID
		b.checkout.DeleteBranch("feature")
		list := b.payloads()
		for range 3 {
			if err := b.follow.Handle(t.Context(), append(list, list...)); err != nil {
				t.Fatal(err)
			}
			b.want("branch/checkout/main a="+tip, "branch/other/main a="+b.other.Branch("main").ID)
		}
		if got := len(b.port.Requests(deleteRoute)); got != 1 {
			t.Errorf("%d deletions, want 1", got)
		}
	})
}

// What the mapping does not ask for costs nothing.
func TestUnmappedKind(t *testing.T) {
	on(t, repositories, func(t *testing.T, b *bench) {
		b.project.AddWorkItem("Bug", "Totals are wrong")
		b.pipeline.QueueBuild("").Start()
		if len(b.events) == 0 {
			t.Fatal("nothing was announced")
		}
		b.mustHandle()
		if a, p := b.ado.Calls(""), len(b.port.Requests()); a+p != 0 {
			t.Errorf("%d calls to Azure DevOps and %d to Port", a, p)
		}
	})
}

func TestExcludedProject(t *testing.T) {
	on(t, repositories, func(t *testing.T, b *bench) {
		b.mapping = strings.Replace(b.mapping, "[]", `["port.yml"]`, 1)
		b.world.Edit(func() { b.project.Tags = []string{"left-out"} })
		b.project.AddRepository("secret")
		b.checkout.Push("main", ado.Files{"port.yml": "identifier: declared\nblueprint: task\n"})
		b.mustHandle()
		b.want("repo/other a=other") // a resync would leave out the repository too
		if n := b.ado.Calls(itemsRoute); n != 0 {
			t.Errorf("%d files were read", n)
		}
	})
}

func TestGitOps(t *testing.T) {
	on(t, "", func(_ *testing.T, b *bench) {
		b.mapping = strings.Replace(b.mapping, "[]", `["port.yml"]`, 1)
		b.checkout.Push("main", ado.Files{"port.yml": "identifier: declared\nblueprint: task\n"})
		b.mustHandle()
		b.want("task/declared")
		b.checkout.Push("main", ado.Files{"port.yml": "identifier: renamed\nblueprint: task\n"})
		b.ado.Fault(ado.Status(itemsRoute, 500))
		b.retry(func() { b.want("task/declared") })
		b.want("task/renamed")
	})
}

// What cannot be understood spoils nothing else.
func TestMalformed(t *testing.T) {
	on(t, branches, func(t *testing.T, b *bench) {
		b.checkout.DeleteBranch("feature")
		err := b.follow.Handle(t.Context(), append([][]byte{[]byte(`{"eventType":"git.push"}`), []byte(`no JSON`)}, b.payloads()...))
		if !errors.Is(err, live.ErrMalformed) {
			t.Errorf("error %v, want %v", err, live.ErrMalformed)
		}
		b.want("branch/checkout/main a="+b.checkout.Branch("main").ID, "branch/other/main a="+b.other.Branch("main").ID)
	})
}

func TestSeveralOrganizations(t *testing.T) {
	t.Parallel()
	bubble(t, branches, func(t *testing.T, b *bench) {
		second := ado.NewWorld("fabrikam")
		shop := second.AddProject("Shop").AddRepository("shop")
		b.serve(second)
		b.restart()
		b.resync()
		tip := shop.Push("main", ado.Files{"a": "b"}).ID
		b.checkout.DeleteBranch("feature")
		b.mustHandle()
		b.want("branch/checkout/main a="+b.checkout.Branch("main").ID, "branch/other/main a="+b.other.Branch("main").ID, "branch/shop/main a="+tip)

		unknown := ado.NewWorld("adventure-works")
		b.serve(unknown)
		b.orgs = b.orgs[:2]
		unknown.AddProject("Bikes").AddRepository("bikes").Push("main", ado.Files{"a": "b"})
		if err := b.handle(); !errors.Is(err, live.ErrMalformed) || !errors.Is(err, azuredevops.ErrNoOrganization) {
			t.Errorf("error %v of an organization that nobody knows", err)
		}

		// A subscription says more than an address.
		b.follow = live.New(live.Config{
			Organizations: b.orgs, Catalog: b.catalog, Book: b.book, Mapping: b.current,
			Registered: func(string) *azuredevops.Client { return b.orgs[1] },
		})
		tip = shop.Push("main", ado.Files{"a": "c"}).ID
		for i := range b.events {
			b.events[i].Resource = []byte(strings.ReplaceAll(string(b.events[i].Resource), "fabrikam", "nowhere"))
		}
		b.mustHandle()
		b.want("branch/checkout/main a="+b.checkout.Branch("main").ID, "branch/other/main a="+b.other.Branch("main").ID, "branch/shop/main a="+tip)
	})
}

func TestNoMapping(t *testing.T) {
	on(t, branches, func(t *testing.T, b *bench) {
		away := errors.New("Port is away")
		f := live.New(live.Config{
			Organizations: b.orgs, Catalog: b.catalog, Book: b.book,
			Mapping: func(context.Context) (*mapping.Mapping, error) { return nil, away },
		})
		b.checkout.DeleteBranch("feature")
		list := b.payloads()
		if err := f.Handle(t.Context(), list); !errors.Is(err, away) || errors.Is(err, live.ErrMalformed) {
			t.Errorf("error %v, want %v", err, away)
		}
		if len(b.port.Entities("branch")) != 3 {
			t.Error("something was deleted")
		}
		b.mapping = `{"resources":[{"kind":"no-kind","selector":{"query":"true"},"port":{"entity":{"mappings":{"identifier":".a","blueprint":"\"repo\""}}}}]}`
		if err := b.follow.Handle(t.Context(), list); !errors.Is(err, azuredevops.ErrUnknownKind) {
			t.Errorf("error %v of a kind that there is not", err)
		}
	})
}

// A gap in the deliveries is made up for by listing whole parts.
func TestRelist(t *testing.T) {
	on(t, repositories+","+bareBranches, func(t *testing.T, b *bench) {
		b.checkout.Delete()
		b.project.AddRepository("new")
		b.other.Push("hotfix", ado.Files{"a": "b"})
		b.events = nil // lost
		cause := catalog.Cause{Event: catalog.EventLive, ID: "gap", Type: "deliveries were missed"}
		at := azuredevops.Scope{Project: b.project.ID}
		changes := []azuredevops.Change{{Kind: "repository", Scope: at}, {Kind: "branch", Scope: at}, {Kind: "work-item", Scope: at}}
		if err := b.follow.Relist(t.Context(), b.orgs[0], cause, changes); err != nil {
			t.Fatal(err)
		}
		b.want("branch/hotfix", "branch/main", "repo/new a=new", "repo/other a=other")
	})
}
