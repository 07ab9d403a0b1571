package porttest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// agentInstallation is the name under which execution agents claim runs.
const agentInstallation = "_PORT_EXEC_AGENT"

// AddAgentRun makes a run pending that an execution agent may claim. payload is the
// definition of its invocation as a JSON object, body included.
func (o *Organization) AddAgentRun(id, payload string) {
	o.addAgentRun(false, `{"id":`+quoted(id)+`,"status":"IN_PROGRESS","payload":`+payload+`}`)
}

// AddAgentNode is AddAgentRun for a workflow node.
func (o *Organization) AddAgentNode(identifier, config string) {
	o.addAgentRun(true, `{"identifier":`+quoted(identifier)+`,"status":"IN_PROGRESS","config":`+config+`}`)
}

func quoted(s string) string { return string(appendString(nil, s)) }

func (o *Organization) addAgentRun(node bool, doc string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.st.runs = append(o.st.runs, &run{node: node, forAgent: true, doc: parseMembers(gjson.Parse(doc))})
}

// AddRunFor makes a run known that nobody claims: its message goes through Kafka.
func (o *Organization) AddRunFor(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.st.runs = append(o.st.runs, &run{claims: 1, acked: true, doc: parseMembers(gjson.Parse(`{"id":` + quoted(id) + `,"status":"IN_PROGRESS"}`))})
}

// Offer makes a run that was claimed pending again, as when the time for its
// acknowledgement has passed.
func (o *Organization) Offer(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.st.runs {
		if r.id() == id {
			r.visible = time.Time{}
		}
	}
}

// Settings returns what was last written to the settings of the organization.
func (o *Organization) Settings() json.RawMessage {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.st.settings
}

func (c *call) patchOrganization() reply {
	if s := c.doc.Get("settings"); s.Exists() {
		c.o.st.settings = json.RawMessage(s.Raw)
	}
	return done()
}

// ackMany counts those that nobody has acknowledged before.
func (c *call) ackMany(ids []gjson.Result) reply {
	n := 0
	for _, id := range ids {
		for _, r := range c.o.st.runs {
			if r.id() == id.Str && !r.acked {
				r.acked = true
				n++
			}
		}
	}
	return ok(http.StatusOK, "ackedCount", []byte(strconv.Itoa(n)))
}

func (c *call) ackNode() reply {
	return c.withRun(c.doc.Get("nodeRunIdentifier").Str, func(r *run) reply {
		first := !r.acked
		r.acked = true
		return ok(http.StatusOK, "acked", strconv.AppendBool(nil, first))
	})
}

func (c *call) patchResponse() reply {
	return c.withRun(c.r.PathValue("run"), func(r *run) reply {
		r.doc = r.doc.with("response", c.doc.Get("response").Raw)
		return done()
	})
}

func (c *call) logNode() reply {
	return c.withRun(c.r.PathValue("run"), func(r *run) reply {
		for _, l := range c.doc.Get("logs").Array() {
			r.logs = append(r.logs, l.Get("message").Str)
		}
		return done()
	})
}
