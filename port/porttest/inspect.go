package porttest

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port"
)

// An Entity is what the catalog holds. Raw members are compact JSON; the keys
// of properties and relations are sorted.
type Entity struct {
	port.Ref
	Title, Icon string          // empty for null
	Team        json.RawMessage // a list, or a search as it was sent
	Properties  json.RawMessage
	Relations   json.RawMessage
	Datasource  string // User-Agent of the last write
	Created     time.Time
	Updated     time.Time
	Stub        bool // made only because something refers to it
}

// A Change is an entity that a request wrote or deleted.
type Change struct {
	port.Ref
	Before, After *Entity // nil: there was none, there is none any more
	Event         string  // event_type of the request
}

// changed tells who wants to know. The organization is locked.
func (o *Organization) changed(before, after *entity, event string) {
	tell := o.s.opt.Changed
	if tell == nil {
		return
	}
	c := Change{Event: event}
	if before != nil {
		e := before.export()
		c.Before, c.Ref = &e, e.Ref
	}
	if after != nil {
		e := after.export()
		c.After, c.Ref = &e, e.Ref
	}
	tell(c)
}

// Property returns one property as JSON, or "" when it is not set.
func (e Entity) Property(name string) string {
	return parseMembers(gjson.ParseBytes(e.Properties)).get(name).Raw
}

// Relation returns the identifiers that a relation leads to.
func (e Entity) Relation(name string) []string {
	var ids []string
	for _, x := range parseMembers(gjson.ParseBytes(e.Relations)).get(name).Array() {
		ids = append(ids, x.Str)
	}
	return ids
}

func (e *entity) export() Entity {
	relations := []byte{'{'}
	for i, l := range e.relations {
		if i > 0 {
			relations = append(relations, ',')
		}
		relations = l.append(append(appendString(relations, l.name), ':'))
	}
	team := e.team
	if team == "" {
		team = "[]"
	}
	return Entity{
		Ref: port.Ref{Blueprint: e.blueprint, Identifier: e.id}, Title: gjson.Parse(e.title).Str, Icon: gjson.Parse(e.icon).Str,
		Team: compact([]byte(team)), Properties: compact(e.properties.append(nil)), Relations: append(relations, '}'),
		Datasource: e.agent, Created: e.created, Updated: e.updated, Stub: e.stub,
	}
}

func compact(b []byte) json.RawMessage {
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return b
	}
	return out.Bytes()
}

// Entities returns the entities of a blueprint, or of all for "", sorted by
// blueprint and identifier.
func (o *Organization) Entities(blueprint string) []Entity {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []Entity
	for id, b := range o.st.blueprints {
		if blueprint == "" || id == blueprint {
			for _, e := range b.entities {
				out = append(out, e.export())
			}
		}
	}
	slices.SortFunc(out, func(a, b Entity) int {
		if n := strings.Compare(a.Blueprint, b.Blueprint); n != 0 {
			return n
		}
		return strings.Compare(a.Identifier, b.Identifier)
	})
	return out
}

// Entity returns one entity; false when there is none.
func (o *Organization) Entity(blueprint, identifier string) (Entity, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.st.blueprints[blueprint]; b != nil && b.entities[identifier] != nil {
		return b.entities[identifier].export(), true
	}
	return Entity{}, false
}

// Writes counts the entities that were written (changed or not) or deleted by
// requests, those of a bulk one by one. It only grows.
func (o *Organization) Writes() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writes
}

// Blueprints returns the blueprints as Port shows them, by identifier.
func (o *Organization) Blueprints() map[string]json.RawMessage {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make(map[string]json.RawMessage, len(o.st.blueprints))
	for id, b := range o.st.blueprints {
		out[id] = b.append(nil)
	}
	return out
}

// An Integration is what Port holds of one, and what it reported.
type Integration struct {
	Identifier, Type, Version, Origin string
	Initialized                       bool            // arePortResourcesInitialized
	Config                            json.RawMessage // the mapping; {} for none
	Document                          json.RawMessage // all of it, as Port shows it (without a host in URLs)
	States                            []json.RawMessage
	Heartbeats                        []string // event ids
	Examples                          map[string]json.RawMessage
	Cursors                           map[string]string // by kind and index, parted by a NUL
}

