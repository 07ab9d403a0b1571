//go:build !race

package agent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port/porttest"
)

func TestPolling(t *testing.T) {
	t.Parallel()
	inTime(t, func(w *world) {
		w.port.AddAgentRun("r_1", action(hook, ""))
		w.port.AddAgentNode("wfnr_1", action(hook+"/node", ""))
		p := w.start()
		later(3 * time.Second)
		if r := w.run("r_1"); r.Status != "SUCCESS" || !r.Done || len(r.Logs) == 0 || gjson.GetBytes(r.Document, "response.ok").Raw != "true" {
			t.Errorf("run: %+v %s", r, r.Document)
		}
		if r := w.run("wfnr_1"); r.Status != "COMPLETED" || !r.Done || gjson.GetBytes(r.Document, "output.response.status").Int() != 200 {
			t.Errorf("node: %+v %s", r, r.Document)
		}
		calls := w.called()
		if len(calls) != 2 {
			t.Fatalf("%d calls", len(calls))
		}
		for _, c := range calls {
			if c.header.Get("X-Port-Signature") == "" || c.header.Get("Content-Type") != "application/json" {
				t.Errorf("headers: %v", c.header)
			}
		}
		if got := string(w.port.Settings()); got != `{"portAgentStreamerName":"POLLING"}` {
			t.Errorf("settings: %s", got)
		}
		p.stop()
	})
}

// What is executed by others, or filtered out, is left as it is, for other agents.
func TestLeftAlone(t *testing.T) {
	t.Parallel()
	inTime(t, func(w *world) {
		w.files["control_the_payload_config.json"] = `[{"enabled": ".body.mine"}]`
		w.port.AddAgentRun("r_filtered", action(hook, ""))
		w.port.AddAgentRun("r_not_agent", strings.Replace(action(hook, ""), `"agent":true`, `"agent":false`, 1))
		kinds := map[string]string{"GITHUB": "Port's GitHub app", "KAFKA": "consumer", "UPSERT_ENTITY": "by Port itself", "AZURE_DEVOPS": "by Port itself", "INTEGRATION_ACTION": "the integration"}
		for kind := range kinds {
			w.port.AddAgentRun("r_"+kind, strings.Replace(action(hook, ""), "WEBHOOK", kind, 1))
		}
		p := w.start()
		later(3 * time.Second)
		for _, r := range w.port.Runs() {
			if r.Done || r.Status != "IN_PROGRESS" {
				t.Errorf("%s was touched: %+v", r.ID, r)
			}
			if want := kinds[strings.TrimPrefix(r.ID, "r_")]; want != "" && (len(r.Logs) != 1 || !strings.Contains(r.Logs[0], want)) {
				t.Errorf("%s: log %q, want %q", r.ID, r.Logs, want)
			}
		}
		if n := len(w.called()); n > 0 {
			t.Errorf("%d calls", n)
		}
		p.stop()
	})
}

