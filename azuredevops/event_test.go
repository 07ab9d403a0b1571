package azuredevops

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// eventPayloads are one delivery of every type, by type: the shapes of Azure
// DevOps' event reference.
func eventPayloads(tb testing.TB) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) == 0 {
		tb.Fatal("no events", err)
	}
	out := map[string][]byte{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(name), ".json")] = b
	}
	return out
}

func (c Change) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:", c.Kind)
	for _, f := range []struct{ name, value string }{
		{"project", c.Scope.Project},
		{"project named", c.Scope.ProjectName},
		{"repository", c.Scope.Repository},
		{"id", c.Scope.ID},
		{"only run", c.run},
		{"only of build", c.build},
		{"only of release", c.release},
		{"in repository", c.repository},
		{"from", c.source},
		{"to", c.target},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, " %s %s", f.name, f.value)
		}
	}
	if c.Partial {
		b.WriteString(" (partial)")
	}
	return b.String()
}

// What every event changes.
func TestChanges(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	payloads := eventPayloads(t)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for k := range payloads {
			if !yield(k) {
				return
			}
		}
	}) {
		e, err := ParseEvent(payloads[name])
		if err != nil || e.Type != name {
			t.Fatalf("%s: type %q, %v", name, e.Type, err)
		}
		fmt.Fprintf(&out, "%s\n  key: %s\n", name, e.Key())
		var kinds []string
		for _, c := range Changes(&e) {
			fmt.Fprintf(&out, "  %s\n", c.describe())
			kinds = append(kinds, c.Kind)
		}
		for _, kind := range KindsAfter(name) {
			if !slices.Contains(kinds, kind) {
				t.Errorf("%s: kind %s subscribes to it, but nothing of it is listed again", name, kind)
			}
		}
	}
	golden(t, "testdata/events.golden", out.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || string(want) != got {
		t.Errorf("got\n%s, want\n%s(%v); -update rewrites it", got, want, err)
	}
}

const (
	testProject    = "6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c"
	testRepository = "278d5cd2-584d-4b63-824a-2ba458937249"
)

func event(typ, publisher, resource string) string {
	return `{"eventType":"` + typ + `","publisherId":"` + publisher + `","resource":` + resource +
		`,"resourceContainers":{"project":{"id":"` + testProject + `"}}}`
}

func TestParseEventRefuses(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing": "", "a list": "[]", "text": `"x"`, "half": `{"eventType":`, "two": `{}{}`,
		"no type":          `{"publisherId":"tfs","resource":{}}`,
		"null type":        `{"eventType":null,"publisherId":"tfs","resource":{}}`,
		"type no text":     `{"eventType":{},"publisherId":"tfs","resource":{}}`,
		"no publisher":     `{"eventType":"git.push","resource":{}}`,
		"no resource":      `{"eventType":"git.push","publisherId":"tfs"}`,
		"deep":             `{"eventType":"x","publisherId":"","resource":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + `}`,
		"open":             strings.Repeat(`{"a":`, 1<<20),
		"path as project":  `{"eventType":"git.push","publisherId":"tfs","resource":{"project":{"id":"../x"}}}`,
		"project no text":  `{"eventType":"git.push","publisherId":"tfs","resource":{"project":{"id":{}}}}`,
		"repository":       event("git.push", "tfs", `{"repository":{"id":"a?b"}}`),
		"number":           event("git.push", "tfs", `{"repository":{"id":7}}`),
		"work item path":   event("workitem.created", "tfs", `{"id":"1/2"}`),
		"work item object": event("workitem.created", "tfs", `{"id":{}}`),
		"fraction":         event("workitem.created", "tfs", `{"id":1.5}`),
		"negative":         event("build.complete", "tfs", `{"id":-1}`),
		"long":             event("build.complete", "tfs", `{"id":`+strings.Repeat("9", 40)+`}`),
		"true":             event("git.pullrequest.created", "tfs", `{"pullRequestId":true}`),
	} {
		if e, err := ParseEvent([]byte(body)); !errors.Is(err, errNoEvent) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// Whatever is null is as if it were absent.
func TestChangesOfNothing(t *testing.T) {
	t.Parallel()
	for typ := range eventPayloads(t) {
		for _, resource := range []string{
			`null`, `{}`, `[]`, `"x"`, `7`,
			`{"repository":null,"run":null,"stage":null,"pipeline":null,"release":null,"environment":null,"deployment":null,"project":null,
			  "id":null,"workItemId":null,"revision":null,"pullRequestId":null,"definition":null,"refUpdates":null,"url":null,"alertId":null}`,
			`{"repository":{"id":null,"project":{"id":null}},"run":{"id":null,"pipeline":{"id":null}},"release":{"id":0},"environment":{"releaseId":0}}`,
			`{"repository":{"id":"` + zeros + `","project":{"id":"` + zeros + `"}},"repositoryId":"` + zeros + `"}`,
		} {
			e, err := ParseEvent([]byte(event(typ, "tfs", resource)))
			if err != nil {
				t.Errorf("%s %s: %v", typ, resource, err)
			}
			if got := Changes(&e); len(got) != 0 && typ != "ms.vss-pipelinechecks-events.check-updated-event" {
				t.Errorf("%s %s: %v", typ, resource, got)
			}
			if e.Key() == "" {
				t.Errorf("%s %s: no key", typ, resource)
			}
		}
	}
}

const zeros = "00000000-0000-0000-0000-000000000000"

// A project of zeros, as the events of the Test button have, is none.
func TestChangesOfZeros(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"eventType":"ms.vss-release.release-created-event","publisherId":"rm","resource":{"release":{"id":4},"project":{"id":"` + zeros + `"}}}`,
		`{"eventType":"build.complete","publisherId":"tfs","resource":{"id":4},"resourceContainers":{"project":{"id":"` + zeros + `"}}}`,
	} {
		if e, err := ParseEvent([]byte(body)); err != nil || e.Project != "" || Changes(&e) != nil {
			t.Errorf("%s: project %q, %v, %v", body, e.Project, Changes(&e), err)
		}
	}
	body := `{"eventType":"git.push","publisherId":"tfs","resource":{"repository":{"id":"` + testRepository + `","project":{"id":"` + testProject + `"}}},
		"resourceContainers":{"project":{"id":"` + zeros + `"}}}`
	if e, err := ParseEvent([]byte(body)); err != nil || e.Project != testProject {
		t.Errorf("project %q, %v, want that of the repository", e.Project, err)
	}
}

