package porttest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	bulkRoute   = "POST /v1/blueprints/{blueprint}/entities/bulk"
	deleteRoute = "POST /v1/blueprints/{blueprint}/bulk/entities/delete"
	searchRoute = "POST /v1/entities/search"
	ownedRoute  = "POST /v1/blueprints/entities/datasource-entities"
)

// bubble is a server and the real client inside a synctest bubble, where its
// retries take no time.
type bubble struct {
	*testing.T
	srv *porttest.Server
	c   *port.Client
}

func withClient(t *testing.T, opt porttest.Options, f func(b bubble)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := porttest.NewUnstarted(opt)
		t.Cleanup(srv.Close)
		c, err := port.New(port.ClientConfig{
			ClientID: "client-id", ClientSecret: "secret-value", BaseURL: "http://port.example", IntegrationType: "azure-devops",
			Identifier: "my-ado", Version: "1.0.0", CoreVersion: "0.48.12", Transport: srv.Transport(),
		})
		if err != nil {
			t.Fatal(err)
		}
		f(bubble{t, srv, c})
	})
}

var defaults = port.SetupConfig{Origin: port.OriginDefault, InitializeResources: true}

func changes(srv *porttest.Server) (out []string) {
	for _, r := range srv.Requests() {
		if r.Method != "GET" && !strings.HasSuffix(r.Route, "access_token") && r.Route != ownedRoute {
			out = append(out, r.Route)
		}
	}
	return out
}

func TestClientSetsUpFromNothing(t *testing.T) {
	withClient(t, porttest.Options{}, func(t bubble) {
		if err := t.c.Setup(t.Context(), defaults); err != nil {
			t.Fatal(err)
		}
		in := t.srv.Integration()
		if in.Identifier != "my-ado" || in.Type != "azure-devops" || !in.Initialized || in.Origin != "Default" || !gjson.GetBytes(in.Config, "useDefaultBranch").Bool() {
			t.Errorf("integration = %s", in.Document)
		}
		if got := gjson.GetBytes(in.Document, "processingMode").Str; got != "ocean-core" {
			t.Errorf("processingMode = %q, want ocean-core", got)
		}
		blueprints, pages := len(t.srv.Blueprints()), len(t.srv.Documents("page"))
		if blueprints != 6 || pages != 2 {
			t.Errorf("%d blueprints and %d pages, want 6 and 2", blueprints, pages)
		}
		t.srv.ForgetRequests()
		if err := t.c.Setup(t.Context(), defaults); err != nil {
			t.Fatal(err)
		}
		if got := changes(t.srv); len(got) != 0 {
			t.Errorf("second set-up changed %v", got)
		}
	})
}

func TestClientLeavesExistingBlueprintsAlone(t *testing.T) {
	withClient(t, porttest.Options{}, func(t bubble) {
		t.srv.AddBlueprint(`{"identifier":"azureDevopsProject","schema":{"properties":{}}}`)
		if err := t.c.Setup(t.Context(), defaults); err != nil {
			t.Fatal(err)
		}
		if n := len(t.srv.Blueprints()); n != 1 || len(t.srv.Documents("page")) != 0 || !t.srv.Integration().Initialized {
			t.Errorf("%d blueprints, %d pages, initialized %t, want 1, none, true", n, len(t.srv.Documents("page")), t.srv.Integration().Initialized)
		}
	})
}

// TestClientSetUpSurvivesFaults: whatever the first answers are, a set-up ends
// with all resources or with none of them and another try at the next start.
func TestClientSetUpSurvivesFaults(t *testing.T) {
	for _, tt := range []struct {
		name     string
		rule     porttest.Rule
		complete bool
	}{
		{"lost integration", porttest.LostAnswer("POST /v1/integration").Times(1), true},
		{"cut integration", porttest.LostConnection("POST /v1/integration").Times(1), true},
		{"lost blueprint", porttest.LostAnswer("POST /v1/blueprints").After(2).Times(1), true},
		{"cut blueprint", porttest.LostConnection("POST /v1/blueprints").After(1).Times(1), true},
		{"relations unavailable", porttest.Status("PATCH /v1/blueprints/{id}", 503).Times(2), true},
		{"relations refused", porttest.Status("PATCH /v1/blueprints/{id}", 422).After(3), false},
		{"flag lost", porttest.LostAnswer("PATCH /v1/integration/{id}").Times(1), true},
		{"token expired", porttest.ExpireTokens("PATCH /v1/blueprints/{id}").Times(1), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withClient(t, porttest.Options{}, func(t bubble) {
				t.srv.Fault(tt.rule)
				if err := t.c.Setup(t.Context(), defaults); err != nil {
					t.Fatal(err)
				}
				want := 0
				if tt.complete {
					want = 6
				}
				if n := len(t.srv.Blueprints()); n != want || t.srv.Integration().Initialized != tt.complete {
					t.Errorf("%d blueprints, initialized %t, want %d, %t", n, t.srv.Integration().Initialized, want, tt.complete)
				}
				t.srv.ClearFaults()
				if err := t.c.Setup(t.Context(), defaults); err != nil {
					t.Fatal(err)
				}
				if n := len(t.srv.Blueprints()); n != 6 || !t.srv.Integration().Initialized {
					t.Errorf("after another start: %d blueprints, initialized %t, want 6, true", n, t.srv.Integration().Initialized)
				}
			})
		})
	}
}

