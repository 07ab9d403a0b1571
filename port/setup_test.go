package port_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	getIntegration   = "GET /v1/integration/{id}"
	patchIntegration = "PATCH /v1/integration/{id}"
	postBlueprint    = "POST /v1/blueprints"
)

// fresh is an organization without anything.
func fresh(t *testing.T, opt porttest.Options) (*porttest.Server, *port.Client) {
	t.Helper()
	srv := porttest.NewUnstarted(opt)
	t.Cleanup(srv.Close)
	return srv, client(t, srv)
}

var defaults = port.SetupConfig{InitializeResources: true, CheckMapping: func(doc []byte) error {
	if !json.Valid(doc) {
		return errors.New("no JSON")
	}
	return nil
}}

func TestSetupCreates(t *testing.T) {
	t.Parallel()
	srv, c := fresh(t, porttest.Options{})
	if err := c.Setup(t.Context(), defaults); err != nil {
		t.Fatal(err)
	}
	i := srv.Integration()
	if i.Identifier != "mine" || i.Type != "azure-devops" || i.Version != "1.2.3" || i.Origin != "Default" || !i.Initialized {
		t.Errorf("integration = %+v", i)
	}
	if !strings.Contains(string(i.Config), `"useDefaultBranch":true`) || !strings.Contains(string(i.Document), `"processingMode":"ocean-core"`) {
		t.Errorf("config or processing mode: %s", i.Document)
	}
	var mapping struct {
		Resources []struct{ Kind string }
	}
	if err := json.Unmarshal(i.Config, &mapping); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, r := range mapping.Resources {
		kinds = append(kinds, r.Kind)
	}
	want := []string{"project", "repository", "repository-policy", "repository-policy", "board", "work-item", "column", "release"}
	if !slices.Equal(kinds, want) {
		t.Errorf("kinds = %q, want %q", kinds, want)
	}
	if got := len(srv.Blueprints()); got != 6 {
		t.Errorf("%d blueprints, want 6", got)
	}
	repo := string(srv.Blueprints()["azureDevopsWorkItem"])
	for _, part := range []string{`"column.board.$title"`, `"azureDevopsColumn"`} {
		if !strings.Contains(repo, part) {
			t.Errorf("%s is not in %s", part, repo)
		}
	}
	if got := len(srv.Documents("page")); got != 2 {
		t.Errorf("%d pages, want 2", got)
	}
	// The next start changes nothing.
	srv.ForgetRequests()
	if err := client(t, srv).Setup(t.Context(), defaults); err != nil {
		t.Fatal(err)
	}
	if got := srv.Requests(); len(got) != 2 { // token, integration
		t.Errorf("second start: %d requests, want 2: %v", len(got), got)
	}
}

// A new installation gets what is better; where something exists already, it fits that.
func TestWhichDefaultResources(t *testing.T) {
	t.Parallel()
	const board = `{"identifier":"azureDevopsBoard","schema":{"properties":{}}}`
	typed := func(srv *porttest.Server) bool { // work items of five types only
		return strings.Contains(string(srv.Blueprints()["azureDevopsWorkItem"]), `"User Story"`)
	}
	for name, tt := range map[string]struct {
		setting   string
		blueprint bool // one exists
		created   bool // the installation exists
		want      string
	}{
		"new":                 {want: "corrected"},
		"new, compatible":     {setting: "compatible", want: "compatible"},
		"blueprint":           {blueprint: true, want: "compatible"},
		"blueprint, set":      {setting: "corrected", blueprint: true, want: "corrected"},
		"existing":            {created: true, want: "compatible"},
		"existing, corrected": {setting: "corrected", created: true, want: "corrected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, c := fresh(t, porttest.Options{})
			if tt.blueprint {
				srv.AddBlueprint(board)
			}
			if tt.created {
				if _, err := c.CreateIntegration(t.Context(), port.OriginDefault, json.RawMessage(`{"resources":[{"kind":"mine"}]}`)); err != nil {
					t.Fatal(err)
				}
			}
			cfg := defaults
			cfg.DefaultResources = tt.setting
			if err := c.Setup(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			if got := c.DefaultResources(); got != tt.want {
				t.Errorf("resources %q, want %q", got, tt.want)
			}
			if !tt.blueprint && typed(srv) != (tt.want == "compatible") {
				t.Errorf("blueprints are not %s", tt.want)
			}
			again := client(t, srv)
			if err := again.Setup(t.Context(), cfg); err != nil || again.DefaultResources() != "" {
				t.Errorf("the next start used %q, %v", again.DefaultResources(), err)
			}
		})
	}
	t.Run("completed later", func(t *testing.T) {
		t.Parallel()
		srv, pod := fresh(t, porttest.Options{})
		if err := pod.Setup(t.Context(), port.SetupConfig{}); err != nil { // makes no resources
			t.Fatal(err)
		}
		c := client(t, srv)
		if err := c.Setup(t.Context(), defaults); err != nil || c.DefaultResources() != "corrected" || typed(srv) {
			t.Errorf("resources %q, %v; want those of the mapping", c.DefaultResources(), err)
		}
	})
}

