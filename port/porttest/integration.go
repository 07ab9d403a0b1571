package porttest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// integration is one installation and all that it reported.
type integration struct {
	id, ingest       string
	doc              members // as sent, without config
	config           string  // JSON; empty for none
	created, updated time.Time
	state            members // of the resync
	stateAt          time.Time
	requested        time.Time // of a resync
	polls            int       // until Port has provisioned the config; 0 when it does not
	states           []json.RawMessage
	heartbeats       []string
	logs, metrics    []json.RawMessage
	examples         map[string]json.RawMessage
	cursors          map[string]string
}

// kept bounds what an integration that runs for long leaves behind, in records.
const kept = 20000

func record[T any](list []T, more ...T) []T {
	list = append(list, more...)
	if len(list) > kept {
		list = slices.Clone(list[len(list)-kept/2:])
	}
	return list
}

func (in *integration) clone() *integration {
	c := *in
	c.states, c.heartbeats = slices.Clone(in.states), slices.Clone(in.heartbeats)
	c.logs, c.metrics = slices.Clone(in.logs), slices.Clone(in.metrics)
	c.examples, c.cursors = maps.Clone(in.examples), maps.Clone(in.cursors)
	return &c
}

// touch moves updated on by at least the millisecond that is shown, so that
// clients see every change even with a clock that stands still.
func (in *integration) touch(now time.Time) {
	now = now.Truncate(time.Millisecond)
	if !now.After(in.updated) {
		now = in.updated.Add(time.Millisecond)
	}
	in.updated = now
}

// append writes the integration as Port shows it; base is where ingest URLs begin.
func (in *integration) append(b []byte, base string) []byte {
	d := slices.Clone(in.doc)
	for _, m := range []member{
		{"installationAppType", "null"},
		{"installationType", `"OnPrem"`},
		{"version", `""`},
		{"changelogDestination", "null"},
		{"createPortResourcesOrigin", `"Empty"`},
		{"arePortResourcesInitialized", "false"},
		{"actionsProcessingEnabled", "false"},
		{"incrementalSyncEnabled", "false"},
		{"processingMode", "null"},
	} {
		if _, sent := d.find(m.name); !sent {
			d.set(m.name, m.raw)
		}
	}
	config := in.config
	if config == "" {
		config = "{}"
	}
	state := in.state
	if !in.stateAt.IsZero() {
		state = state.with("updatedAt", quoteTime(in.stateAt))
	}
	d.set("_id", quoted("integration_"+in.ingest))
	d.set("identifier", quoted(in.id))
	d.set("installationId", quoted(in.id))
	d.set("config", config)
	d.set("resyncState", string(state.append(nil)))
	d.set("logAttributes", `{"ingestUrl":`+quoted(base+"/v1/logs/integration/"+in.ingest)+`}`)
	d.set("metricAttributes", `{"ingestUrl":`+quoted(base+"/v1/metrics/integration/"+in.ingest)+`}`)
	d.set("ingestAttributes", `{"ingestUrl":`+quoted(base+"/v1/lakehouse")+`}`)
	d.set("createdAt", quoteTime(in.created))
	d.set("updatedAt", quoteTime(in.updated))
	return d.append(b)
}

// base is the root under which the client reaches the server.
func (c *call) base() string {
	switch {
	case c.s.opt.PublicURL != "":
		return strings.TrimSuffix(c.s.opt.PublicURL, "/")
	case c.r.TLS != nil:
		return "https://" + c.r.Host
	default:
		return "http://" + c.r.Host
	}
}

// withIntegration calls h with the integration of the path.
func (c *call) withIntegration(h func(in *integration) reply) reply {
	id := c.r.PathValue("integration")
	if in := c.o.st.integrations[strings.ToLower(id)]; in != nil {
		return h(in)
	}
	return notFound("Integration", id)
}

func (c *call) show(status int, in *integration) reply {
	return ok(status, "integration", in.append(nil, c.base()))
}

func (c *call) provisionEnabled() reply {
	return ok(http.StatusOK, "integrations", appendStrings(nil, c.s.opt.Provision))
}

// createIntegration keeps a mapping prepared with SetMapping rather than the
// default that the creator brings: it stands for what a user wrote.
func (c *call) createIntegration() reply {
	id := c.doc.Get("installationId").Str
	if id == "" {
		return invalid("body must have required property 'installationId'")
	}
	key := strings.ToLower(id)
	if c.o.st.integrations[key] != nil {
		return fail(http.StatusConflict, "integration_exists", "Integration with installationId \""+id+"\" already exists")
	}
	in := &integration{id: id, ingest: hash(c.o.id, id), examples: map[string]json.RawMessage{}, cursors: map[string]string{}}
	in.apply(c.doc)
	in.created = c.now.Truncate(time.Millisecond)
	in.updated = in.created
	switch {
	case c.o.st.mapping != "":
		in.config = c.o.st.mapping
	case in.config == "" && c.query.Has("integration_modes"):
		in.polls = c.s.opt.ProvisionPolls
	}
	c.o.st.integrations[key] = in
	return c.show(http.StatusCreated, in)
}

// apply takes over the members of a create or patch body. An empty config is none.
func (in *integration) apply(doc gjson.Result) {
	in.doc = slices.Clone(in.doc)
	for _, m := range parseMembers(doc) {
		switch m.name {
		case "config":
			in.config = m.raw
			if v := gjson.Parse(m.raw); !v.IsObject() || len(v.Map()) == 0 {
				in.config = ""
			}
		case "installationId", "identifier", "_id":
		default:
			in.doc.set(m.name, m.raw)
		}
	}
}

