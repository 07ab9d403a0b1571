package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/port/porttest"
)

// addRun makes a run of the pipeline pending.
func (b *liveBench) addRun() (id string) {
	return b.catalog.AddRun("my-azure-devops-integration", triggerPipeline, fmt.Sprintf(`{"project":"Payments","pipelineId":"%d"}`, b.build.Pipeline.ID))
}

// wantRun waits until Port shows a run so.
func (b *liveBench) wantRun(t *testing.T, what string, done func(porttest.Run) bool) {
	t.Helper()
	b.until(t, what, func() bool { return done(b.catalog.Runs()[0]) })
}

func (b *liveBench) wantEnd(t *testing.T, status string) {
	t.Helper()
	b.wantRun(t, "the run is "+status, func(r porttest.Run) bool { return r.Status == status })
}

// An installation whose only process runs actions does that and nothing else.
func TestActionsOnlyRunsActions(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__EVENT_LISTENER__TYPE"], b.environ["OCEAN__SCHEDULED_RESYNC_INTERVAL"] = "ACTIONS_ONLY", "1s"
	b.addRun()
	stop := b.service(t)
	b.wantRun(t, "the run is started", func(r porttest.Run) bool { return gjson.GetBytes(r.Document, "externalRunId").Exists() })
	b.project.Builds[1].Finish("succeeded")
	b.wantEnd(t, "SUCCESS")
	if !strings.Contains(string(b.catalog.Integration().Document), `"actionsProcessingEnabled":true`) {
		t.Errorf("Port does not know that actions are processed: %s", b.catalog.Integration().Document)
	}
	if log := stop(); len(b.catalog.Integration().States) != 0 || len(b.catalog.Entities("")) != 0 || strings.Contains(log, "self-service actions:") {
		t.Errorf("states %s\n%s", b.catalog.Integration().States, log)
	}
}

// A process with another listener runs them beside everything else, and shows them.
func TestActionsBesideResyncs(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__ACTIONS_PROCESSOR__ENABLED"] = "true"
	b.addRun()
	o := observe(t, b)
	b.wantRun(t, "the run is started", func(r porttest.Run) bool { return gjson.GetBytes(r.Document, "externalRunId").Exists() })
	o.shows(t, "ado_port_actions_runs_in_flight 1", `ado_port_actions_started_runs_total 1`)
	b.project.Builds[1].Finish("failed")
	b.wantEnd(t, "FAILURE")
	o.shows(t, `ado_port_actions_ended_runs_total{result="failed"} 1`, "ado_port_actions_runs_in_flight 0")
	if status := o.get(t, "/status.json"); gjson.Get(status, "actions.failed").Int() != 1 || gjson.Get(status, "actions.inFlight").Int() != 0 {
		t.Errorf("status %s", gjson.Get(status, "actions"))
	}
	o.stop()
}

// endedElsewhere has a pipeline end that another process has started for a run.
func (b *liveBench) endedElsewhere(t *testing.T) {
	t.Helper()
	b.environ["OCEAN__EVENT_LISTENER__TYPE"] = "WEBHOOKS_ONLY"
	id := b.addRun()
	b.service(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.ado.Subscribed(ctx, azuredevops.RunStateChanged); err != nil {
		t.Fatal(err)
	}
	external := fmt.Sprintf("ado_%s_%d_%d", b.project.ID, b.build.Pipeline.ID, b.build.ID)
	b.patchRun(t, id, `{"externalRunId":"`+external+`"}`)
	b.build.Finish("succeeded")
}

// Live events and actions may be in two processes: the hook that tells of the end
// comes to the one that executes nothing.
func TestActionsEndByAHookOfAnotherProcess(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__ACTIONS_PROCESSOR__ENABLED"] = "true"
	b.catalog.SetMapping(`{"resources":[` + resource("repository", ".name", ".name", ".id") + `]}`) // which needs no such event
	b.endedElsewhere(t)
	b.wantEnd(t, "SUCCESS")
	if r := b.catalog.Runs()[0]; r.Claimed || strings.Contains(string(b.catalog.Integration().Document), `"actionsProcessingEnabled":true`) {
		t.Errorf("a process that runs no actions has claimed them: %+v", r)
	}
}

// Without actions the end of a pipeline costs no call to Port.
func TestNothingIsLookedUpWithoutActions(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.catalog.SetMapping(`{"resources":[` + resource("pipeline-run", ".id | tostring", `"run"`, ".state") + `]}`)
	b.catalog.AddBlueprint(`{"identifier":"pipeline-run","schema":{"properties":{"state":{"type":"string"}}}}`)
	b.endedElsewhere(t)
	b.want(t, "pipeline-run", fmt.Sprint(b.build.ID), `run: "completed"`)
	if n := len(b.catalog.Requests("GET /v1/actions/runs", "GET /v1/workflows/nodes/runs", "POST /v1/actions/runs/claim-pending")); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// Port hears that actions are processed only from a process that does so.
func TestPortIsToldOfActionsOnlyWhereTheyAreRun(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]map[string]string{
		"ONCE":     {"OCEAN__ACTIONS_PROCESSOR__ENABLED": "true"},
		"a person": {"OCEAN__ACTIONS_PROCESSOR__ENABLED": "true", "OCEAN__PORT__CLIENT_ID": "me@example.com", "OCEAN__EVENT_LISTENER": `{"type":"ACTIONS_ONLY"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, catalog, environ := servers(t)
			environ["OCEAN__STATE_DIRECTORY"] = t.TempDir()
			for k, v := range set {
				environ[k] = v
			}
			if name == "ONCE" {
				if code, _, errs := start(t, t.Context(), nil, environ); code != ocean.ExitGood || !strings.Contains(errs, "self-service actions: the listener is ONCE") {
					t.Errorf("exit code %d\n%s", code, errs)
				}
			} else {
				l := listenTo(t, catalog, environ)
				l.says(t, "machine users only")
				l.stop()
			}
			for _, r := range catalog.Requests() {
				if strings.Contains(string(r.Body), `"actionsProcessingEnabled":true`) || strings.HasSuffix(r.Path, "claim-pending") {
					t.Errorf("%s %s %s", r.Method, r.Path, r.Body)
				}
			}
		})
	}
}

// patchRun changes a run as another process would.
func (b *liveBench) patchRun(t *testing.T, id, body string) {
	t.Helper()
	do := func(method, path, body, token string) []byte {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://port"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := b.catalog.Transport().RoundTrip(req)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	token := do(http.MethodPost, "/v1/auth/access_token", `{"clientId":"cid","clientSecret":"port-secret-that-nobody-may-see"}`, "")
	do(http.MethodPatch, "/v1/actions/runs/"+id, body, gjson.GetBytes(token, "accessToken").Str)
}