// Integrations returns all integrations, sorted by identifier.
func (o *Organization) Integrations() []Integration {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []Integration
	for _, key := range slices.Sorted(maps.Keys(o.st.integrations)) {
		in := o.st.integrations[key]
		doc := in.append(nil, "")
		v := gjson.ParseBytes(doc)
		c := in.clone()
		out = append(out, Integration{
			Identifier: in.id, Type: v.Get("installationAppType").Str, Version: v.Get("version").Str,
			Origin: v.Get("createPortResourcesOrigin").Str, Initialized: v.Get("arePortResourcesInitialized").Bool(),
			Config: json.RawMessage(v.Get("config").Raw), Document: doc,
			States: c.states, Heartbeats: c.heartbeats, Examples: c.examples, Cursors: c.cursors,
		})
	}
	return out
}

// Integration returns the only integration, or the first; the zero value when there is none.
func (o *Organization) Integration() Integration {
	if all := o.Integrations(); len(all) > 0 {
		return all[0]
	}
	return Integration{}
}

// Logs returns the log records that integrations sent, at least the last 10,000 of each.
func (o *Organization) Logs() []json.RawMessage {
	return o.collect(func(in *integration) []json.RawMessage { return in.logs })
}

// Metrics returns the sync metrics events, in the order in which they came.
func (o *Organization) Metrics() []json.RawMessage {
	return o.collect(func(in *integration) []json.RawMessage { return in.metrics })
}

func (o *Organization) collect(of func(*integration) []json.RawMessage) (out []json.RawMessage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(o.st.integrations)) {
		out = append(out, of(o.st.integrations[key])...)
	}
	return out
}

// A Request is an entry of the request log.
type Request struct {
	Method string
	Route  string // pattern, with the method
	Path   string // escaped, with the query
	Agent  string
	Client string // client id; empty before authorization
	// Status is what was answered; 0 when the request was cut off before it was handled.
	Status                  int
	RequestSize, AnswerSize int    // of the bodies, in bytes
	Fault                   string // what a rule did, such as "lost-answer"
	At                      time.Time
	Header                  http.Header // with KeepBodies, without the credentials
	Body                    []byte      // with KeepBodies
}

// Query returns a parameter of the query of the request.
func (r Request) Query(name string) string {
	_, query, _ := strings.Cut(r.Path, "?")
	values, _ := url.ParseQuery(query)
	return values.Get(name)
}

// record adds to the log before the client can see the answer.
func (s *Server) record(c *call, rule *activeRule, out reply) {
	e := Request{
		Method: c.r.Method, Route: c.route, Path: c.r.URL.RequestURI(), Agent: c.r.UserAgent(), Status: out.status,
		RequestSize: len(c.body), AnswerSize: len(out.body), Fault: rule.name(), At: c.now,
	}
	if c.o != nil {
		e.Client = c.o.clientID
	}
	if s.opt.KeepBodies {
		e.Header, e.Body = c.r.Header.Clone(), c.body
		e.Header.Del("Authorization")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = record(s.log, e)
}

// Requests returns the log in order of answers, at least the last 10,000
// requests. With routes only requests of those; patterns as in Rule.
func (s *Server) Requests(routes ...string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Request
	for _, e := range s.log {
		if len(routes) == 0 || slices.ContainsFunc(routes, func(r string) bool { return matches(r, e.Route) }) {
			out = append(out, e)
		}
	}
	return out
}

// ForgetRequests empties the log.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
}

// Resyncs counts what was said of resyncs, -1 while one is running or before the
// first.
func (s *Server) Resyncs() int {
	states := s.Integration().States
	if len(states) == 0 || gjson.GetBytes(states[len(states)-1], "status").Str == "running" {
		return -1
	}
	return len(states)
}