func (c *call) getIntegration() reply {
	return c.withIntegration(func(in *integration) reply {
		if in.polls > 0 {
			if in.polls--; in.polls == 0 && in.config == "" {
				in.config = c.s.opt.ProvisionedMapping
			}
		}
		return c.show(http.StatusOK, in)
	})
}

// patchIntegration records a resync request when the mapping changes, and for an
// empty body, which is how users ask for a resync.
func (c *call) patchIntegration() reply {
	return c.withIntegration(func(in *integration) reply {
		old := in.config
		in.apply(c.doc)
		in.touch(c.now)
		if in.config != old || len(c.doc.Map()) == 0 {
			in.requested = in.updated
		}
		return c.show(http.StatusOK, in)
	})
}

func (c *call) patchConfig() reply {
	return c.withIntegration(func(in *integration) reply {
		if !c.doc.Get("config").IsObject() {
			return invalid("body must have required property 'config'")
		}
		in.apply(gjson.Parse(`{"config":` + c.doc.Get("config").Raw + `}`))
		in.touch(c.now)
		if c.r.Header.Get("x-skip-resync") != "true" {
			in.requested = in.updated
		}
		return c.show(http.StatusOK, in)
	})
}

func (c *call) deleteIntegration() reply {
	return c.withIntegration(func(in *integration) reply {
		delete(c.o.st.integrations, strings.ToLower(in.id))
		return done()
	})
}

func (c *call) patchResyncState() reply {
	return c.withIntegration(func(in *integration) reply {
		for _, m := range parseMembers(c.doc) {
			in.state = in.state.with(m.name, m.raw)
		}
		in.touch(c.now)
		in.stateAt = in.updated
		in.states = record(in.states, json.RawMessage(c.doc.Raw))
		return c.show(http.StatusOK, in)
	})
}

func (c *call) getResyncRequest() reply {
	return c.withIntegration(func(in *integration) reply {
		if in.requested.IsZero() {
			return ok(http.StatusOK, "request", []byte("null"))
		}
		at := quoteTime(in.requested)
		return ok(http.StatusOK, "request", []byte(`{"createdAt":`+at+`,"updatedAt":`+at+`}`))
	})
}

func (c *call) cursorKey() string { return c.query.Get("kind") + "\x00" + c.query.Get("index") }

func (c *call) getCursor() reply {
	return c.withIntegration(func(in *integration) reply { return c.showCursor(http.StatusOK, in) })
}

func (c *call) showCursor(status int, in *integration) reply {
	at, found := in.cursors[c.cursorKey()]
	if !found {
		return ok(status, "cursor", []byte("null"))
	}
	return ok(status, "cursor", append(appendString([]byte(`{"primary":`), at), '}'))
}

// putCursor changes (PUT) or makes (POST) a cursor.
func (c *call) putCursor() reply {
	return c.withIntegration(func(in *integration) reply {
		primary := c.doc.Get("primary")
		if primary.Type != gjson.String {
			return invalid("body must have required property 'primary'")
		}
		status := http.StatusCreated
		if c.r.Method == http.MethodPut {
			status = http.StatusOK
			if _, found := in.cursors[c.cursorKey()]; !found {
				return notFound("Cursor", c.query.Get("kind"))
			}
		}
		in.cursors[c.cursorKey()] = primary.Str
		return c.showCursor(status, in)
	})
}

func (c *call) postExamples() reply {
	return c.withIntegration(func(in *integration) reply {
		list := c.doc.Get("examples")
		if !list.IsArray() {
			return invalid("body must have required property 'examples'")
		}
		in.examples[c.r.PathValue("kind")] = json.RawMessage(list.Raw)
		return done()
	})
}

// withIngest calls h with the integration behind an ingest URL.
func (c *call) withIngest(h func(in *integration) reply) reply {
	for _, in := range c.o.st.integrations {
		if in.ingest == c.r.PathValue("ingest") {
			return h(in)
		}
	}
	return notFound("Integration", c.r.PathValue("ingest"))
}

func (c *call) ingestLogs() reply {
	return c.withIngest(func(in *integration) reply {
		list := c.doc.Get("logs")
		if !list.IsArray() {
			return invalid("body must have required property 'logs'")
		}
		for _, l := range list.Array() {
			in.logs = record(in.logs, json.RawMessage(l.Raw))
		}
		return done()
	})
}

func (c *call) ingestMetrics() reply {
	return c.withIngest(func(in *integration) reply {
		list := c.doc.Get("syncKindsMetrics")
		if !list.IsArray() {
			return invalid("body must have required property 'syncKindsMetrics'")
		}
		for _, m := range list.Array() {
			in.metrics = record(in.metrics, json.RawMessage(m.Raw))
		}
		return reply{status: http.StatusAccepted, body: []byte(`{"ok":true}`)}
	})
}

func (c *call) ingestMetric() reply {
	return c.withIngest(func(in *integration) reply {
		m := c.doc.Get("syncKindMetrics")
		if !m.IsObject() {
			return invalid("body must have required property 'syncKindMetrics'")
		}
		in.metrics = record(in.metrics, json.RawMessage(m.Raw))
		return done()
	})
}

func (c *call) heartbeat() reply {
	return c.withIngest(func(in *integration) reply {
		in.heartbeats = record(in.heartbeats, c.doc.Get("eventId").Str)
		return done()
	})
}
