package porttest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port/porttest"
)

const newIntegration = `{"installationId":"My-Ado","installationAppType":"azure-devops","version":"1.0.0","changelogDestination":{},"config":{},"createPortResourcesOrigin":"Default"}`

func TestIntegration(t *testing.T) {
	t.Parallel()
	now := newClock()
	srv := newServer(t, porttest.Options{Now: now.Now})
	a := newAPI(t, srv)
	const path = "/v1/integration/my-ado"
	a.want(404, "GET", path, "")
	a.want(422, "POST", "/v1/integration", `{}`)
	doc := a.want(201, "POST", "/v1/integration", newIntegration).Get("integration")
	a.want(409, "POST", "/v1/integration", newIntegration)
	if doc.Get("identifier").Str != "My-Ado" || doc.Get("config").Raw != "{}" || doc.Get("resyncState").Raw != "{}" || doc.Get("installationType").Str != "OnPrem" || doc.Get("arePortResourcesInitialized").Bool() {
		t.Errorf("integration = %s", doc.Raw)
	}
	if got := a.want(200, "GET", path+"/resync-request", "").Get("request").Raw; got != "null" {
		t.Errorf("resync request of a new integration = %s, want null", got)
	}
	a.want(200, "PATCH", path, `{"version":"1.1.0","arePortResourcesInitialized":true,"processingMode":"ocean-core"}`)
	if got := a.want(200, "GET", path+"/resync-request", "").Get("request").Raw; got != "null" {
		t.Errorf("resync request after a patch of the version = %s, want null", got)
	}
	a.want(200, "PATCH", path+"/config", `{"config":{"resources":[]}}`)
	first := a.want(200, "GET", path+"/resync-request", "").Get("request.updatedAt").Str
	srv.TriggerResync()
	second := a.want(200, "GET", path+"/resync-request", "").Get("request.updatedAt").Str
	a.want(200, "PATCH", path, ``)
	third := a.want(200, "GET", path+"/resync-request", "").Get("request.updatedAt").Str
	if first == "" || second <= first || third <= second {
		t.Errorf("requests at %q, %q, %q, want them to move on", first, second, third)
	}
	state := a.want(200, "PATCH", path+"/resync-state", `{"status":"running","lastResyncEnd":null,"intervalInMinuets":5}`)
	a.want(200, "PATCH", path+"/resync-state", `{"status":"completed"}`)
	if got := state.Get("integration.resyncState"); got.Get("status").Str != "running" || got.Get("updatedAt").Str <= third {
		t.Errorf("resync state = %s", got.Raw)
	}
	in := srv.Integration()
	if in.Identifier != "My-Ado" || in.Type != "azure-devops" || in.Version != "1.1.0" || in.Origin != "Default" || !in.Initialized || string(in.Config) != `{"resources":[]}` || len(in.States) != 2 {
		t.Errorf("Integration() = %+v", in)
	}
	a.want(200, "DELETE", path, "")
	a.want(404, "PATCH", path, `{}`)
	if got := srv.Integration().Identifier; got != "" {
		t.Errorf("integration %s after its deletion", got)
	}
}

func TestIntegrationReports(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	doc := a.want(201, "POST", "/v1/integration", newIntegration).Get("integration")
	local := func(name string) string {
		return strings.TrimPrefix(doc.Get(name+".ingestUrl").Str, "http://port.example")
	}
	logs, metrics := local("logAttributes"), local("metricAttributes")
	a.want(200, "POST", logs, `{"logs":[{"message":"a"},{"message":"b"}]}`)
	a.want(422, "POST", logs, `{}`)
	a.want(404, "POST", logs+"x", `{"logs":[]}`)
	a.want(202, "POST", metrics+"/syncMetrics", `{"syncKindsMetrics":[{"kindIdentifier":"a-0"},{"kindIdentifier":"b-1"}]}`)
	a.want(200, "PUT", metrics+"/syncMetrics/resync/e1/kind/a-0", `{"syncKindMetrics":{"syncState":"syncing"}}`)
	a.want(422, "POST", metrics+"/syncMetrics", `{"syncKindMetrics":{}}`)
	a.want(422, "PUT", metrics+"/syncMetrics/resync/e1/kind/a-0", `{"syncKindsMetrics":[]}`)
	a.want(200, "POST", metrics+"/heartbeat", `{"eventId":"e1"}`)
	a.want(200, "POST", "/v1/integration/my-ado/kinds/work%20item/examples", `{"examples":[{"id":1}]}`)
	a.want(422, "POST", "/v1/integration/my-ado/kinds/x/examples", `{}`)

	const cursor = "/v1/integration/my-ado/cursor?kind=pull-request&index=2"
	if got := a.want(200, "GET", cursor, "").Get("cursor").Raw; got != "null" {
		t.Errorf("cursor = %s, want null", got)
	}
	a.want(404, "PUT", cursor, `{"primary":"2026-01-01T00:00:00Z"}`)
	a.want(201, "POST", cursor, `{"primary":"2026-01-01T00:00:00Z"}`)
	a.want(200, "PUT", cursor, `{"primary":"2026-01-02T00:00:00Z"}`)
	if got := a.want(200, "GET", cursor, "").Get("cursor.primary").Str; got != "2026-01-02T00:00:00Z" {
		t.Errorf("cursor = %s", got)
	}
	in := srv.Integration()
	if len(srv.Logs()) != 2 || len(srv.Metrics()) != 3 || in.Heartbeats[0] != "e1" || string(in.Examples["work item"]) != `[{"id":1}]` || len(in.Cursors) != 1 {
		t.Errorf("reported %d logs, %d metrics, %+v", len(srv.Logs()), len(srv.Metrics()), in)
	}
}