// What cannot be executed ends in a failed run that says why.
func TestFailures(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	tests := []struct {
		name, payload string
		mapping       string
		answer        func(n int, c call) (*http.Response, error)
		want          string
		calls         int
	}{
		{"unreachable", action(hook, ""), "", func(int, call) (*http.Response, error) { return nil, dial }, "connection refused", 3},
		{"broken off", action(hook, ""), "", func(int, call) (*http.Response, error) { return nil, errors.New("reset") }, "no answer: reset", 1},
		{"refuses", action(hook, ""), "", func(int, call) (*http.Response, error) { return respond(500, "oops"), nil }, "status code: 500. Response: oops", 1},
		{"dripping", action(hook, ""), "", drip, "no answer in time", 1},
		{"no url", `{"type":"WEBHOOK","agent":true}`, "", nil, "no url", 0},
		{"bad url", action("ftp://x", ""), "", nil, "http://", 0},
		{"list", strings.Replace(action(hook, ""), `"body":{"action":"deploy","input":"user-data"}`, `"body":[]`, 1), "", nil, "body is not an object", 0},
		{"mapping", action(hook, ""), `[{"enabled":true,"url":".nope"}]`, nil, "url is null", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inTime(t, func(w *world) {
				if tt.mapping != "" {
					w.files["control_the_payload_config.json"] = tt.mapping
				}
				if tt.answer != nil {
					w.answer = tt.answer
				}
				w.port.AddAgentRun("r_1", tt.payload)
				p := w.start()
				later(10 * time.Minute)
				r := w.run("r_1")
				if summary := gjson.GetBytes(r.Document, "summary").Str; r.Status != "FAILURE" || !strings.Contains(summary, tt.want) {
					t.Errorf("%s %q, want FAILURE %q", r.Status, summary, tt.want)
				}
				if n := len(w.called()); n != tt.calls {
					t.Errorf("%d calls, want %d", n, tt.calls)
				}
				p.stop()
			})
		})
	}
}

// drip answers with a byte every 20 seconds, without an end.
func drip(_ int, c call) (*http.Response, error) {
	res := respond(200, "")
	res.Body = dripping{c}
	return res, nil
}

type dripping struct{ call call }

func (d dripping) Read(p []byte) (int, error) {
	p[0] = ' '
	return 1, d.call.wait(20 * time.Second)
}
func (dripping) Close() error { return nil }

// Methods that can be repeated are, when the service is overloaded.
func TestRepeats(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]int{"GET": 3, "PUT": 3, "POST": 1, "PATCH": 1} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			inTime(t, func(w *world) {
				w.answer = func(n int, _ call) (*http.Response, error) {
					if n < 3 {
						return respond(503, "later"), nil
					}
					return respond(200, "{}"), nil
				}
				w.port.AddAgentRun("r_1", strings.Replace(action(hook, ""), "POST", method, 1))
				p := w.start()
				later(time.Minute)
				if n := len(w.called()); n != want {
					t.Errorf("%d calls, want %d", n, want)
				}
				p.stop()
			})
		})
	}
}

// routes of Port that an agent depends on.
const (
	claimRoute    = "POST /v1/actions/runs/claim-pending"
	ackRoute      = "PATCH /v1/actions/runs/ack"
	logsRoute     = "POST /v1/actions/runs/{run}/logs"
	responseRoute = "PATCH /v1/actions/runs/{run}/response"
	runRoute      = "PATCH /v1/actions/runs/{run}"
	tokenRoute    = "POST /v1/auth/access_token"
)

// Whatever goes wrong with Port for a while, the service is called once, and Port
// knows in the end.
func TestFaults(t *testing.T) {
	t.Parallel()
	faults := map[string]func(route string) porttest.Rule{
		"429": func(r string) porttest.Rule { return porttest.Status(r, 429) }, "500": func(r string) porttest.Rule { return porttest.Status(r, 500) },
		"503": func(r string) porttest.Rule { return porttest.Status(r, 503) }, "401": func(r string) porttest.Rule { return porttest.Status(r, 401) },
		"reset": porttest.Reset, "truncated": porttest.Truncate, "malformed": porttest.Malformed, "HTML": porttest.HTML,
		"answer lost": porttest.LostAnswer, "connection lost": porttest.LostConnection, "hangs": porttest.Hang, "token expired": porttest.ExpireTokens,
		"slow": func(r string) porttest.Rule { return porttest.Slow(r, 40*time.Second) },
	}
	for _, route := range []string{claimRoute, ackRoute, logsRoute, responseRoute, runRoute, tokenRoute} {
		for name, fault := range faults {
			for _, times := range []int{1, 3} {
				t.Run(fmt.Sprintf("%s/%s/%d", route, name, times), func(t *testing.T) {
					t.Parallel()
					inTime(t, func(w *world) {
						w.env["POLLING_INTERVAL_SECONDS"] = "60"
						w.port.AddAgentRun("r_1", action(hook, ""))
						w.port.Fault(fault(route).Times(times))
						p := w.start()
						for range 10 { // Port offers again what was not acknowledged
							later(2 * time.Minute)
							if r := w.run("r_1"); !r.Done {
								w.port.Offer("r_1")
							}
						}
						if r := w.run("r_1"); r.Status != "SUCCESS" || len(w.called()) != 1 || gjson.GetBytes(r.Document, "response").Raw == "" && route != responseRoute {
							t.Errorf("%d calls, %s %s\n%s", len(w.called()), r.Status, r.Document, p.log.String())
						}
						p.stop()
					})
				})
			}
		}
	}
}