// A failed answer is not "does not exist".
func TestSetupUnknown(t *testing.T) {
	t.Parallel()
	for _, rule := range []porttest.Rule{
		porttest.Status(getIntegration, 403), porttest.Status(getIntegration, 500), porttest.HTML(getIntegration),
		porttest.Status(getIntegration, 404).Body("<html>nothing here</html>"), porttest.Reset(getIntegration),
		porttest.Status(getIntegration, 404).Body(`{"ok":false,"error":"not_found","message":"Route GET:/v1/integration not found"}`),
	} {
		synctest.Test(t, func(t *testing.T) {
			srv, c := fresh(t, porttest.Options{})
			srv.Fault(rule)
			if err := c.Setup(t.Context(), defaults); err == nil || errors.Is(err, port.ErrNotFound) {
				t.Errorf("err = %v", err)
			}
			if got := len(srv.Integrations()); got != 0 {
				t.Errorf("%d integrations created on doubt", got)
			}
		})
	}
}

// Every write of the set-up may lose its answer.
func TestSetupLostAnswers(t *testing.T) {
	t.Parallel()
	for _, route := range []string{"POST /v1/integration", patchIntegration, postBlueprint, "PATCH /v1/blueprints/{blueprint}", "POST /v1/pages"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, c := fresh(t, porttest.Options{})
				srv.Fault(porttest.LostAnswer(route).Times(1))
				if err := c.Setup(t.Context(), defaults); err != nil {
					t.Fatal(err)
				}
				if !srv.Integration().Initialized || len(srv.Blueprints()) != 6 || len(srv.Documents("page")) != 2 {
					t.Errorf("set-up is not complete: %+v", srv.Integration())
				}
			})
		})
	}
}

// A page of a proxy is not Port's consent, even where the answer is of no interest.
func TestSetupBehindProxy(t *testing.T) {
	t.Parallel()
	for _, route := range []string{postBlueprint, "PATCH /v1/blueprints/{blueprint}", "POST /v1/pages"} {
		synctest.Test(t, func(t *testing.T) {
			srv, c := fresh(t, porttest.Options{})
			srv.Fault(porttest.HTML(route).Times(2))
			if err := c.Setup(t.Context(), defaults); err != nil {
				t.Fatal(err)
			}
			if !srv.Integration().Initialized || len(srv.Blueprints()) != 6 || len(srv.Documents("page")) != 2 {
				t.Errorf("%s: set-up is not complete: %+v", route, srv.Integration())
			}
		})
	}
}

// Blueprints that cannot be made are rolled back, and tried again at the next start.
func TestSetupRollsBack(t *testing.T) {
	t.Parallel()
	srv, c := fresh(t, porttest.Options{})
	srv.Fault(porttest.Status("PATCH /v1/blueprints/{blueprint}", 422).After(3).Times(1))
	if err := c.Setup(t.Context(), defaults); err != nil {
		t.Fatal(err)
	}
	if i := srv.Integration(); i.Initialized || len(srv.Blueprints()) != 0 {
		t.Errorf("initialized = %v, blueprints = %d, want a rolled back set-up", i.Initialized, len(srv.Blueprints()))
	}
	if err := client(t, srv).Setup(t.Context(), defaults); err != nil {
		t.Fatal(err)
	}
	if i := srv.Integration(); !i.Initialized || len(srv.Blueprints()) != 6 {
		t.Errorf("second start: initialized = %v, blueprints = %d", i.Initialized, len(srv.Blueprints()))
	}
}

