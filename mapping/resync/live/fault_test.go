package live_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping/resync/live"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port/porttest"
)

// A list that could not be read, or not to its end, is not an empty one.
func TestUnreadableList(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]*ado.Fault{
		"500": ado.Status(refsRoute, 500), "403": ado.Status(refsRoute, 403), "404": ado.Status(refsRoute, 404),
		"truncated": ado.Truncate(refsRoute), "malformed": ado.Malformed(refsRoute), "signed out": ado.SignInHTML(refsRoute),
	} {
		t.Run(name, func(t *testing.T) {
			on(t, branches, func(_ *testing.T, b *bench) {
				main, feature, other := b.checkout.Branch("main").ID, b.checkout.Branch("feature").ID, b.other.Branch("main").ID
				b.checkout.DeleteBranch("feature")
				b.ado.Fault(fault)
				b.retry(func() {
					b.want("branch/checkout/feature a="+feature, "branch/checkout/main a="+main, "branch/other/main a="+other)
				})
				b.want("branch/checkout/main a="+main, "branch/other/main a="+other)
			})
		})
	}
}

// Where one resource of a kind could not be listed, the others do not prove that
// something is gone.
func TestOneOfTwoListings(t *testing.T) {
	t.Parallel()
	owners := block("repository", all, "repo", `".name"`, `"properties":{"a":".name"}`)
	files := block("repository", all+`,"includedFiles":["README.md"]`, "task", `".name"`, `"properties":{"b":".__includedFiles[\"README.md\"]"}`)
	bubble(t, owners+","+files, func(_ *testing.T, b *bench) {
		b.resync()
		b.want("repo/checkout a=checkout", "repo/other a=other", "task/checkout b=# Checkout", "task/other b=# Other")
		b.checkout.Rename("till")
		b.ado.Fault(ado.Status(itemsRoute, 500), ado.Status("POST /{project}/_apis/git/repositories/{repositoryId}/itemsbatch", 500))
		b.retry(func() {
			b.wantHas("repo/checkout a=checkout")
			b.wantHas("repo/till a=till")
			b.wantHas("task/checkout b=# Checkout")
		})
		b.want("repo/other a=other", "repo/till a=till", "task/other b=# Other", "task/till b=# Checkout")
	})
}

// An incomplete record replaces nothing and proves nothing, but makes what is not
// there yet.
func TestIncompleteRecord(t *testing.T) {
	t.Parallel()
	commits := block("build", all+`,"enrichWithFirstCommit":true`, "build", `".id | tostring"`, `"properties":{"a":".result // \"none\"","b":".__firstCommit.__sha"}`)
	bubble(t, commits, func(_ *testing.T, b *bench) {
		first := b.pipeline.QueueBuild("")
		first.Start()
		b.resync()
		sha := b.checkout.Branch("main").ID
		b.want("build/1 a=none b=" + sha)
		b.ado.Fault(ado.Status(changesRoute, 500))
		first.Finish("failed")
		b.pipeline.QueueBuild("").Start()
		b.retry(func() { b.want("build/1 a=none b="+sha, "build/2 a=none b=null") })
		b.want("build/1 a=failed b="+sha, "build/2 a=none b="+sha)
	})
}

// A resource that cannot say whether it wants a record keeps what it made of it.
func TestSelectorError(t *testing.T) {
	selector := `"query":"if .name == \"broken\" then error(\"no\") else true end"`
	byID := block("repository", selector, "repo", `".id"`, `"properties":{"a":".name"}`)
	on(t, byID, func(_ *testing.T, b *bench) {
		id := b.checkout.ID
		b.checkout.Rename("broken")
		b.mustHandle()
		b.wantHas("repo/" + id + " a=checkout")
		b.checkout.Rename("mended")
		b.mustHandle()
		b.wantHas("repo/" + id + " a=mended")
	})
}

// A process that is killed while it writes has noted before what it makes, so that
// the next one knows what to take away.
func TestKillBetweenNoteAndWrite(t *testing.T) {
	for _, tt := range []struct {
		name    string
		rule    func(string) porttest.Rule
		written bool
	}{
		{"nothing was written", porttest.Reset, false},
		{"everything was written", porttest.LostConnection, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			on(t, bareBranches, func(t *testing.T, b *bench) {
				ctx, kill := context.WithCancel(t.Context())
				var after *origins.Book // as the next process finds it
				b.port.Fault(tt.rule(bulkRoute).Calling(func() {
					after = origins.Open(b.state, b.logger())
					kill()
				}).Times(1))
				b.checkout.Push("hotfix", ado.Files{"a": "b"})
				if err := b.follow.Handle(ctx, b.payloads()); err == nil {
					t.Fatal("no error of a process that was killed")
				}
				synctest.Wait() // Port handles what it has got, whoever waits for the answer
				if tt.written {
					b.want("branch/feature", "branch/hotfix", "branch/main")
				}
				b.restart()
				b.book = after
				b.follow = live.New(live.Config{Organizations: b.orgs, Catalog: b.catalog, Book: after, Mapping: b.current, Log: b.logger()})
				b.checkout.DeleteBranch("hotfix")
				b.mustHandle()
				b.want("branch/feature", "branch/main")
			})
		})
	}
}

