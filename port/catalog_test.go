package port_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	documented = "port-ocean/azure-devops/mine/0.9/exporter"
	oceanOrder = "port-ocean/azure-devops/0.12.2/mine/exporter"
)

func put(srv *porttest.Server, agent string, ids ...string) {
	for _, id := range ids {
		srv.PutEntity(agent, fmt.Sprintf(`{"blueprint":"service","identifier":%q,"title":"T","properties":{"n":1}}`, id))
	}
}

func TestOwned(t *testing.T) {
	t.Parallel()
	srv, c := catalog(t, porttest.Options{})
	put(srv, documented, "a", "b")
	put(srv, oceanOrder, "c")
	put(srv, "port-ocean/azure-devops/mine/0.9/gitops", "d")
	put(srv, "port-ocean/azure-devops/other/0.9/exporter", "e")
	put(srv, "port-ocean/gitlab/mine/0.9/exporter", "f")
	put(srv, "browser", "g")
	var got []string
	for ref, err := range c.Owned(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ref.String())
	}
	if want := []string{"service/a", "service/b", "service/c"}; !slices.Equal(got, want) {
		t.Errorf("Owned = %q, want %q", got, want)
	}
	for ref := range c.Owned(t.Context(), time.Now().Add(-time.Hour)) {
		t.Errorf("%v is not older than an hour", ref)
	}
	for range c.Owned(t.Context(), time.Time{}) {
		break
	}
	got = nil
	for raw, err := range c.Search(t.Context(), port.SearchQuery{
		Blueprint: "service", IDs: []string{"a", "c", "d", "e", "f", "g", "h"}, Include: []string{"title", "properties.n"},
	}) {
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Identifier string
			Properties struct{ N int }
		}
		if err := json.Unmarshal(raw, &e); err != nil || e.Properties.N != 1 {
			t.Errorf("%s: %v", raw, err)
		}
		got = append(got, e.Identifier)
	}
	if want := []string{"a", "c"}; !slices.Equal(got, want) {
		t.Errorf("Search = %q, want %q", got, want)
	}
}

const heldRoute = "POST /v1/blueprints/{blueprint}/entities/search"

// heldBy collects what Held yields.
func heldBy(t *testing.T, c *port.Client, f port.Feature) (ids []string, err error) {
	t.Helper()
	for entity, e := range c.Held(t.Context(), "service", f) {
		if e != nil {
			return ids, e
		}
		var held struct {
			Identifier string
			Properties struct{ N int }
		}
		if e := json.Unmarshal(entity, &held); e != nil || held.Properties.N != 1 {
			t.Errorf("%s: %v", entity, e)
		}
		ids = append(ids, held.Identifier)
	}
	return ids, nil
}

func TestHeld(t *testing.T) {
	t.Parallel()
	srv, c := catalog(t, porttest.Options{KeepBodies: true})
	put(srv, documented, "a", "b")
	put(srv, oceanOrder, "c")
	put(srv, "port-ocean/azure-devops/mine/0.9/gitops", "d")
	put(srv, "port-ocean/azure-devops/other/0.9/exporter", "e")
	put(srv, "browser", "g")
	for f, want := range map[port.Feature]string{port.FeatureExporter: "a b c", port.FeatureGitOps: "d"} {
		if ids, err := heldBy(t, c, f); err != nil || strings.Join(ids, " ") != want {
			t.Errorf("Held of %s = %q, %v, want %q", f, ids, err, want)
		}
	}
	var more []string
	for i := range 1500 {
		more = append(more, fmt.Sprint("more-", i))
	}
	put(srv, documented, more...)
	srv.ForgetRequests()
	if ids, err := heldBy(t, c, port.FeatureExporter); err != nil || len(ids) != 1503 || len(srv.Requests(heldRoute)) != 3 {
		t.Errorf("%d entities in %d pages, %v", len(ids), len(srv.Requests(heldRoute)), err)
	}
	for range c.Held(t.Context(), "service", port.FeatureExporter) {
		break
	}
	if n := len(srv.Requests(heldRoute)); n != 4 {
		t.Errorf("%d requests after the first entity was enough, want 4", n)
	}
}

func TestHeldFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]porttest.Rule{
		"truncated": porttest.Truncate(heldRoute), "malformed": porttest.Malformed(heldRoute), "html": porttest.HTML(heldRoute), "reset": porttest.Reset(heldRoute),
		"no list": porttest.Status(heldRoute, 200).Body(`{"ok":true}`), "500": porttest.Status(heldRoute, 500),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, c := catalog(t, porttest.Options{})
				put(srv, documented, "a", "b")
				if name != "no list" {
					srv.Fault(fault.Times(2))
					if ids, err := heldBy(t, c, port.FeatureExporter); len(ids) != 2 || err != nil {
						t.Errorf("after two faults: %q, %v", ids, err)
					}
					srv.ClearFaults()
				}
				srv.Fault(fault)
				if ids, err := heldBy(t, c, port.FeatureExporter); len(ids) != 0 || err == nil {
					t.Errorf("with a lasting fault: %q, %v, want an error", ids, err)
				}
			})
		})
	}
	t.Run("the same page again", func(t *testing.T) {
		t.Parallel()
		srv, c := catalog(t, porttest.Options{})
		srv.Fault(porttest.Status(heldRoute, 200).Body(`{"ok":true,"entities":[{"identifier":"a","properties":{"n":1}}],"next":"x"}`))
		if ids, err := heldBy(t, c, port.FeatureExporter); len(ids) != 2 || err == nil {
			t.Errorf("%q, %v, want an error", ids, err)
		}
		n := 0
		for range c.Held(t.Context(), "service", port.FeatureExporter) {
			if n++; n == 2 { // whoever has enough hears nothing more
				break
			}
		}
	})
	t.Run("too large", func(t *testing.T) {
		t.Parallel()
		srv, c := catalog(t, porttest.Options{KeepBodies: true})
		for i := range 3 {
			srv.PutEntity(documented, fmt.Sprintf(`{"identifier":"%d","blueprint":"service","properties":{"n":1,"s":%q}}`, i, strings.Repeat("x", 6<<20)))
		}
		if ids, err := heldBy(t, c, port.FeatureExporter); err != nil || len(ids) != 3 {
			t.Errorf("%q, %v", ids, err)
		}
		requests := srv.Requests(heldRoute)
		if last := requests[len(requests)-1].Body; !strings.Contains(string(last), `"limit":1,`) {
			t.Errorf("the last request is %s", last)
		}
	})
}

// A cursor that comes back, a page that cannot be read and an error on the
// second page end the list with an error.
func TestOwnedPages(t *testing.T) {
	t.Parallel()
	page := func(id, next string) string {
		return fmt.Sprintf(`{"ok":true,"entities":[{"identifier":%q,"blueprint":"service"}],"next":%s}`, id, next)
	}
	for name, tt := range map[string]struct {
		pages []string
		want  string
		fails bool
	}{
		"all":           {[]string{page("a", `"2"`), page("b", `null`), page("c", `null`)}, "a b c", false},
		"same cursor":   {[]string{page("a", `"2"`), page("b", `"2"`)}, "a b", true},
		"no list":       {[]string{`{"ok":true}`}, "", true},
		"no identifier": {[]string{`{"entities":[{"blueprint":"service"}]}`}, "", true},
		"not an object": {[]string{`{"entities":[1]}`}, "", true},
		"refused":       {[]string{page("a", `"2"`), ""}, "a", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, c := catalog(t, porttest.Options{})
			for _, p := range tt.pages {
				rule := porttest.Status(ownedRoute, http.StatusForbidden)
				if p != "" {
					rule = porttest.Status(ownedRoute, http.StatusOK).Body(p)
				}
				srv.Fault(rule.Times(1))
			}
			var got []string
			var failed error
			for ref, err := range c.Owned(t.Context(), time.Time{}) {
				if failed = err; err == nil {
					got = append(got, ref.Identifier)
				}
			}
			if strings.Join(got, " ") != tt.want || (failed != nil) != tt.fails {
				t.Errorf("Owned = %q, %v, want %q", got, failed, tt.want)
			}
		})
	}
}

func TestOwnedFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(string) porttest.Rule{
		"truncated": porttest.Truncate, "malformed": porttest.Malformed, "html": porttest.HTML, "reset": porttest.Reset,
		"empty": func(r string) porttest.Rule { return porttest.Status(r, 200).Body("\n") },
		"500":   func(r string) porttest.Rule { return porttest.Status(r, 500) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, c := catalog(t, porttest.Options{})
				put(srv, documented, "a", "b")
				list := func() (n int, err error) {
					for _, e := range c.Owned(t.Context(), time.Time{}) {
						if err = e; e == nil {
							n++
						}
					}
					return n, err
				}
				srv.Fault(fault(ownedRoute).Times(2))
				if n, err := list(); n != 2 || err != nil {
					t.Errorf("after two faults: %d, %v", n, err)
				}
				srv.ClearFaults()
				srv.Fault(fault(ownedRoute))
				if n, err := list(); n != 0 || err == nil {
					t.Errorf("with a lasting fault: %d, %v, want an error", n, err)
				}
			})
		})
	}
}

func TestLayoutAuto(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		agent string
		write string
	}{
		"ocean":      {oceanOrder, "port-ocean/azure-devops/1.2.3/mine/exporter"},
		"documented": {documented, "port-ocean/azure-devops/mine/1.2.3/exporter"},
		"stranger":   {"port-ocean/azure-devops/0.12.2/other/exporter", "port-ocean/azure-devops/mine/1.2.3/exporter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, c := catalog(t, porttest.Options{}, func(cfg *port.ClientConfig) { cfg.UserAgentLayout = port.LayoutAuto })
			put(srv, tt.agent, "a")
			for range 2 {
				if _, err := c.Upsert(t.Context(), merge, entities(1)); err != nil {
					t.Fatal(err)
				}
			}
			if e, _ := srv.Entity("service", "s0"); e.Datasource != tt.write {
				t.Errorf("written as %q, want %q", e.Datasource, tt.write)
			}
			if got := count(srv, ownedRoute); got != 1 {
				t.Errorf("asked %d times, want once", got)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{})
		var ids []string
		for i := range 250 {
			ids = append(ids, fmt.Sprint("d", i))
		}
		put(srv, documented, ids...)
		const route = "POST /v1/blueprints/{blueprint}/bulk/entities/delete"
		srv.Fault(porttest.LostAnswer(route).Times(1).After(1), porttest.Status(route, 403).After(2)) // requests that the first rule takes do not count
		deleted, err := c.Delete(t.Context(), port.DeleteOptions{Dependents: true, EventType: "resync", ResyncID: "r"}, "service", ids)
		if err == nil {
			t.Error("the third request was refused without an error")
		}
		if got := len(srv.Entities("service")); got != 50 || len(deleted) < 100 {
			t.Errorf("%d entities left, %d reported as deleted, want 50 left", got, len(deleted))
		}
		for _, r := range srv.Requests(route) {
			if r.Query("delete_dependents") != "true" || r.Query("ocean_info_resync_id") != "r" {
				t.Errorf("query of %s", r.Path)
			}
		}
	})
}

func TestBlueprintCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{})
		const route = "GET /v1/blueprints/{blueprint}"
		for range 3 {
			b, err := c.Blueprint(t.Context(), "service")
			if err != nil || b.Relations["parent"].Target != "service" {
				t.Fatalf("Blueprint = %+v, %v", b, err)
			}
		}
		if _, err := c.Blueprint(t.Context(), "a b/c"); !errors.Is(err, port.ErrNotFound) {
			t.Errorf("err = %v, want ErrNotFound", err)
		}
		time.Sleep(2 * time.Minute)
		_, _ = c.Blueprint(t.Context(), "service")
		if got := count(srv, route); got != 3 {
			t.Errorf("asked %d times, want 3", got)
		}
	})
}

func TestKafkaAccess(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {"OCEAN_KAFKA_INTEGRATION_RESYNC_REQUESTS_TOPIC_ENABLED"}} {
		srv, c := catalog(t, porttest.Options{FeatureFlags: flags, Kafka: porttest.Kafka{Username: "user", Password: testSecret}})
		if org, requests, err := c.KafkaTopic(t.Context()); err != nil || !strings.HasPrefix(org, "org_") || requests != (flags != nil) {
			t.Errorf("KafkaTopic = %q, %t, %v", org, requests, err)
		}
		if user, password, err := c.KafkaCredentials(t.Context()); err != nil || user != "user" || password != testSecret {
			t.Errorf("KafkaCredentials = %q, %v", user, err)
		}
		srv.Fault(porttest.Status("GET /v1/kafka-credentials", 200).Body(`{"ok":true}`))
		if _, _, err := c.KafkaCredentials(t.Context()); err == nil {
			t.Error("credentials of an answer that has none")
		}
	}
}

func TestIntegrationCalls(t *testing.T) {
	t.Parallel()
	srv, c := catalog(t, porttest.Options{KeepBodies: true})
	ctx := t.Context()
	if err := c.Setup(ctx, port.SetupConfig{Origin: port.OriginEmpty}); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 8, 20, 10, 0, 0, 123456000, time.UTC)
	state := port.ResyncState{Status: port.ResyncRunning, Start: at, Next: at.Add(time.Hour), Interval: 2 * time.Hour}
	if err := c.SetResyncState(ctx, state); err != nil {
		t.Error(err)
	}
	if err := c.SetResyncState(ctx, port.ResyncState{Status: "aborted", Start: at, End: at}); err != nil {
		t.Error(err)
	}
	states := srv.Integration().States
	if len(states) != 2 {
		t.Fatalf("states = %s", states)
	}
	for _, part := range []string{`"intervalInMinuets":120`, `"lastResyncEnd":null`, `"lastResyncStart":"2026-08-20T10:00:00.123456+00:00"`} {
		if !strings.Contains(string(states[0]), part) {
			t.Errorf("%s is not in %s", part, states[0])
		}
	}
	if !strings.Contains(string(states[1]), `"intervalInMinuets":null`) {
		t.Errorf("state = %s", states[1])
	}
	if got, err := c.Cursor(ctx, "work-item", 5); err != nil || !got.IsZero() {
		t.Errorf("Cursor = %v, %v, want none", got, err)
	}
	if err := c.SetCursor(ctx, "work-item", 5, at); err != nil {
		t.Error(err)
	}
	if got, err := c.Cursor(ctx, "work-item", 5); err != nil || !got.Equal(at) {
		t.Errorf("Cursor = %v, %v, want %v", got, err, at)
	}
	if got, err := c.ResyncRequest(ctx); err != nil || !got.IsZero() {
		t.Errorf("ResyncRequest = %v, %v, want none", got, err)
	}
	srv.TriggerResync()
	if got, err := c.ResyncRequest(ctx); err != nil || got.IsZero() {
		t.Errorf("ResyncRequest = %v, %v", got, err)
	}
	if err := c.SendExamples(ctx, "project", [][]byte{[]byte(`{"u":"` + testSecret + `"}`), []byte(`{"n":1}`)}); err != nil {
		t.Error(err)
	}
	if got := string(srv.Integration().Examples["project"]); got != `[{"u":"[REDACTED]"},{"n":1}]` {
		t.Errorf("examples = %s", got)
	}
	if err := c.SyncMetrics(ctx, port.SyncReport{KindIdentifier: "work-item-5", EventID: "e", State: port.SyncPending}); err != nil {
		t.Error(err)
	}
	if err := c.SyncKindMetrics(ctx, port.SyncReport{KindIdentifier: "work-item-5", EventID: "e", State: port.SyncCompleted, RawExtracted: 10}); err != nil {
		t.Error(err)
	}
	got := fmt.Sprintf("%s", srv.Metrics())
	for _, part := range []string{`"kind":"work-item"`, `"kindIndex":5`, `"raw_extracted":{"object_count":10}`, `"syncState":"completed"`} {
		if !strings.Contains(got, part) {
			t.Errorf("%s is not in %s", part, got)
		}
	}
}

