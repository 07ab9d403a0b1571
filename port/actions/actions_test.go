package actions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port/actions"
	"github.com/ado-port/ado-port/port/porttest"
)

func TestARunIsClaimedStartedFollowedAndReported(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		id := b.add(`,"branch":"main","templateParameters":{"env":"prod"},"variables":{"A":1,"B":{"value":"x","isSecret":true}}`)
		defer b.process()()
		b.after(time.Second)
		build := b.builds(1)
		if build.Branch != "refs/heads/main" || build.Parameters != `{"env":"prod"}` || build.Variables != `{"A":{"value":"1"},"B":{"isSecret":true,"value":"x"}}` {
			t.Errorf("started %+v", build)
		}
		b.known(id, build)
		b.wants(id, "IN_PROGRESS")
		if r := b.run(id); !r.Done || len(r.Logs) != 2 {
			t.Errorf("run %+v", r)
		}
		build.Finish("succeeded")
		b.after(time.Minute)
		b.wants(id, "SUCCESS")
		b.says(id, "ended with the result succeeded")
		b.counts("ado_port_actions_ended_runs_total", 1)
		b.counts("ado_port_actions_runs_in_flight", 0)
		if s := b.Status(); s.Done != 1 || s.InFlight != 0 || !s.Claims {
			t.Errorf("status %+v", s)
		}
	})
}

func TestANodeOfAWorkflowIsReportedWithItsOutput(t *testing.T) {
	t.Parallel()
	for result, want := range map[string]string{"succeeded": "COMPLETED SUCCESS", "failed": "COMPLETED FAILED", "canceled": "COMPLETED CANCELLED"} {
		inBubble(t, func(b *bench) {
			id := b.port.AddNodeRun(installation, "node-1", trigger, fmt.Sprintf(`{"project":"Store","pipelineId":%d}`, b.pipeline.ID))
			defer b.process()()
			b.after(time.Second)
			build := b.builds(1)
			b.wants(id, "IN_PROGRESS")
			build.Finish(result)
			b.after(time.Minute)
			b.wants(id, want)
			patches := b.bodies("PATCH /v1/workflows/nodes/runs/{run}")
			if len(patches) != 2 {
				t.Fatalf("patches %s", patches)
			}
			for _, p := range patches {
				if gjson.Get(p, "output.pipelineRunId").Int() != int64(build.ID) || !strings.Contains(gjson.Get(p, "output.workflowRunUrl").Str, "buildId") {
					t.Errorf("patch %s", p)
				}
			}
		})
	}
}

// An action has no word for what was canceled: it has failed, and its log says why.
func TestWhatDidNotSucceedHasFailed(t *testing.T) {
	t.Parallel()
	for _, result := range []string{"failed", "canceled"} {
		inBubble(t, func(b *bench) {
			id := b.add("")
			defer b.process()()
			b.after(time.Second)
			b.builds(1).Finish(result)
			b.after(time.Minute)
			b.wants(id, "FAILURE")
			b.says(id, "with the result "+result)
		})
	}
}

func TestInputsAreCheckedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ inputs, says string }{
		"nothing":    {`{}`, "project and pipelineId are required"},
		"no number":  {`{"project":"Store","pipelineId":"ci"}`, `want the number of a pipeline`},
		"no project": {`{"project":"Stroe","pipelineId":1}`, "project Stroe was not found in contoso"},
		"a path":     {`{"project":"../x","pipelineId":1}`, "want the name or the id"},
		"branch":     {`{"project":"Store","pipelineId":1,"branch":"a b"}`, "want the name of a branch"},
		"parameters": {`{"project":"Store","pipelineId":1,"templateParameters":"x"}`, "the input templateParameters"},
		"variable":   {`{"project":"Store","pipelineId":1,"variables":{"A":[1]}}`, `the variable "A"`},
		"unknown id": {`{"project":"Store","pipelineId":99}`, "pipeline 99 in project Store could not be started: The requested build definition 99 does not exist."},
		"elsewhere":  {`{"organization":"fabrikam","project":"Store","pipelineId":1}`, "this integration has contoso"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				id := b.port.AddRun(installation, trigger, tt.inputs)
				defer b.process()()
				b.after(time.Second)
				b.wants(id, "FAILURE")
				b.says(id, tt.says)
				b.builds(0)
			})
		})
	}
}

func TestAnUnknownTypeIsAcknowledgedAndFails(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		id := b.port.AddRun(installation, "make_coffee", `{}`)
		defer b.process()()
		b.after(time.Second)
		b.wants(id, "FAILURE")
		b.says(id, "No executor registered for action type 'make_coffee'")
		if !b.run(id).Done {
			t.Error("it was not acknowledged")
		}
	})
}

func TestReportingCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		id := b.add(`,"reportPipelineStatus":false`)
		defer b.process()()
		b.after(time.Second)
		b.known(id, b.builds(1))
		b.builds(1).Finish("succeeded")
		b.after(5 * time.Minute)
		b.hooked()
		b.wants(id, "IN_PROGRESS")
	})
}

func TestARunThatSomebodyElseHasIsLeftAlone(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		id := b.add("")
		b.port.Fault(porttest.Do(ackRoute, func() { b.taken(id) }).Times(1))
		defer b.process()()
		b.after(time.Minute)
		b.builds(0)
		b.wants(id, "IN_PROGRESS")
		b.counts("ado_port_actions_taken_runs_total", 1)
	})
}

func TestOneActionDoesNotTakeAllTheRoom(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		open := make(chan struct{})
		b.hold(open)
		for range 12 {
			b.add("")
		}
		b.set = func(c *actions.Config) { c.HighWatermark, c.MaxShare, c.Workers = 10, 20, 1 }
		kill := b.process()
		b.after(time.Minute)
		limits, excluded, nodes := map[int64]bool{}, false, false
		for _, body := range b.bodies("POST /v1/actions/runs/claim-pending") {
			limits[gjson.Get(body, "limit").Int()] = true
			excluded = excluded || gjson.Get(body, "exclude.0").Str == trigger
		}
		for _, body := range b.bodies("POST /v1/workflows/runs/claim-pending") {
			nodes = nodes || gjson.Get(body, "exclude").Exists()
		}
		if !limits[10] || !excluded || nodes {
			t.Errorf("limits %v, excluded %t, for nodes %t", limits, excluded, nodes)
		}
		close(open)
		kill()
	})
}

func TestNothingIsClaimedWhileTooMuchWaits(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		open := make(chan struct{})
		b.hold(open)
		for range 5 {
			b.add("")
		}
		b.set = func(c *actions.Config) { c.HighWatermark, c.MaxShare, c.Workers, c.Lease = 2, 0, 1, time.Hour }
		kill := b.process()
		b.after(time.Hour)
		if s := b.Status(); s.Waiting != 2 {
			t.Errorf("%d runs wait, want 2", s.Waiting)
		}
		n := len(b.bodies("POST /v1/actions/runs/claim-pending"))
		b.after(time.Hour - time.Second)
		if m := len(b.bodies("POST /v1/actions/runs/claim-pending")); m != n {
			t.Errorf("claimed %d times while too much waits", m-n)
		}
		close(open)
		kill()
	})
}

func TestBothKindsOfRunsComeFirstInTurn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		kill := b.process()
		b.after(25 * time.Second)
		kill()
		var order []string
		for _, r := range b.port.Requests() {
			if strings.HasSuffix(r.Path, "claim-pending") {
				order = append(order, strings.Split(r.Path, "/")[2])
			}
		}
		if got := strings.Join(order, " "); got != "actions workflows workflows actions actions workflows" {
			t.Errorf("claimed from %s", got)
		}
	})
}

// What is under way when the process is asked to end is started and reported; what
// waits is left to its lease.
func TestAStopFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		open := make(chan struct{})
		b.hold(open)
		first, second := b.add(""), b.add("")
		b.set = func(c *actions.Config) { c.Workers = 1 }
		stop := b.start(5 * time.Second)
		b.after(time.Second)
		ended := make(chan struct{})
		go func() { stop(); close(ended) }()
		b.after(time.Second)
		close(open)
		<-ended
		b.known(first, b.builds(1))
		if b.run(second).Done {
			t.Error("a run was acknowledged that nobody executes")
		}
		claims := len(b.bodies("POST /v1/actions/runs/claim-pending"))
		b.after(time.Hour)
		if n := len(b.bodies("POST /v1/actions/runs/claim-pending")); n != claims {
			t.Error("claimed after the end")
		}
		b.builds(1).Finish("succeeded")
		defer b.process()()
		b.after(2 * time.Minute)
		b.builds(2)
		b.wants(first, "SUCCESS")
	})
}

func TestAnEndInPortIsRespected(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		id := b.add("")
		defer b.process()()
		b.after(time.Second)
		b.patch(id, `{"status":"FAILURE"}`)
		b.builds(1).Finish("succeeded")
		b.after(time.Minute)
		b.wants(id, "FAILURE")
	})
}

func TestARunWithoutStateDirectoryIsExecutedAllTheSame(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.dir = ""
		id := b.add("")
		defer b.process()()
		b.after(time.Second)
		b.known(id, b.builds(1))
		if !strings.Contains(b.log.String(), "there is no state directory") {
			t.Error("nobody is told that what is under way is forgotten")
		}
	})
}
