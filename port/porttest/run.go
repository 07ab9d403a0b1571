package porttest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// run is a run of a self-service action, or of a workflow node, that an integration or
// an execution agent executes.
type run struct {
	doc      members // as Port shows it
	node     bool
	forAgent bool
	claims   int
	visible  time.Time // until then a claim has it
	acked    bool
	logs     []string
}

func (r *run) id() string {
	if r.node {
		return r.doc.text("identifier")
	}
	return r.doc.text("id")
}

func (r *run) clone() *run {
	c := *r
	c.logs = slices.Clone(r.logs)
	return &c
}

// A Run is an action run and what a client did to it.
type Run struct {
	ID            string
	Status        string // IN_PROGRESS, SUCCESS or FAILURE
	Result        string // of a node: SUCCESS, FAILED or CANCELLED
	Claimed, Done bool   // Done: acknowledged
	Claims        int
	Logs          []string
	Document      json.RawMessage
}

// AddRun makes a run of an action pending. properties are its execution properties
// as a JSON object; the result is its id.
func (o *Organization) AddRun(installation, action, properties string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := "r_" + hash(o.id, "run", strconv.Itoa(len(o.st.runs)))
	o.st.runs = append(o.st.runs, &run{doc: parseMembers(gjson.Parse(`{"id":` + quoted(id) + `,"status":"IN_PROGRESS","action":{"identifier":` + quoted(action) +
		`},"payload":{"type":"INTEGRATION_ACTION","installationId":` + quoted(installation) + `,"integrationActionType":` + quoted(action) +
		`,"integrationActionExecutionProperties":` + properties + `}}`))})
	return id
}

// AddNodeRun makes a run of a node of a workflow pending, as AddRun.
func (o *Organization) AddNodeRun(installation, node, action, properties string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := "wfnr_" + hash(o.id, "run", strconv.Itoa(len(o.st.runs)))
	o.st.runs = append(o.st.runs, &run{node: true, doc: parseMembers(gjson.Parse(`{"identifier":` + quoted(id) + `,"nodeUid":` + quoted(node) +
		`,"status":"IN_PROGRESS","output":{},"config":{"type":"INTEGRATION_ACTION","installationId":` + quoted(installation) +
		`,"integrationProvider":"azure-devops","integrationInvocationType":` + quoted(action) + `,"integrationActionExecutionProperties":` + properties + `}}`))})
	return id
}

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

func (c *call) claimRuns() reply { return ok(http.StatusOK, "runs", c.claim(false, c.limit())) }

// limit is how many runs are asked for.
func (c *call) limit() int {
	if v := c.doc.Get("limit"); v.Exists() {
		return int(v.Int())
	}
	return len(c.o.st.runs)
}

const defaultLease = 90 * time.Second

// claim hands out runs of one sort; who gets one has it until the visibility timeout.
func (c *call) claim(node bool, limit int) []byte {
	lease := defaultLease
	if v := c.doc.Get("visibilityTimeoutMs"); v.Exists() {
		lease = time.Duration(v.Int()) * time.Millisecond
	}
	b := []byte{'['}
	for _, r := range c.o.st.runs {
		owner, source := r.doc.get("payload").Get("installationId").Str, r.doc.get("action").Get("identifier").Str
		if node {
			owner, source = r.doc.get("config").Get("installationId").Str, r.doc.text("nodeUid")
		}
		if r.forAgent {
			owner = agentInstallation
		}
		if r.acked || c.now.Before(r.visible) || r.node != node || limit == 0 || owner != c.doc.Get("installationId").Str ||
			slices.ContainsFunc(c.doc.Get("exclude").Array(), func(x gjson.Result) bool { return x.Str == source }) {
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
	return append(b, ']')
}

// claimNodes hands out runs of workflow nodes.
func (c *call) claimNodes() reply { return ok(http.StatusOK, "nodeRuns", c.claim(true, c.limit())) }

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
	if many := c.doc.Get("runIds"); many.IsArray() {
		return c.ackMany(many.Array())
	}
	return c.withRun(c.doc.Get("runId").Str, func(r *run) reply {
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
		r.logs = append(r.logs, c.doc.Get("message").Str)
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
