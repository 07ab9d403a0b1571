package live_test

import (
	"testing"

	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port/porttest"
)

// Of two records that make one entity, the one that is gone takes along what only
// it has set.
func TestWithdraw(t *testing.T) {
	pulls := block("pull-request", `"query":".status == \"active\""`, "repo", `".repository.name"`, `"properties":{"a":".repository.name","b":".title"}`)
	on(t, repositories+","+pulls, func(_ *testing.T, b *bench) {
		b.want("repo/checkout a=checkout b=Feature", "repo/other a=other")
		b.pull.Abandon()
		b.port.Fault(porttest.Status(entityRoute, 500))
		b.retry(func() { b.want("repo/checkout a=checkout b=Feature", "repo/other a=other") })
		b.want("repo/checkout a=checkout", "repo/other a=other")
	})
}

// What a record that is still there sets as well is not withdrawn, even when the
// entity has another record of that kind.
func TestWithdrawNothing(t *testing.T) {
	t.Parallel()
	titles := block("pull-request", `"query":".status == \"active\""`, "repo", `".repository.name"`, `"properties":{"b":"\"has one\""}`)
	bubble(t, repositories+","+titles, func(_ *testing.T, b *bench) {
		b.checkout.Push("second", ado.Files{"a": "b"})
		second := b.checkout.OpenPullRequest("Second", "second", "main")
		b.resync()
		b.want("repo/checkout a=checkout b=has one", "repo/other a=other")
		b.pull.Abandon()
		b.mustHandle()
		b.want("repo/checkout a=checkout b=has one", "repo/other a=other")
		second.Abandon()
		b.mustHandle()
		b.want("repo/checkout a=checkout", "repo/other a=other")
	})
}

// The value of a later block stays when an event is about the record of an earlier
// one.
func TestNeighbours(t *testing.T) {
	later := block("pull-request", `"query":".status == \"active\""`, "repo", `".repository.name"`, `"properties":{"a":".title"}`)
	on(t, repositories+","+later, func(_ *testing.T, b *bench) {
		b.want("repo/checkout a=Feature", "repo/other a=other")
		b.checkout.Push("main", ado.Files{"a": "b"})
		b.mustHandle()
		b.want("repo/checkout a=Feature", "repo/other a=other")
		b.pull.Update(func(p *ado.PullRequest) { p.Title = "Better" })
		b.mustHandle()
		b.want("repo/checkout a=Better", "repo/other a=other")
	})
}

// An entity that others refer to stays, because Port would make it again, empty.
// It goes once nothing refers to it.
func TestReferredTo(t *testing.T) {
	t.Parallel()
	tasks := block("work-item", all, "task", `".id | tostring"`, `"relations":{"of":".fields.\"System.Title\""}`)
	bubble(t, repositories+","+tasks, func(_ *testing.T, b *bench) {
		item := b.project.AddWorkItem("Bug", "checkout")
		b.resync()
		b.checkout.Delete()
		deletion := b.payloads()
		handle := func() {
			b.t.Helper()
			if err := b.follow.Handle(b.t.Context(), deletion); err != nil {
				b.t.Fatal(err)
			}
		}
		handle()
		b.want("repo/checkout a=checkout", "repo/other a=other", "task/1")
		item.Update(func(i *ado.WorkItem) { i.Title = "other" })
		b.mustHandle()
		handle()
		b.want("repo/other a=other", "task/1")
	})
}

// What somebody else has written last is neither deleted nor changed.
func TestForeign(t *testing.T) {
	on(t, repositories+","+openPulls+","+bareBranches, func(_ *testing.T, b *bench) {
		b.port.PutEntity(somebody, `{"blueprint":"branch","identifier":"feature"}`)
		b.port.PutEntity(somebody, `{"blueprint":"repo","identifier":"checkout","properties":{"a":"theirs","b":"theirs"}}`)
		b.checkout.DeleteBranch("feature")
		b.mustHandle() // the repository is written again
		b.port.PutEntity(somebody, `{"blueprint":"repo","identifier":"checkout","properties":{"a":"theirs","b":"theirs"}}`)
		b.pull.Abandon()
		b.mustHandle()
		b.want("branch/feature", "branch/main", "repo/checkout a=theirs b=theirs", "repo/other a=other")
	})
}

// Entities that only a search finds are written after all others.
func TestSearch(t *testing.T) {
	t.Parallel()
	found := block("pull-request", all, "repo", `{"combinator":"\"and\"","rules":[{"property":"\"a\"","operator":"\"=\"","value":".repository.name"}]}`, `"properties":{"b":".title"}`)
	bubble(t, repositories+","+found, func(_ *testing.T, b *bench) {
		b.resync()
		b.want("repo/checkout a=checkout b=Feature", "repo/other a=other")
		b.pull.Update(func(p *ado.PullRequest) { p.Title = "Better" })
		b.mustHandle()
		b.want("repo/checkout a=checkout b=Better", "repo/other a=other")
		b.checkout.Rename("till") // the search sees what was written before
		b.mustHandle()
		b.want("repo/other a=other", "repo/till a=till b=Better")
	})
}