// A process that is killed leaves a run to the next one. Only a call that was under
// way is made again.
func TestKills(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		rule porttest.Rule
	}{
		{"claim", porttest.Slow(claimRoute, 0)},
		{"before the acknowledgement", porttest.Reset(ackRoute)},
		{"after the acknowledgement", porttest.Slow(ackRoute, 0)},
		{"first line", porttest.Slow(logsRoute, 0)},
		{"second line", porttest.Slow(logsRoute, 0).After(1)},
		{"before the response", porttest.Reset(responseRoute)},
		{"after the response", porttest.Slow(responseRoute, 0)},
		{"before the status", porttest.Reset(runRoute)},
		{"after the status", porttest.Slow(runRoute, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inTime(t, func(w *world) {
				w.port.AddAgentRun("r_1", action(hook, ""))
				var p *process
				w.port.Fault(tt.rule.Calling(func() { p.kill() }).Times(1))
				p = w.start()
				later(time.Minute)
				<-p.done
				if r := w.run("r_1"); !r.Done {
					w.port.Offer("r_1")
				}
				p = w.start()
				later(time.Minute)
				if r := w.run("r_1"); r.Status != "SUCCESS" || len(w.called()) != 1 {
					t.Errorf("%d calls, want 1; %s", len(w.called()), r.Status)
				}
				p.stop()
			})
		})
	}
}

// Within a call: the service is called again, and that is counted.
func TestKilledInCall(t *testing.T) {
	t.Parallel()
	inTime(t, func(w *world) {
		w.port.AddAgentRun("r_1", action(hook, ""))
		var p *process
		w.answer = func(n int, _ call) (*http.Response, error) {
			if n == 1 {
				p.kill()
			}
			return respond(200, "{}"), nil
		}
		p = w.start()
		later(time.Minute)
		<-p.done
		p = w.start()
		later(time.Minute)
		if r := w.run("r_1"); r.Status != "SUCCESS" || len(w.called()) != 2 {
			t.Errorf("%d calls, want 2; %s", len(w.called()), r.Status)
		}
		if n := counter(t, p, "ado_port_agent_repeated_calls_total"); n != 1 {
			t.Errorf("%v calls counted as repeated, want 1", n)
		}
		p.stop()
	})
}

func counter(t *testing.T, p *process, name string) float64 {
	t.Helper()
	families, err := p.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return -1
}

// At the end a call under way is waited for; one that takes too long is reported.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		took time.Duration
		want string
	}{{"in time", 15 * time.Second, "SUCCESS"}, {"too long", 29 * time.Second, "FAILURE"}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inTime(t, func(w *world) {
				w.port.AddAgentRun("r_1", action(hook, ""))
				for i := range 20 { // in the same lane: they never begin
					w.port.AddAgentRun(fmt.Sprint("r_later", i), action(hook, ""))
				}
				var p *process
				started := make(chan struct{})
				w.answer = func(_ int, c call) (*http.Response, error) {
					close(started)
					return respond(200, "{}"), c.wait(tt.took)
				}
				p = w.start()
				<-started
				begin := time.Now()
				p.stop()
				if took := time.Since(begin); took > 26*time.Second {
					t.Errorf("the end took %s", took)
				}
				if r := w.run("r_1"); r.Status != tt.want {
					t.Errorf("%s, want %s", r.Status, tt.want)
				}
				for _, r := range w.port.Runs()[1:] {
					if r.Done {
						t.Errorf("%s was acknowledged", r.ID)
					}
				}
			})
		})
	}
}