func TestSetupExistingBlueprint(t *testing.T) {
	t.Parallel()
	srv, c := fresh(t, porttest.Options{})
	srv.AddBlueprint(`{"identifier":"azureDevopsBoard","schema":{"properties":{}}}`)
	if err := c.Setup(t.Context(), defaults); err != nil {
		t.Fatal(err)
	}
	if len(srv.Blueprints()) != 1 || len(srv.Documents("page")) != 0 || !srv.Integration().Initialized {
		t.Error("resources were made although a default blueprint exists")
	}
}

func TestSetupOrigins(t *testing.T) {
	t.Parallel()
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		srv, c := fresh(t, porttest.Options{})
		if err := c.Setup(t.Context(), port.SetupConfig{Origin: port.OriginEmpty, InitializeResources: true}); err != nil {
			t.Fatal(err)
		}
		if i := srv.Integration(); !i.Initialized || !strings.Contains(string(i.Config), `"resources":[]`) || len(srv.Blueprints()) != 0 {
			t.Errorf("integration = %+v", i)
		}
	})
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		srv, c := fresh(t, porttest.Options{})
		if err := c.Setup(t.Context(), port.SetupConfig{}); err != nil {
			t.Fatal(err)
		}
		if i := srv.Integration(); i.Initialized || len(srv.Blueprints()) != 0 || !strings.Contains(string(i.Config), "project") {
			t.Errorf("integration = %+v", i)
		}
	})
	t.Run("port", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv, c := fresh(t, porttest.Options{
				Provision: []string{"azure-devops"}, FeatureFlags: []string{"USE_PROVISIONED_DEFAULTS"}, ProvisionPolls: 4,
			})
			start := time.Now()
			if err := c.Setup(t.Context(), defaults); err != nil {
				t.Fatal(err)
			}
			if i := srv.Integration(); i.Origin != "Port" || len(srv.Blueprints()) != 0 {
				t.Errorf("integration = %+v", i)
			}
			if d := time.Since(start); d == 0 || d > time.Minute {
				t.Errorf("waited %v", d)
			}
		})
	})
	t.Run("kept", func(t *testing.T) {
		t.Parallel()
		srv, c := fresh(t, porttest.Options{})
		if _, err := c.CreateIntegration(t.Context(), port.OriginEmpty, json.RawMessage(`{"resources":[{"kind":"mine"}]}`)); err != nil {
			t.Fatal(err)
		}
		if err := c.Setup(t.Context(), defaults); err != nil {
			t.Fatal(err)
		}
		if i := srv.Integration(); !strings.Contains(string(i.Config), "mine") || !i.Initialized || len(srv.Blueprints()) != 0 {
			t.Errorf("integration = %+v", i)
		}
	})
}