// The entities of one feature are not those of the other, in either layout, and
// whatever the installation is called.
func TestFeatures(t *testing.T) {
	t.Parallel()
	for _, layout := range []port.Layout{port.LayoutDocumented, port.LayoutOcean} {
		for _, mine := range []string{"mine", "gitops-mine", "Exporter"} {
			t.Run(string(layout)+" "+mine, func(t *testing.T) {
				t.Parallel()
				srv, c := catalog(t, porttest.Options{}, func(cfg *port.ClientConfig) {
					cfg.Identifier, cfg.UserAgentLayout = mine, layout
				})
				agent := "port-ocean/azure-devops/" + mine + "/1.2.3/"
				if layout == port.LayoutOcean {
					agent = "port-ocean/azure-devops/1.2.3/" + mine + "/"
				}
				put(srv, "port-ocean/azure-devops/0.12.2/"+mine+"/exporter", "exported")
				put(srv, "port-ocean/azure-devops/0.12.2/"+mine+"/gitops", "declared")
				put(srv, "port-ocean/azure-devops/0.12.2/other/gitops", "foreign")
				put(srv, "browser", "drawn")
				o := port.UpsertOptions{Merge: true, Feature: port.FeatureGitOps}
				if _, err := c.Upsert(t.Context(), o, []port.Entity{entity("new", `"n":1`)}); err != nil {
					t.Fatal(err)
				}
				if e, _ := srv.Entity("service", "new"); e.Datasource != agent+"gitops" {
					t.Errorf("written as %q, want %q", e.Datasource, agent+"gitops")
				}
				for f, want := range map[port.Feature]string{port.FeatureExporter: "exported", port.FeatureGitOps: "declared new"} {
					if got := foundBy(t, c, f, "exported", "declared", "foreign", "drawn", "new"); got != want {
						t.Errorf("%s finds %q, want %q", f, got, want)
					}
				}
				if got := owned(t, c); got != "exported" {
					t.Errorf("owned are %q, want those of the exporter", got)
				}
				const route = "POST /v1/blueprints/{blueprint}/bulk/entities/delete"
				if _, err := c.Delete(t.Context(), port.DeleteOptions{Feature: port.FeatureGitOps}, "service", []string{"new"}); err != nil {
					t.Fatal(err)
				}
				if got := srv.Requests(route)[0].Agent; got != agent+"gitops" {
					t.Errorf("deleted as %q, want %q", got, agent+"gitops")
				}
			})
		}
	}
}

func owned(t *testing.T, c *port.Client) string {
	t.Helper()
	var got []string
	for ref, err := range c.Owned(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ref.Identifier)
	}
	slices.Sort(got)
	return strings.Join(got, " ")
}

func foundBy(t *testing.T, c *port.Client, f port.Feature, ids ...string) string {
	t.Helper()
	var got []string
	for raw, err := range c.Search(t.Context(), port.SearchQuery{Blueprint: "service", IDs: ids, Feature: f}) {
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ Identifier string }
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Identifier)
	}
	slices.Sort(got)
	return strings.Join(got, " ")
}