// Port is asked less often while it fails, and the process ends when that lasts.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	inTime(t, func(w *world) {
		w.env["POLLING_MAX_FAILURE_DURATION_SECONDS"] = "600"
		p := w.start()
		later(10 * time.Second)
		w.port.Fault(porttest.Status(claimRoute, 500), porttest.Status("POST /v1/workflows/runs/claim-pending", 500))
		<-p.done
		if p.err != nil || !strings.Contains(p.log.String(), "the process ends") {
			t.Errorf("%v\n%s", p.err, p.log.String())
		}
	})
	// One queue alone does not end it.
	inTime(t, func(w *world) {
		w.env["POLLING_MAX_FAILURE_DURATION_SECONDS"], w.env["POLLING_INTERVAL_SECONDS"] = "600", "60"
		w.port.Fault(porttest.Status("POST /v1/workflows/runs/claim-pending", 404))
		p := w.start()
		later(2 * time.Hour)
		w.port.AddAgentRun("r_1", action(hook, ""))
		later(2 * time.Minute)
		if r := w.run("r_1"); r.Status != "SUCCESS" {
			t.Errorf("%s", r.Status)
		}
		p.stop()
	})
}

// Runs of one action for one entity happen one after the other, others do not wait.
func TestLanes(t *testing.T) {
	t.Parallel()
	inTime(t, func(w *world) {
		for i, entity := range []string{"a", "a", "b", "c"} {
			w.port.AddAgentRun(fmt.Sprint("r_", i), action(hook, "")+fmt.Sprintf(`,"action":{"identifier":"deploy"},"entity":%q`, entity))
		}
		w.answer = func(int, call) (*http.Response, error) { time.Sleep(10 * time.Second); return respond(200, "{}"), nil }
		p := w.start()
		later(5 * time.Second)
		if n := len(w.called()); n != 3 {
			t.Errorf("%d calls at once, want 3", n)
		}
		later(30 * time.Second)
		if n := len(w.called()); n != 4 {
			t.Errorf("%d calls, want 4", n)
		}
		p.stop()
	})
}

// What Port does not take for a day is given up, and can be tried again.
func TestDead(t *testing.T) {
	t.Parallel()
	inTime(t, func(w *world) {
		w.env["POLLING_INTERVAL_SECONDS"] = "600"
		w.port.Fault(porttest.Status(runRoute, 500))
		w.port.AddAgentRun("r_1", action(hook, ""))
		p := w.start()
		later(25 * time.Hour)
		if !strings.Contains(p.log.String(), "given up") {
			t.Error("it is not given up")
		}
		w.port.ClearFaults()
		later(time.Hour)
		if r := w.run("r_1"); r.Status != "IN_PROGRESS" {
			t.Errorf("%s", r.Status)
		}
		p.stop()
	})
}

// A report that Port refuses for good is replaced by one that it takes.
func TestRefusedReport(t *testing.T) {
	t.Parallel()
	inTime(t, func(w *world) {
		w.files["control_the_payload_config.json"] = `[{"enabled":true,"report":{"status":"\"NONSENSE\""}}]`
		w.answer = func(int, call) (*http.Response, error) { return respond(500, "oops"), nil }
		w.port.Fault(porttest.Status(runRoute, 422).Times(1))
		w.port.AddAgentRun("r_1", action(hook, ""))
		p := w.start()
		later(time.Minute)
		if r := w.run("r_1"); r.Status != "FAILURE" || !json.Valid(r.Document) {
			t.Errorf("%s", r.Document)
		}
		p.stop()
	})
}