// The project is found wherever an event has it.
func TestEventProject(t *testing.T) {
	t.Parallel()
	id := `"` + strings.ToUpper(testProject) + `"`
	for _, resource := range []string{
		`{"project":{"id":` + id + `}}`, `{"project":null,"projectId":` + id + `}`, `{"repository":{"project":{"id":` + id + `}}}`,
		`{"release":{"id":1,"projectReference":{"id":` + id + `}}}`,
	} {
		for _, containers := range []string{`{}`, `null`, `{"project":null}`, `{"project":{"id":null}}`} {
			body := `{"eventType":"x.y","publisherId":"rm","resource":` + resource + `,"resourceContainers":` + containers + `}`
			if e, err := ParseEvent([]byte(body)); err != nil || e.Project != testProject {
				t.Errorf("%s: project %q, %v", body, e.Project, err)
			}
		}
	}
}

func TestChangesOfWorkItems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, typ, resource, want string }{
		{"number of the update", "workitem.updated", `{"id":2,"workItemId":13,"revision":{"id":13}}`, "13"},
		{"old sample", "workitem.updated", `{"id":2,"workItemId":0,"revision":{"id":13}}`, "13"},
		{"nothing but the number", "workitem.updated", `{"id":2}`, ""},
		{"minimal", "workitem.updated", `{"id":2,"url":"https://dev.azure.com/acme/p/_apis/wit/workItems/13/updates/2"}`, "13"},
		{"created", "workitem.created", `{"id":"13"}`, "13"},
		{"deleted", "workitem.deleted", `{"id":13}`, "13"},
	} {
		e, err := ParseEvent([]byte(event(c.typ, "tfs", c.resource)))
		if err != nil {
			t.Fatal(c.name, err)
		}
		got := ""
		for _, ch := range Changes(&e) {
			got += ch.Scope.ID
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	moved := event("workitem.updated", "tfs", `{"id":2,"workItemId":13,"fields":{"System.TeamProject":{"oldValue":"Old","newValue":"New"}}}`)
	e, err := ParseEvent([]byte(moved))
	if err != nil {
		t.Fatal(err)
	}
	if got := Changes(&e); len(got) != 2 || got[1].Scope != (Scope{ProjectName: "Old", ID: "13"}) {
		t.Errorf("moved: %+v", got)
	}
}

// Events of one object wait for each other.
func TestEventKeys(t *testing.T) {
	t.Parallel()
	run := `{"id":7,"pipeline":{"id":3}}`
	for key, events := range map[string][]string{
		"build/7": {
			event("build.complete", "tfs", `{"id":7}`), event(RunStateChanged, "pipelines", `{"run":`+run+`}`),
			event("ms.vss-pipelines.job-state-changed-event", "pipelines", `{"run":`+run+`,"stage":{"id":"x"}}`),
			event("ms.vss-pipelinechecks-events.approval-pending", "pipelines", `{"run":`+run+`,"stage":null}`),
		},
		"repository/" + testRepository: {
			event("git.push", "tfs", `{"repository":{"id":"`+testRepository+`"}}`), event("git.repo.deleted", "tfs", `{"repositoryId":"`+testRepository+`"}`),
		},
		"release/4": {
			event("ms.vss-release.release-created-event", "rm", `{"release":{"id":4}}`),
			event("ms.vss-release.deployment-started-event", "rm", `{"release":{"id":0},"environment":{"releaseId":0,"release":{"id":4}}}`),
		},
		"work-item/13":    {event("workitem.created", "tfs", `{"id":13}`), event("workitem.updated", "tfs", `{"id":2,"workItemId":13}`)},
		"pull-request/22": {event("git.pullrequest.created", "tfs", `{"pullRequestId":22,"repository":{"id":"`+testRepository+`"}}`)},
	} {
		for _, body := range events {
			if e, err := ParseEvent([]byte(body)); err != nil || e.Key() != key {
				t.Errorf("%s: key %q, %v, want %q", body, e.Key(), err, key)
			}
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	at := func(org string) *Client {
		c, err := New(ClientConfig{OrganizationURL: org, Credential: PersonalAccessToken("x")})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	acme, beta, server := at("https://dev.azure.com/acme"), at("https://beta.visualstudio.com"), at("https://tfs.example.com/tfs/Default")
	all := []*Client{acme, beta, server}
	known := func(id string) *Client {
		if id == "s1" {
			return beta
		}
		return nil
	}
	for _, c := range []struct {
		name    string
		e       Event
		clients []*Client
		want    *Client
	}{
		{"known subscription", Event{SubscriptionID: "s1", URLs: []string{"https://dev.azure.com/acme"}}, all, beta},
		{"the only one", Event{SubscriptionID: "s9"}, all[:1], acme},
		{"address", Event{SubscriptionID: "s9", URLs: []string{"https://DEV.azure.com/Acme/p/_apis/x"}}, all, acme},
		{"other host", Event{URLs: []string{"https://vsrm.dev.azure.com/acme/p"}}, all, acme},
		{"old name", Event{URLs: []string{"https://acme.visualstudio.com/DefaultCollection"}}, all, acme},
		{"new name", Event{URLs: []string{"https://dev.azure.com/beta"}}, all, beta},
		{"server", Event{URLs: []string{"https://tfs.example.com/tfs/default/p/_apis"}}, all, server},
		{"other collection", Event{URLs: []string{"https://tfs.example.com/tfs/Default2"}}, all, nil},
		{"nothing", Event{URLs: []string{"https://dev.azure.com/gamma", "%", ""}}, all, nil},
		{"no organization", Event{}, nil, nil},
	} {
		got, err := Resolve(&c.e, c.clients, known)
		if got != c.want || (got == nil) != errors.Is(err, ErrNoOrganization) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	for _, body := range eventPayloads(f) {
		f.Add(body)
		f.Add(bytes.ReplaceAll(body, []byte(`"id"`), []byte(`"\u0069d"`)))
	}
	f.Add([]byte(`{"eventType":"git.push","publisherId":"tfs","resource":null}`))
	f.Add([]byte(`{"eventType":".","publisherId":"","resource":{"url":"%"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := ParseEvent(body)
		if err != nil {
			return
		}
		if e.Key() == "" {
			t.Error("no key")
		}
		for _, c := range Changes(&e) {
			for _, id := range []string{c.Scope.ID, c.Scope.Project, c.Scope.Repository, c.build, c.run, c.release} {
				if len(id) > 36 || strings.ContainsAny(id, "/?#%&. ") {
					t.Errorf("%s: id %q", c.Kind, id)
				}
			}
			if c.Kind == "" || c.Scope.Project == "" && c.Scope.ProjectName == "" {
				t.Errorf("%+v: about everything", c)
			}
		}
	})
}