// What Port refuses is not tried again, and keeps nothing else from being written.
func TestRefused(t *testing.T) {
	for name, property := range map[string]string{
		"not sent": `"state":".commitId // .name"`, // not among the values that the blueprint lists
		"422":      `"url":".name"`,
	} {
		t.Run(name, func(t *testing.T) {
			refused := block("branch", `"query":".name != \"fine\""`, "branch", `".name"`, `"properties":{`+property+`}`)
			fine := block("branch", `"query":".name == \"fine\""`, "branch", `".name"`, ``)
			t.Parallel()
			bubble(t, refused+","+fine, func(t *testing.T, b *bench) {
				b.checkout.Push("fine", ado.Files{"a": "b"})
				b.checkout.Push("bad", ado.Files{"a": "b"})
				b.mustHandle()
				b.want("branch/fine")
				b.logged("were not written")
				if sent := len(b.port.Requests(bulkRoute)); name == "not sent" && sent != 1 {
					t.Errorf("%d requests to write, want 1: what would be refused is not sent", sent)
				}
			})
		})
	}
}

// Whatever of Port fails in between, handling the deliveries again mends it.
func TestPortFailsInBetween(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		rule    porttest.Rule
		written bool
		deleted bool
	}{
		"write 500":    {porttest.Status(bulkRoute, 500), false, true},
		"write lost":   {porttest.LostAnswer(bulkRoute), true, true},
		"delete 500":   {porttest.Status(deleteRoute, 500), true, false},
		"delete lost":  {porttest.LostAnswer(deleteRoute), true, true},
		"search 500":   {porttest.Status(searchRoute, 500), true, false},
		"search is ad": {porttest.HTML(searchRoute), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, branches, func(_ *testing.T, b *bench) {
				main, feature, other := b.checkout.Branch("main").ID, b.checkout.Branch("feature").ID, "branch/other/main a="+b.other.Branch("main").ID
				tip := b.checkout.Push("main", ado.Files{"a": "b"}).ID
				b.checkout.DeleteBranch("feature")
				b.port.Fault(tt.rule)
				b.retry(func() {
					if tt.written {
						main = tip
					}
					want := []string{"branch/checkout/main a=" + main, other}
					if !tt.deleted {
						want = append([]string{"branch/checkout/feature a=" + feature}, want...)
					}
					b.want(want...)
				})
				b.want("branch/checkout/main a="+tip, other)
			})
		})
	}
}

// A deletion that Port refuses is not tried again at once, and not forgotten.
func TestDeletionRefused(t *testing.T) {
	on(t, bareBranches, func(_ *testing.T, b *bench) {
		b.port.Fault(porttest.Status(deleteRoute, http.StatusForbidden))
		b.checkout.DeleteBranch("feature")
		list := b.payloads()
		b.events = nil
		if err := b.follow.Handle(b.t.Context(), list); err != nil {
			b.t.Fatal(err)
		}
		b.want("branch/feature", "branch/main")
		b.logged("were not deleted")
		b.port.ClearFaults()
		b.checkout.Push("main", ado.Files{"a": "b"}) // the next event of the repository
		b.mustHandle()
		b.want("branch/main")
	})
}

// Without the book nothing is known to be gone.
func TestDamagedBook(t *testing.T) {
	on(t, repositories+","+openPulls, func(t *testing.T, b *bench) {
		if err := os.Truncate(filepath.Join(b.state, "origins"), 20); err != nil {
			t.Fatal(err)
		}
		b.pull.Abandon()
		b.checkout.Rename("till")
		if err := b.handle(); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("error %v", err)
		}
		b.want("repo/checkout a=checkout b=Feature", "repo/other a=other", "repo/till a=till")
	})
}

func TestCancelled(t *testing.T) {
	on(t, bareBranches, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.checkout.DeleteBranch("feature")
		if err := b.follow.Handle(ctx, b.payloads()); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
		b.want("branch/feature", "branch/main")
	})
}