func TestProvisioning(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{Provision: []string{"azure-devops"}, ProvisionedMapping: `{"resources":[1]}`, ProvisionPolls: 3})
	a := newAPI(t, srv)
	if got := a.want(200, "GET", "/v1/integration/provision-enabled", "").Get("integrations").Raw; got != `["azure-devops"]` {
		t.Errorf("integrations = %s", got)
	}
	a.want(201, "POST", "/v1/integration?integration_modes=create_resources", newIntegration)
	for i, want := range []string{"{}", "{}", `{"resources":[1]}`, `{"resources":[1]}`} {
		if got := a.want(200, "GET", "/v1/integration/My-Ado", "").Get("integration.config").Raw; got != want {
			t.Errorf("poll %d: config = %s, want %s", i, got, want)
		}
	}
}

func TestSetMappingBeforeAndAfter(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	srv.SetMapping(`{"resources":["user"]}`)
	doc := a.want(201, "POST", "/v1/integration", strings.Replace(newIntegration, `"config":{}`, `"config":{"resources":["default"]}`, 1))
	if got := doc.Get("integration.config").Raw; got != `{"resources":["user"]}` {
		t.Errorf("config = %s, want that of the user", got)
	}
	srv.SetMapping(`{"resources":["changed"]}`)
	if got := string(srv.Integration().Config); got != `{"resources":["changed"]}` {
		t.Errorf("config = %s, want the changed one", got)
	}
	if got := a.want(200, "GET", "/v1/integration/My-Ado/resync-request", "").Get("request.updatedAt").Str; got == "" {
		t.Error("a changed mapping asked for no resync")
	}
}

