package porttest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// run is a run of a self-service action, or of a workflow node, that an integration or
// an execution agent executes.
type run struct {
	doc      members // as Port shows it
	node     bool
	forAgent bool
	claimed  bool
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
	Claimed, Done bool   // Done: acknowledged
	Logs          []string
	Document      json.RawMessage
}

// AddRun makes a run of an action pending, for claim-pending to hand out once.
// properties are its execution properties as a JSON object; the result is its id.
func (o *Organization) AddRun(installation, action, properties string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := "r_" + hash(o.id, "run", strconv.Itoa(len(o.st.runs)))
	o.st.runs = append(o.st.runs, &run{doc: parseMembers(gjson.Parse(`{"id":` + quoted(id) + `,"status":"IN_PROGRESS","action":{"identifier":` + quoted(action) +
		`},"payload":{"type":"INTEGRATION_ACTION","installationId":` + quoted(installation) + `,"integrationActionType":` + quoted(action) +
		`,"integrationActionExecutionProperties":` + properties + `}}`))})
	return id
}

// Runs returns all runs in the order in which they were added.
func (o *Organization) Runs() []Run {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]Run, len(o.st.runs))
	for i, r := range o.st.runs {
		out[i] = Run{
			ID: r.id(), Status: r.doc.text("status"), Claimed: r.claimed, Done: r.acked,
			Logs: slices.Clone(r.logs), Document: r.doc.append(nil),
		}
	}
	return out
}

// claimRuns hands out every run once: a visibility timeout is not imitated.
func (c *call) claimRuns() reply {
	limit := len(c.o.st.runs)
	if v := c.doc.Get("limit"); v.Exists() {
		limit = int(v.Int())
	}
	return ok(http.StatusOK, "runs", c.claim(false, limit))
}

// claim hands out runs of one sort.
func (c *call) claim(node bool, limit int) []byte {
	b := []byte{'['}
	for _, r := range c.o.st.runs {
		owner := r.doc.get("payload").Get("installationId").Str
		if r.forAgent {
			owner = agentInstallation
		}
		if r.claimed || r.node != node || limit == 0 || owner != c.doc.Get("installationId").Str ||
			slices.ContainsFunc(c.doc.Get("exclude").Array(), func(x gjson.Result) bool { return x.Str == r.doc.get("action").Get("identifier").Str }) {
			continue
		}
		r.claimed = true
		limit--
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = r.doc.append(b)
	}
	return append(b, ']')
}

// claimNodes hands out runs of workflow nodes.
func (c *call) claimNodes() reply {
	return ok(http.StatusOK, "nodeRuns", c.claim(true, len(c.o.st.runs)))
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

// findRuns looks runs up by the id that the executor gave them.
func (c *call) findRuns() reply {
	b := []byte{'['}
	for _, r := range c.o.st.runs {
		if id := c.query.Get("external_run_id"); id == "" || r.doc.text("externalRunId") == id {
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = r.doc.append(b)
		}
	}
	return ok(http.StatusOK, "runs", append(b, ']'))
}
