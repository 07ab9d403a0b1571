package agent

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// A report is something to be told to Port. Telling it twice does no harm.
type report struct {
	Path string          `json:"path"`
	Body json.RawMessage `json:"body"`
	// Instead is told when Port refuses this one for good.
	Instead json.RawMessage `json:"instead,omitempty"`
}

// An outcome is what became of an invocation.
type outcome struct {
	// Failed says that the service was not reached or has refused.
	Failed  bool     `json:"failed,omitempty"`
	Text    string   `json:"text"` // for the log of the run
	Reports []report `json:"reports,omitempty"`
}

// maxReport keeps a report below the size that Port takes.
const maxReport = 1000 << 10

// maxInstead is the length of a summary that Port takes for sure.
const maxInstead = 1000

// bodyOf makes the body of a report of pairs of names and values.
func bodyOf(pairs ...any) json.RawMessage {
	o := &object{}
	for i := 0; i < len(pairs); i += 2 {
		o.set(pairs[i].(string), pairs[i+1]) //nolint:gosec // of pairs
	}
	return appendJSON(nil, o, readable)
}

func (inv *invocation) path(more string) string {
	if inv.node {
		return "/workflows/nodes/runs/" + url.PathEscape(inv.run) + more
	}
	return "/actions/runs/" + url.PathEscape(inv.run) + more
}

// failure is the outcome of an invocation that was not sent, or had no answer. An event
// is no run, even where it is about one: not to reach a listener is not the run's failure.
func (inv *invocation) failure(summary string) *outcome {
	o := &outcome{Failed: true, Text: summary}
	switch {
	case inv.run == "" || inv.queue == changesTopic:
	case inv.node:
		o.Reports = []report{{Path: inv.path(""), Body: bodyOf("status", "COMPLETED", "result", "FAILED")}}
	default:
		o.Reports = []report{{Path: inv.path(""), Body: bodyOf("status", "FAILURE", "summary", shortened(summary, maxReport/2))}}
	}
	return o
}

// outcome is what follows from an answer. detailed adds its text to summaries.
func (e *evaluation) outcome(x *entry, inv *invocation, s *signed, a *answer, detailed bool) *outcome {
	o := &outcome{Failed: a.status >= http.StatusBadRequest, Text: "The webhook answered with status code " + strconv.Itoa(a.status)}
	if detailed && o.Failed {
		o.Text += ": " + shortened(a.text, 16<<10)
	}
	switch {
	case inv.run == "":
	case inv.node:
		o.Reports = nodeReports(inv, a, o.Failed)
	default:
		o.Reports = e.runReports(x, inv, s, a, detailed)
	}
	return o
}

func nodeReports(inv *invocation, a *answer, failed bool) []report {
	switch {
	case failed:
		return inv.failure("").Reports
	case !inv.synchronized():
		return nil // the service completes the node
	}
	data := a.content()
	if !truthy(data) {
		data = &object{}
	}
	response := &object{members: []member{{"status", json.Number(strconv.Itoa(a.status))}, {"data", data}}}
	body := bodyOf("status", "COMPLETED", "result", "SUCCESS", "output", objectOf("response", response))
	if len(body) > maxReport {
		response.set("data", "the answer is too large for Port")
		body = bodyOf("status", "COMPLETED", "result", "SUCCESS", "output", objectOf("response", response))
	}
	return []report{{Path: inv.path(""), Body: body}}
}

func (e *evaluation) runReports(x *entry, inv *invocation, s *signed, a *answer, detailed bool) []report {
	var out []report
	failed := a.status >= http.StatusBadRequest
	if content := a.content(); inv.synchronized() && truthy(content) {
		body := bodyOf("response", content)
		if len(body) > maxReport {
			body = bodyOf("response", shortened(a.text, maxReport/2))
		}
		out = append(out, report{Path: inv.path("/response"), Body: body})
	}
	fields := &object{}
	var instead json.RawMessage
	if failed {
		summary := fmt.Sprintf("Failed to invoke the webhook with status code: %d.", a.status)
		if detailed {
			summary += " Response: " + shortened(a.text, maxReport/2)
		}
		fields.set("status", "FAILURE")
		fields.set("summary", summary)
		instead = bodyOf("status", "FAILURE", "summary", shortened(summary, maxInstead))
	} else if truthy(get(inv.message, "payload", "action", "invocationMethod", "synchronized")) {
		fields.set("status", "SUCCESS")
	}
	if x.report != nil {
		e.input = reportContext(inv, s, a)
		for _, m := range x.report.members {
			fields.remove(m.name)
			if v := e.value(m.value.(string)); v != nil {
				fields.set(m.name, v)
			}
		}
	}
	if len(fields.members) > 0 {
		out = append(out, report{Path: inv.path(""), Body: appendJSON(nil, fields, readable), Instead: instead})
	}
	return out
}

// shortened cuts a text behind so many bytes.
func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xc0 == 0x80 {
		most--
	}
	return s[:most] + "…"
}
