package live_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// snapshot is the catalog with all that is in it, by entity.
func (b *bench) snapshot() map[string]string {
	out := map[string]string{}
	for _, e := range b.port.Entities("") {
		out[e.Blueprint+"/"+e.Identifier] = fmt.Sprintf("%s %s %s", e.Title, e.Properties, e.Relations)
	}
	return out
}

// changes are what has happened to the catalog since a snapshot.
func (b *bench) changes(before map[string]string) map[string]string {
	out, after := map[string]string{}, b.snapshot()
	for ref, is := range after {
		was, there := before[ref]
		switch {
		case !there:
			out[ref] = "created"
		case was != is:
			out[ref] = "updated"
		}
	}
	for ref := range before {
		if _, there := after[ref]; !there {
			out[ref] = "deleted"
		}
	}
	return out
}

// Each change of the catalog is in the audit once, with the event that caused it.
func TestAuditOfAStorm(t *testing.T) {
	builds := block("build", all, "build", `".id | tostring"`, `"properties":{"a":".result // .status"}`)
	on(t, repositories+","+branches+","+openPulls+","+builds, func(t *testing.T, b *bench) {
		random := rand.New(rand.NewPCG(1, 2))
		var happened int
		for i := range 120 {
			name := fmt.Sprint("branch-", random.IntN(6))
			switch random.IntN(6) {
			case 0, 1:
				b.checkout.Push(name, ado.Files{"a": fmt.Sprint(i)})
			case 2:
				if b.checkout.Branch(name) != nil {
					b.checkout.DeleteBranch(name)
				}
			case 3:
				b.pipeline.QueueBuild("").Start()
			case 4:
				b.other.Rename(fmt.Sprint("other-", i))
			case 5:
				b.other.Push("main", ado.Files{"a": fmt.Sprint(i)})
			}
			events := b.events
			for j, payload := range b.payloads() {
				before := b.snapshot()
				b.audit.Reset()
				if err := b.follow.Handle(t.Context(), [][]byte{payload}); err != nil {
					t.Fatal(err)
				}
				want := b.changes(before)
				happened += len(want)
				for line := range strings.Lines(b.audit.String()) {
					b.audited(line, events[j], want)
				}
				if len(want) > 0 {
					t.Errorf("event %s %s: the audit lacks %v", events[j].Type, events[j].ID, want)
				}
			}
		}
		if happened < 100 {
			t.Errorf("only %d changes", happened)
		}
	})
}

// audited takes the change that a line of the audit is about out of those that are
// still to be found.
func (b *bench) audited(line string, cause ado.Event, want map[string]string) {
	b.t.Helper()
	get := func(name string) string { return gjson.Get(line, name).String() }
	ref := get("blueprint") + "/" + get("identifier")
	switch {
	case get("cause") != cause.ID || get("event_type") != cause.Type:
		b.t.Errorf("event %s %s: %s", cause.Type, cause.ID, line)
	case want[ref] == "" && gjson.Get(line, "compared").Raw != "false": // that one may not have changed anything
		b.t.Errorf("the audit says %s too much", line)
	case want[ref] != "" && want[ref] != strings.Replace(get("action"), "written", "updated", 1): // it may not have been compared
		b.t.Errorf("%s was %s: %s", ref, want[ref], line)
	case get("action") == "deleted" && get("proof") == "" || get("action") != "deleted" && len(gjson.Get(line, "members").Array()) == 0:
		b.t.Errorf("a line that says too little: %s", line)
	}
	delete(want, ref)
}
