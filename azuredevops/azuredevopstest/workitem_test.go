package azuredevopstest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// backlog is an organization with items 1 to 6 in two projects.
func backlog() *azuredevopstest.World {
	w := azuredevopstest.NewWorld("contoso")
	now := fixedClock()
	w.Now = func() time.Time { return now }
	p := w.AddProject("It's here")
	q := w.AddProjectOf("Other", "Scrum")
	for i, typ := range []string{"User Story", "Bug", "Task", "Epic"} {
		wi := p.AddWorkItem(typ, fmt.Sprintf("Say \"%s\" %d", typ, i))
		wi.Changed = now.AddDate(0, 0, -4*i)
		wi.State = []string{"New", "Active", "Closed", "Removed"}[i]
	}
	p.WorkItems[1].Area, p.WorkItems[1].Tags = "Back", "red; blue"
	p.WorkItems[1].Fields["Microsoft.VSTS.Scheduling.Effort"] = 5.5
	q.AddWorkItem("Product Backlog Item", "Fifth")
	q.AddWorkItem("Bug", "Sixth")
	return w
}

func TestWIQL(t *testing.T) {
	t.Parallel()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: backlog()})
	for _, c := range []struct{ where, want string }{
		{"", "[1 2 3 4 5 6]"},
		{"WHERE [System.TeamProject] = 'It''s here'", "[1 2 3 4]"},
		{`WHERE [System.TeamProject] = "Other" ORDER BY [System.Id] Desc`, "[6 5]"},
		{"WHERE [System.TeamProject] = @project", "[1 2 3 4]"},
		{"WHERE [System.TeamProject] = 'It''s here' AND ([System.State] NOT IN ('Closed','Done','Removed') OR [System.ChangedDate] >= @today - 8) AND [System.Id] > 1 ORDER BY [System.Id] Asc", "[2 3]"},
		{"WHERE [State] <> 'new' AND NOT [Work Item Type] = 'Bug'", "[3 4]"},
		{"WHERE [Work Item Type] IN ('Bug', 'Epic') OR [Id] = 5", "[2 4 5 6]"},
		{"WHERE [Id] = 1 OR [Id] = 2 AND [State] = 'Closed'", "[1]"},
		{"WHERE [System.Tags] CONTAINS 'BLUE'", "[2]"},
		{"WHERE [System.AreaPath] UNDER 'It''s here\\Back'", "[2]"},
		{"WHERE [Microsoft.VSTS.Scheduling.Effort] > 5", "[2]"},
		{"WHERE [Microsoft.VSTS.Scheduling.Effort] <> 1", "[1 2 3 4 5 6]"},
		{"WHERE [System.Title] = 'say \"bug\" 1'", "[2]"},
		{"WHERE [System.ChangedDate] = '2026-03-02'", "[1 5 6]"},
		{"WHERE [System.ChangedDate] < @today-1 AND [System.ChangedDate] > '2026-02-20'", "[2 3]"},
		{"WHERE [System.AssignedTo] = '' AND [System.Tags] IS NOT EMPTY", "[2]"},
	} {
		body, err := json.Marshal(map[string]string{"query": "SELECT [Id], [System.Title] FROM WorkItems " + c.where})
		if err != nil {
			t.Fatal(err)
		}
		a := do(t, s, "POST", "/It's%20here/_apis/wit/wiql?api-version=7.1-preview.2&$top=19999", string(body))
		var out struct{ WorkItems []struct{ ID int } }
		a.into(t, &out)
		ids := []int{}
		for _, wi := range out.WorkItems {
			ids = append(ids, wi.ID)
		}
		if fmt.Sprint(ids) != c.want {
			t.Errorf("%s = %v, want %s", c.where, ids, c.want)
		}
	}
}

func TestWIQLErrors(t *testing.T) {
	t.Parallel()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: backlog()})
	for _, query := range []string{
		"", "SELECT", "SELECT [Id] FROM WorkItems WHERE", "SELECT [Id] FROM WorkItems WHERE [Nope] = 1", "SELECT [Id] FROM WorkItems WHERE [Id] = 'open",
		"SELECT [Id] FROM WorkItems WHERE ([Id] = 1", "SELECT [Id] FROM WorkItems WHERE [Id] ~ 1", "SELECT [Id] FROM WorkItems WHERE [Id] IN (1", "SELECT [Id] FROM WorkItems WHERE [Id] = @nope",
		"SELECT [Id] FROM WorkItems WHERE [Id] = 1 ORDER", "SELECT [Id] FROM WorkItems WHERE [Id] = 1 x", "SELECT [Id FROM WorkItems", "SELECT [Id] FROM WorkItems WHERE [System.ChangedDate] > '2026-01-01T10:00:00Z'",
	} {
		body, err := json.Marshal(map[string]string{"query": query})
		if err != nil {
			t.Fatal(err)
		}
		if a := do(t, s, "POST", "/_apis/wit/wiql?api-version=7.1", string(body)); a.status != 400 || !strings.Contains(a.body, "TF5") {
			t.Errorf("%q: %d %s", query, a.status, a.body)
		}
	}
	if a := do(t, s, "POST", "/_apis/wit/wiql?api-version=7.1&timePrecision=true", `{"query":"SELECT [Id] FROM WorkItems WHERE [System.ChangedDate] > '2026-03-02T08:59:00Z'"}`); a.status != 200 || strings.Count(a.body, `"id"`) != 3 {
		t.Error(a.status, a.body)
	}
}