func TestBlueprints(t *testing.T) {
	t.Parallel()
	srv := porttest.NewUnstarted(porttest.Options{})
	t.Cleanup(srv.Close)
	a := newAPI(t, srv)
	a.want(404, "POST", "/v1/blueprints", serviceBlueprint) // its relations lead nowhere yet
	a.want(422, "POST", "/v1/blueprints", `{"identifier":"x","schema":{}}`)
	a.want(422, "POST", "/v1/blueprints", `{"identifier":"x y","schema":{"properties":{}}}`)
	a.want(422, "POST", "/v1/blueprints", `{"identifier":"x","schema":{"properties":{"a":{"type":"text"}}}}`)
	a.want(201, "POST", "/v1/blueprints", projectBlueprint)
	a.want(409, "POST", "/v1/blueprints", projectBlueprint)
	a.want(201, "POST", "/v1/blueprints", `{"identifier":"service","title":"S","schema":{"properties":{}}}`)
	a.want(422, "PATCH", "/v1/blueprints/service", `{"mirrorProperties":{"link":{"path":"project.link"}}}`)
	a.want(404, "PATCH", "/v1/blueprints/service", `{"relations":{"team":{"target":"team"}}}`)
	a.want(404, "PATCH", "/v1/blueprints/service", `{"aggregationProperties":{"n":{"target":"team"}}}`)
	a.want(200, "PATCH", "/v1/blueprints/service", `{"relations":{"project":{"target":"project","many":false,"required":false}}}`)
	doc := a.want(200, "PATCH", "/v1/blueprints/service", `{"mirrorProperties":{"link":{"path":"project.link"}},"calculationProperties":{}}`).Get("blueprint")
	if doc.Get("title").Str != "S" || doc.Get("relations.project.target").Str != "project" || doc.Get("mirrorProperties.link.path").Str == "" {
		t.Errorf("blueprint = %s", doc.Raw)
	}
	a.want(409, "DELETE", "/v1/blueprints/project", "")
	a.upsert(200, "service", true, true, `{"identifier":"a"}`)
	a.want(409, "DELETE", "/v1/blueprints/service", "")
	a.want(200, "POST", "/v1/blueprints/service/bulk/entities/delete", `{"entities":["a"]}`)
	a.want(200, "PUT", "/v1/blueprints/service", `{"identifier":"service","schema":{"properties":{}}}`)
	a.want(200, "DELETE", "/v1/blueprints/project", "")
	a.want(404, "GET", "/v1/blueprints/project", "")
	if got := a.want(200, "GET", "/v1/blueprints", "").Get("blueprints.#.identifier").Raw; got != `["service"]` || len(srv.Blueprints()) != 1 {
		t.Errorf("blueprints = %s", got)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	a.want(201, "POST", "/v1/pages", `{"identifier":"home","title":"Home"}`)
	a.want(409, "POST", "/v1/pages", `{"identifier":"home"}`)
	a.want(201, "POST", "/v1/actions", `{"title":"no identifier"}`)
	a.want(201, "POST", "/v1/blueprints/service/scorecards", `{"identifier":"s"}`)
	a.want(409, "POST", "/v1/blueprints/service/scorecards", `{"identifier":"s"}`)
	a.want(404, "POST", "/v1/blueprints/none/scorecards", `{"identifier":"s"}`)
	if got := a.want(200, "GET", "/v1/blueprints/service/scorecards", "").Get("scorecards.0.blueprint").Str; got != "service" {
		t.Errorf("blueprint of the scorecard = %q", got)
	}
	if got := a.want(200, "GET", "/v1/pages/home", "").Get("page.title").Str; got != "Home" || len(srv.Documents("page")) != 1 || len(srv.Documents("action")) != 1 || len(srv.Documents("scorecard")) != 1 {
		t.Errorf("title of the page = %q", got)
	}
	a.want(200, "DELETE", "/v1/pages/home", "")
	a.want(404, "DELETE", "/v1/pages/home", "")
}

func TestRuns(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	claim := func(body string) []gjson.Result {
		return a.want(200, "POST", "/v1/actions/runs/claim-pending", body).Get("runs").Array()
	}
	if n := len(claim(`{"installationId":"my-ado","limit":5}`)); n != 0 {
		t.Errorf("claimed %d runs, want none", n)
	}
	id := srv.AddRun("my-ado", "trigger_pipeline", `{"pipelineId":7}`)
	for _, body := range []string{`{"installationId":"other","limit":5}`, `{"installationId":"my-ado","limit":0}`, `{"installationId":"my-ado","limit":1,"exclude":["trigger_pipeline"]}`} {
		if n := len(claim(body)); n != 0 {
			t.Errorf("claim %s = %d runs, want none", body, n)
		}
	}
	got := claim(`{"installationId":"my-ado","limit":5}`)
	if len(got) != 1 || got[0].Get("id").Str != id || got[0].Get("payload.integrationActionExecutionProperties.pipelineId").Int() != 7 {
		t.Fatalf("claimed %v", got)
	}
	if n := len(claim(`{"installationId":"my-ado","limit":5}`)); n != 0 {
		t.Errorf("claimed %d runs twice", n)
	}
	a.want(200, "PATCH", "/v1/actions/runs/ack", `{"runId":"`+id+`"}`)
	a.want(409, "PATCH", "/v1/actions/runs/ack", `{"runId":"`+id+`"}`)
	a.want(200, "PATCH", "/v1/actions/runs/"+id, `{"externalRunId":"77","link":"https://x"}`)
	a.want(200, "POST", "/v1/actions/runs/"+id+"/logs", `{"message":"hello"}`)
	if n := a.want(200, "GET", "/v1/actions/runs?version=v2&external_run_id=77", "").Get("runs.#").Int(); n != 1 {
		t.Errorf("found %d runs, want 1", n)
	}
	a.want(200, "PATCH", "/v1/actions/runs/"+id, `{"status":"SUCCESS"}`)
	a.want(404, "PATCH", "/v1/actions/runs/none", `{}`)
	a.want(200, "POST", "/v1/workflows/runs/claim-pending", `{"installationId":"my-ado"}`)
	run := srv.Runs()[0]
	if run.Status != "SUCCESS" || !run.Claimed || !run.Done || len(run.Logs) != 1 {
		t.Errorf("run = %+v", run)
	}
}

// TestRecordsAreBounded: the demo runs for days.
func TestRecordsAreBounded(t *testing.T) {
	t.Parallel()
	srv := newServer(t, porttest.Options{})
	a := newAPI(t, srv)
	logs := a.want(201, "POST", "/v1/integration", newIntegration).Get("integration.logAttributes.ingestUrl").Str
	body := `{"logs":[0` + strings.Repeat(",1", 999) + `]}`
	for range 30 {
		a.want(200, "POST", strings.TrimPrefix(logs, "http://port.example"), body)
	}
	if n := len(srv.Logs()); n < 10000 || n > 20000 {
		t.Errorf("%d log records kept, want 10,000 to 20,000", n)
	}
}

func TestClockStandsStill(t *testing.T) {
	t.Parallel()
	now := newClock()
	srv := newServer(t, porttest.Options{Now: now.Now})
	a := newAPI(t, srv)
	a.want(201, "POST", "/v1/integration", newIntegration)
	srv.TriggerResync()
	at := a.want(200, "GET", "/v1/integration/my-ado/resync-request", "").Get("request.updatedAt").Time()
	if d := at.Sub(now.Now()); d != time.Millisecond {
		t.Errorf("request is %v after the clock, want 1ms", d)
	}
}
