package porttest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// run is a run of a self-service action, or of a node of a workflow, that an
// integration executes.
type run struct {
	doc     members // as Port shows it
	node    bool
	claims  int
	visible time.Time // until then a claim has it
	acked   bool
	logs    []string
}

func (r *run) clone() *run {
	c := *r
	c.logs = slices.Clone(r.logs)
	return &c
}

func (r *run) id() string {
	if r.node {
		return r.doc.text("identifier")
	}
	return r.doc.text("id")
}

// A Run is a run and what a client did to it.
type Run struct {
	ID            string
	Status        string // IN_PROGRESS, SUCCESS or FAILURE; of a node IN_PROGRESS or COMPLETED
	Result        string // of a node: SUCCESS, FAILED or CANCELLED
	Claimed, Done bool   // Done: acknowledged
	Claims        int
	Logs          []string
	Document      json.RawMessage
}

// AddRun makes a run of an action pending. properties are its execution properties
// as a JSON object; the result is its id. Its type is the name of the action.
func (o *Organization) AddRun(installation, action, properties string) string {
	return o.addRun(false, func(id string) string {
		return `{"id":` + id + `,"status":"IN_PROGRESS","action":{"identifier":` + quoted(action) +
			`},"payload":{"type":"INTEGRATION_ACTION","installationId":` + quoted(installation) + `,"integrationActionType":` + quoted(action) +
			`,"integrationActionExecutionProperties":` + properties + `}}`
	})
}

// AddNodeRun makes a run of a node of a workflow pending, as AddRun.
func (o *Organization) AddNodeRun(installation, node, action, properties string) string {
	return o.addRun(true, func(id string) string {
		return `{"identifier":` + id + `,"nodeUid":` + quoted(node) + `,"status":"IN_PROGRESS","output":{},"config":{"type":"INTEGRATION_ACTION","installationId":` +
			quoted(installation) + `,"integrationProvider":"azure-devops","integrationInvocationType":` + quoted(action) +
			`,"integrationActionExecutionProperties":` + properties + `}}`
	})
}

func (o *Organization) addRun(node bool, document func(id string) string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := "r_" + hash(o.id, "run", strconv.Itoa(len(o.st.runs)))
	o.st.runs = append(o.st.runs, &run{node: node, doc: parseMembers(gjson.Parse(document(quoted(id))))})
	return id
}

func quoted(s string) string { return string(appendString(nil, s)) }

// Runs returns all runs in the order in which they were added.
func (o *Organization) Runs() []Run {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]Run, len(o.st.runs))
	for i, r := range o.st.runs {
		out[i] = Run{
			ID: r.id(), Status: r.doc.text("status"), Result: r.doc.text("result"), Claimed: r.claims > 0, Claims: r.claims, Done: r.acked,
			Logs: slices.Clone(r.logs), Document: r.doc.append(nil),
		}
	}
	return out
}

const defaultLease = 90 * time.Second

// claim hands out runs that wait; who gets one has it until the visibility timeout.
func (c *call) claim(node bool, list string, source func(*run) string) reply {
	limit := len(c.o.st.runs)
	if v := c.doc.Get("limit"); v.Exists() {
		limit = int(v.Int())
	}
	lease := defaultLease
	if v := c.doc.Get("visibilityTimeoutMs"); v.Exists() {
		lease = time.Duration(v.Int()) * time.Millisecond
	}
	b := []byte{'['}
	for _, r := range c.o.st.runs {
		payload := r.doc.get("payload")
		if node {
			payload = r.doc.get("config")
		}
		if r.node != node || r.acked || c.now.Before(r.visible) || limit == 0 || r.doc.text("status") != "IN_PROGRESS" ||
			payload.Get("installationId").Str != c.doc.Get("installationId").Str ||
			slices.ContainsFunc(c.doc.Get("exclude").Array(), func(x gjson.Result) bool { return x.Str == source(r) }) {
			continue
		}
		r.claims++
		r.visible = c.now.Add(lease)
		limit--
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = r.doc.append(b)
	}
	return ok(http.StatusOK, list, append(b, ']'))
}

func (c *call) claimRuns() reply {
	return c.claim(false, "runs", func(r *run) string { return r.doc.get("action").Get("identifier").Str })
}

func (c *call) claimNodes() reply {
	return c.claim(true, "nodeRuns", func(r *run) string { return r.doc.text("nodeUid") })
}

// withRun calls h with a run.
func (c *call) withRun(id string, h func(r *run) reply) reply {
	for _, r := range c.o.st.runs {
		if r.id() == id {
			return h(r)
		}
	}
	return notFound("Run", id)
}

func (c *call) ackRun() reply {
	id := c.doc.Get("runId").Str
	if id == "" {
		id = c.doc.Get("nodeRunIdentifier").Str
	}
	return c.withRun(id, func(r *run) reply {
		if r.acked {
			return fail(http.StatusConflict, "run_already_acknowledged", "Run is already acknowledged")
		}
		r.acked = true
		return done()
	})
}

func (c *call) patchRun() reply {
	return c.withRun(c.r.PathValue("run"), func(r *run) reply {
		for _, m := range parseMembers(c.doc) {
			r.doc = r.doc.with(m.name, m.raw)
		}
		return ok(http.StatusOK, "run", r.doc.append(nil))
	})
}

func (c *call) logRun() reply {
	return c.withRun(c.r.PathValue("run"), func(r *run) reply {
		if m := c.doc.Get("message"); m.Exists() {
			r.logs = append(r.logs, m.Str)
		}
		for _, l := range c.doc.Get("logs").Array() {
			r.logs = append(r.logs, l.Get("message").Str)
		}
		return done()
	})
}

// find looks runs up by the id that the executor gave them.
func (c *call) find(node bool, list string) reply {
	b := []byte{'['}
	for _, r := range c.o.st.runs {
		if id := c.query.Get("external_run_id"); r.node == node && (id == "" || r.doc.text("externalRunId") == id) {
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = r.doc.append(b)
		}
	}
	return ok(http.StatusOK, list, append(b, ']'))
}

func (c *call) findRuns() reply  { return c.find(false, "runs") }
func (c *call) findNodes() reply { return c.find(true, "nodeRuns") }