func FuzzWIQL(f *testing.F) {
	f.Add("SELECT [Id] FROM WorkItems WHERE [System.TeamProject] = 'It''s here' AND ([System.State] NOT IN ('Closed') OR [System.ChangedDate] >= @today - 7) ORDER BY [System.Id] Asc")
	f.Add("SELECT [Id] FROM WorkItems WHERE NOT ([Id] <> 1 OR [Title] CONTAINS WORDS \"x\")")
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: backlog()})
	f.Fuzz(func(t *testing.T, query string) {
		body, err := json.Marshal(map[string]string{"query": query})
		if err != nil {
			t.Skip()
		}
		if a := do(t, s, "POST", "/_apis/wit/wiql?api-version=7.1", string(body)); a.status != 200 && a.status != 400 {
			t.Errorf("%q: %d %s", query, a.status, a.body)
		}
	})
}

func TestWorkItems(t *testing.T) {
	t.Parallel()
	w := backlog()
	p := w.Projects[0]
	p.WorkItems[2].Unreadable = true
	p.WorkItems[0].Parent = 4
	p.WorkItems[0].Fields["Custom.Big"] = json.Number("9007199254740993")
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	a := get(t, s, "/_apis/wit/workitems?ids=2,1&$expand=All&api-version=7.1-preview.3")
	var out struct {
		Value []struct {
			ID        int
			Rev       int
			Fields    map[string]json.RawMessage
			Relations []struct{ Rel string }
			Links     map[string]any `json:"_links"`
		}
	}
	a.into(t, &out)
	if len(out.Value) != 2 || out.Value[0].ID != 2 || len(out.Value[1].Relations) != 1 || out.Value[1].Links["self"] == nil {
		t.Fatalf("%s", a.body)
	}
	one := out.Value[1].Fields
	if string(one["Custom.Big"]) != "9007199254740993" || string(one["System.BoardColumn"]) != `"New"` || one["System.Id"] == nil || one["System.AssignedTo"] != nil {
		t.Errorf("%s", one)
	}
	if get(t, s, "/_apis/wit/workitems?ids=1,3").status != 404 {
		t.Error("an unreadable item did not fail the list")
	}
	if a := get(t, s, "/_apis/wit/workitems?ids=1,3&errorPolicy=omit"); a.status != 200 || !strings.HasSuffix(a.body, ",null]}") {
		t.Error(a.body)
	}
	if a := get(t, s, "/_apis/wit/workitems?ids=1&fields=System.State"); !strings.Contains(a.body, `"fields":{"System.State":"New"}`) {
		t.Error(a.body)
	}
	if a := get(t, s, "/_apis/wit/workitems?ids=1"+strings.Repeat(",1", 200)); a.status != 400 || typeKey(t, a) != "WorkItemPageSizeExceededException" {
		t.Error(a.body)
	}
	if a := do(t, s, "POST", "/_apis/wit/workitemsbatch?api-version=7.1", `{"ids":[5,6],"fields":["System.Id"]}`); !strings.Contains(a.body, `"System.Id":6`) {
		t.Error(a.body)
	}
	if a := get(t, s, "/Other/_apis/wit/workitems/1"); a.status != 404 || typeKey(t, a) != "WorkItemUnauthorizedAccessException" {
		t.Error(a.body)
	}
}

func TestWorkItemLifeIsAnnounced(t *testing.T) {
	t.Parallel()
	w := backlog()
	var events []string
	var last azuredevopstest.Event
	defer w.Subscribe(func(e azuredevopstest.Event) {
		events = append(events, e.Type)
		last = e
	})()
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
	wi := w.Projects[0].AddWorkItem("Bug", "New bug")
	wi.Update(func(wi *azuredevopstest.WorkItem) { wi.State, wi.AssignedTo = "Active", w.People[0] })
	var update struct {
		WorkItemID int
		Fields     map[string]struct{ OldValue, NewValue any }
		Revision   struct {
			ID     int
			Fields map[string]any
		}
	}
	if err := json.Unmarshal(last.Resource, &update); err != nil {
		t.Fatal(err)
	}
	if s := update.Fields["System.State"]; update.WorkItemID != wi.ID || s.OldValue != "New" || s.NewValue != "Active" ||
		update.Revision.Fields["System.AssignedTo"] != "Jordan Rivers <jordan.rivers@contoso.example>" {
		t.Errorf("%s", last.Resource)
	}
	wi.Delete()
	if a := get(t, s, fmt.Sprint("/_apis/wit/workitems/", wi.ID)); a.status != 404 {
		t.Error(a.status)
	}
	wi.Restore()
	if a := get(t, s, fmt.Sprint("/_apis/wit/workitems/", wi.ID)); a.status != 200 {
		t.Error(a.status)
	}
	if got := fmt.Sprint(events); got != "[workitem.created workitem.updated workitem.deleted workitem.restored]" {
		t.Error(got)
	}
}