func TestSetupFromDisk(t *testing.T) {
	t.Parallel()
	srv, c := fresh(t, porttest.Options{})
	cfg := defaults
	cfg.Resources = fstest.MapFS{
		"port-app-config.yml": {Data: []byte("resources:\n- kind: own\n  selector: {query: 'true'}\n")},
		"blueprints.json":     {Data: []byte(`[{"identifier":"a","schema":{"properties":{}},"relations":{"b":{"target":"b"}}},{"identifier":"b","schema":{"properties":{}},"relations":{"a":{"target":"a"}}}]`)},
		"actions.yaml":        {Data: []byte(`[]`)},
		"notes.txt":           {Data: []byte(`x`)},
	}
	if err := c.Setup(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := string(srv.Integration().Config); !strings.Contains(got, `"own"`) || !strings.Contains(got, `"query":"true"`) || len(srv.Blueprints()) != 2 {
		t.Errorf("config = %s", got)
	}
	cfg.Resources = fstest.MapFS{"pages.toml": {Data: []byte("x")}}
	if err := client(t, porttest.NewUnstarted(porttest.Options{})).Setup(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "pages.toml") {
		t.Errorf("err = %v, want one that names pages.toml", err)
	}
}

// Processes that share an installation leave each other's members alone.
func TestSetupOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	srv, c := fresh(t, porttest.Options{})
	yes, no := true, false
	service, job, workers := defaults, defaults, defaults
	service.ChangelogDestination = json.RawMessage(`{"type":"KAFKA"}`)
	job.IncrementalSync, workers.ActionsProcessing = &yes, &yes
	for _, cfg := range []port.SetupConfig{service, job, workers} {
		if err := c.Setup(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	srv.ForgetRequests()
	for _, cfg := range []port.SetupConfig{service, job, workers, defaults} {
		if err := client(t, srv).Setup(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	if got := srv.Requests(patchIntegration); len(got) != 0 {
		t.Errorf("%d patches of processes that all find what they want", len(got))
	}
	doc := string(srv.Integration().Document)
	for _, want := range []string{`"KAFKA"`, `"incrementalSyncEnabled":true`, `"actionsProcessingEnabled":true`} {
		if !strings.Contains(doc, want) {
			t.Errorf("%s was overwritten: %s", want, doc)
		}
	}
	workers.ActionsProcessing = &no
	if err := c.Setup(t.Context(), workers); err != nil {
		t.Fatal(err)
	}
	if got := string(srv.Integration().Document); !strings.Contains(got, `"actionsProcessingEnabled":false`) || !strings.Contains(got, `"incrementalSyncEnabled":true`) {
		t.Errorf("the decision that nothing runs did not reach Port alone: %s", got)
	}
}

// The last resync that was begun is shown, with its own end and the plan of whoever has one.
func TestResyncStatesOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, service := fresh(t, porttest.Options{})
		if err := service.Setup(t.Context(), defaults); err != nil {
			t.Fatal(err)
		}
		job := client(t, srv)
		say := func(c *port.Client, s port.ResyncState) {
			t.Helper()
			if err := c.SetResyncState(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		want := func(status string, start, next time.Time) {
			t.Helper()
			s := gjson.GetBytes(srv.Integration().Document, "resyncState")
			if s.Get("status").Str != status || !s.Get("lastResyncStart").Time().Equal(start) || !s.Get("nextResync").Time().Equal(next) {
				t.Errorf("Port shows %s, want %s of %v, next %v", s.Raw, status, start, next)
			}
		}
		first, next := time.Now(), time.Now().Add(time.Hour)
		say(service, port.ResyncState{Status: "running", Start: first, Next: next, Interval: time.Hour})
		time.Sleep(time.Minute)
		second := time.Now()
		say(job, port.ResyncState{Status: "running", Start: second})
		want("running", second, next)
		say(service, port.ResyncState{Status: "aborted", Start: first, End: time.Now(), Next: next, Interval: time.Hour})
		want("running", second, next) // of the job, which the end of the other is not
		time.Sleep(2 * time.Hour)
		say(job, port.ResyncState{Status: "completed", Start: second, End: time.Now()})
		want("completed", second, time.Time{}) // nobody has carried on with the plan
		if s := string(srv.Integration().States[0]); !strings.Contains(s, `"intervalInMinuets":60`) || !strings.Contains(s, `"lastResyncEnd":null`) {
			t.Errorf("the first state is %s", s)
		}
	})
}

func TestSetupDrift(t *testing.T) {
	t.Parallel()
	srv, c := fresh(t, porttest.Options{})
	if err := c.Setup(t.Context(), defaults); err != nil {
		t.Fatal(err)
	}
	cfg := defaults
	cfg.ChangelogDestination = json.RawMessage(`{"type":"KAFKA"}`)
	if err := client(t, srv).Setup(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := string(srv.Integration().Document); !strings.Contains(got, `"KAFKA"`) {
		t.Errorf("the listener did not reach Port: %s", got)
	}
}