func TestClientWaitsForProvisioning(t *testing.T) {
	withClient(t, porttest.Options{
		Provision: []string{"azure-devops"}, FeatureFlags: []string{"USE_PROVISIONED_DEFAULTS"}, ProvisionedMapping: `{"resources":[]}`, ProvisionPolls: 4,
	}, func(t bubble) {
		if err := t.c.Setup(t.Context(), port.SetupConfig{InitializeResources: true}); err != nil {
			t.Fatal(err)
		}
		if in := t.srv.Integration(); string(in.Config) != `{"resources":[]}` || in.Origin != "Port" || len(t.srv.Blueprints()) != 0 {
			t.Errorf("integration = %s, %d blueprints", in.Document, len(t.srv.Blueprints()))
		}
	})
}

func services(n int) []port.Entity {
	list := make([]port.Entity, n)
	for i := range list {
		list[i] = service(fmt.Sprintf("e%02d", i), fmt.Sprintf(`"properties":{"stars":%d},"relations":{"project":"p"}`, i))
	}
	return list
}

func service(id, members string) port.Entity {
	return port.Entity{Blueprint: "service", Identifier: id, Body: fmt.Appendf(nil, `{"identifier":%q,"blueprint":"service",%s}`, id, members)}
}

var resync = port.UpsertOptions{Merge: true, CreateMissing: true, EventType: "resync", ResyncID: "r1"}

// roundTrip writes 45 entities, reads them back as a diff does, and deletes
// what is not wanted any more.
func roundTrip(t bubble) {
	t.Helper()
	ctx := t.Context()
	res, err := t.c.Upsert(ctx, resync, services(45))
	if err != nil || failed(&res) != 0 {
		t.Fatalf("Upsert = %d failed, %v", failed(&res), err)
	}
	ids := []string{"e00", "e44", "none"}
	var found []string
	for doc, err := range t.c.Search(ctx, port.SearchQuery{Blueprint: "service", IDs: ids, Include: []string{"properties.stars", "relations.project"}}) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, gjson.GetBytes(doc, "identifier").Str+gjson.GetBytes(doc, "properties.stars").Raw+gjson.GetBytes(doc, "relations.project").Str)
	}
	if !slices.Equal(found, []string{"e000p", "e4444p"}) {
		t.Errorf("Search = %v", found)
	}
	var stale []string
	for ref, err := range t.c.Owned(ctx, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if ref.Blueprint == "service" && ref.Identifier >= "e20" {
			stale = append(stale, ref.Identifier)
		}
	}
	if _, err := t.c.Delete(ctx, port.DeleteOptions{Dependents: true, EventType: "resync", ResyncID: "r1"}, "service", stale); err != nil {
		t.Fatal(err)
	}
	if n := len(t.srv.Entities("service")); n != 20 || len(stale) != 25 {
		t.Errorf("%d entities left, %d stale, want 20, 25", n, len(stale))
	}
}

func TestClientRoundTrip(t *testing.T) {
	withClient(t, porttest.Options{}, func(t bubble) {
		t.srv.AddBlueprint(serviceBlueprint, projectBlueprint)
		roundTrip(t)
		bulks := t.srv.Requests(bulkRoute)
		if len(bulks) != 3 {
			t.Errorf("%d bulks, want 3", len(bulks))
		}
		for name, want := range map[string]string{
			"upsert": "true", "merge": "true", "create_missing_related_entities": "true", "validation_only": "false",
			"ocean_info_event_type": "resync", "ocean_info_resync_id": "r1",
		} {
			if got := bulks[0].Query(name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		e, _ := t.srv.Entity("service", "e00")
		if e.Datasource != "port-ocean/azure-devops/my-ado/1.0.0/exporter" {
			t.Errorf("datasource = %q", e.Datasource)
		}
	})
}

// TestClientRoundTripUnderFaults: the catalog ends up right whatever becomes of a request or its answer.
func TestClientRoundTripUnderFaults(t *testing.T) {
	for name, fault := range map[string]func(route string) porttest.Rule{
		"lost answer":     porttest.LostAnswer,
		"lost connection": porttest.LostConnection,
		"reset":           porttest.Reset,
		"truncated":       porttest.Truncate,
		"malformed":       porttest.Malformed,
		"html":            porttest.HTML,
		"expired token":   porttest.ExpireTokens,
		"429":             func(route string) porttest.Rule { return porttest.Status(route, 429) },
		"503":             func(route string) porttest.Rule { return porttest.Status(route, 503).Header("Retry-After", "30") },
		"slow":            func(route string) porttest.Rule { return porttest.Slow(route, 50*time.Second) },
		"hanging":         porttest.Hang,
	} {
		for _, route := range []string{bulkRoute, searchRoute, ownedRoute, deleteRoute} {
			t.Run(name+" "+route, func(t *testing.T) {
				withClient(t, porttest.Options{}, func(t bubble) {
					t.srv.AddBlueprint(serviceBlueprint, projectBlueprint)
					if _, err := t.c.Blueprint(t.Context(), "service"); err != nil { // Port has been reached
						t.Fatal(err)
					}
					t.srv.Fault(fault(route).Times(1))
					roundTrip(t)
				})
			})
		}
	}
}

func TestClientMeetsLimits(t *testing.T) {
	withClient(t, porttest.Options{}, func(t bubble) {
		t.srv.AddBlueprint(serviceBlueprint, projectBlueprint)
		list := services(5)
		list[1] = service("bad identifier", `"properties":{}`)
		list[2] = service("huge", `"properties":{"raw":{"x":"`+strings.Repeat("y", 1<<20)+`"}}`)
		list[3] = service("bad", `"properties":{"stars":[]}`)
		res, err := t.c.Upsert(t.Context(), resync, list)
		if err != nil {
			t.Fatal(err)
		}
		var status []int
		for i := range list {
			status = append(status, 0)
			if e := res.Err(i); e != nil {
				status[i] = e.Status
			}
		}
		if !slices.Equal(status, []int{0, 422, 413, 422, 0}) || len(t.srv.Entities("service")) != 2 {
			t.Errorf("status = %v with %d entities, want 0 422 413 422 0 with 2", status, len(t.srv.Entities("service")))
		}
	})
}

func TestClientResolvesSearchIdentifiers(t *testing.T) {
	withClient(t, porttest.Options{}, func(t bubble) {
		t.srv.AddBlueprint(serviceBlueprint, projectBlueprint)
		t.srv.PutEntity("someone", `{"identifier":"web","blueprint":"service","title":"Web"}`)
		body := func(title string) port.Entity {
			return port.Entity{Blueprint: "service", Search: true, Body: fmt.Appendf(nil,
				`{"identifier":{"combinator":"and","rules":[{"property":"$title","operator":"=","value":%q}]},"blueprint":"service","properties":{"stars":1}}`, title)}
		}
		res, err := t.c.Upsert(t.Context(), resync, []port.Entity{body("Web"), body("None")})
		if err != nil || failed(&res) != 0 || res.Identifiers[0] != "web" || !dropped(&res, 1) {
			t.Errorf("Upsert = %+v, %v", res, err)
		}
	})
}

func TestClientWithWrongCredentials(t *testing.T) {
	withClient(t, porttest.Options{}, func(t bubble) {
		t.srv.RejectCredentials(true)
		start := time.Now()
		if err := t.c.Setup(t.Context(), defaults); !errors.Is(err, port.ErrUnauthorized) {
			t.Errorf("Setup = %v, want ErrUnauthorized", err)
		}
		if d := time.Since(start); d > 15*time.Second {
			t.Errorf("gave up after %v", d)
		}
	})
}

func TestClientReports(t *testing.T) {
	withClient(t, porttest.Options{}, func(t bubble) {
		ctx := t.Context()
		if err := t.c.Setup(ctx, defaults); err != nil {
			t.Fatal(err)
		}
		if _, err := t.c.Integration(ctx); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(
			t.c.SetResyncState(ctx, port.ResyncState{Status: port.ResyncRunning}), t.c.Heartbeat(ctx, "r1"),
			t.c.SendExamples(ctx, "work item", [][]byte{[]byte(`{"id":1}`)}), t.c.SetCursor(ctx, "a", 1, time.Now()),
		); err != nil {
			t.Fatal(err)
		}
		in := t.srv.Integration()
		if len(in.States) != 1 || len(in.Heartbeats) != 1 || string(in.Examples["work item"]) != `[{"id":1}]` || len(in.Cursors) != 1 {
			t.Errorf("integration = %+v", in)
		}
		t.srv.TriggerResync()
		if at, err := t.c.ResyncRequest(ctx); err != nil || at.IsZero() {
			t.Errorf("ResyncRequest = %v, %v", at, err)
		}
	})
}
