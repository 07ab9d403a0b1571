package porttest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Organization is all that one client id sees of Port.
type Organization struct {
	s        *Server
	clientID string
	id       string

	// Guarded by the server.
	windowEnd time.Time // of the rate window
	used      int       // requests in it

	mu     sync.Mutex
	st     *state
	writes int
}

// state is what Snapshot copies. Entities and documents are never changed in
// place, only replaced, so that copies of the maps are enough.
type state struct {
	seq          uint64 // grows with every entity and document made
	blueprints   map[string]*blueprint
	integrations map[string]*integration // by lower-case identifier
	docs         map[string]members      // by kind/identifier
	runs         []*run
	mapping      string // prepared by SetMapping
	settings     json.RawMessage
}

func newOrganization(s *Server, clientID string) *Organization {
	return &Organization{s: s, clientID: clientID, id: "org_" + hash(clientID), st: &state{
		blueprints: map[string]*blueprint{}, integrations: map[string]*integration{}, docs: map[string]members{},
	}}
}

// hash makes the opaque ids that Port would draw by lot.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

func (st *state) clone() *state {
	c := *st
	c.blueprints = make(map[string]*blueprint, len(st.blueprints))
	for id, b := range st.blueprints {
		c.blueprints[id] = b.clone()
	}
	c.integrations = make(map[string]*integration, len(st.integrations))
	for id, in := range st.integrations {
		c.integrations[id] = in.clone()
	}
	c.docs = maps.Clone(st.docs)
	c.runs = make([]*run, len(st.runs))
	for i, r := range st.runs {
		c.runs[i] = r.clone()
	}
	return &c
}

// A Snapshot is the content of an organization at one time.
type Snapshot struct{ st *state }

// Snapshot copies the content of the organization.
func (o *Organization) Snapshot() *Snapshot {
	o.mu.Lock()
	defer o.mu.Unlock()
	return &Snapshot{o.st.clone()}
}

// Restore brings back a snapshot, of this or another organization. The
// snapshot can be used again. The request log and Writes go on.
func (o *Organization) Restore(s *Snapshot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.st = s.st.clone()
}

func (c *call) getOrganization() reply {
	b := appendString([]byte(`{"id":`), c.o.id)
	b = appendString(append(b, `,"name":`...), c.o.clientID)
	b = append(b, `,"featureFlags":`...)
	return ok(http.StatusOK, "organization", append(appendStrings(b, c.s.opt.FeatureFlags), '}'))
}

func (c *call) kafkaCredentials() reply {
	k := c.s.opt.Kafka
	if k.Username == "" {
		k.Username, k.Password = c.o.id, "kafka-"+hash(c.o.id)
	}
	b := appendString([]byte(`{"username":`), k.Username)
	b = appendString(append(b, `,"password":`...), k.Password)
	b = appendStrings(append(b, `,"brokers":`...), k.Brokers)
	return ok(http.StatusOK, "credentials", append(b, '}'))
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

// docRoute serves documents that are only kept: pages, actions and, below a
// blueprint, scorecards.
type docRoute struct{ kind string }

// key is where documents of the call are kept; those of a blueprint below it.
func (d docRoute) key(c *call, id string) string {
	return d.kind + "/" + c.r.PathValue("blueprint") + "/" + id
}

func (d docRoute) list(plural string) handler {
	return func(c *call) reply {
		return ok(http.StatusOK, plural, c.o.st.list(d.key(c, "")))
	}
}

// list is the JSON array of the documents below a key, sorted.
func (st *state) list(prefix string) []byte {
	b := []byte{'['}
	for _, k := range slices.Sorted(maps.Keys(st.docs)) {
		if strings.HasPrefix(k, prefix) {
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = st.docs[k].append(b)
		}
	}
	return append(b, ']')
}

func (d docRoute) create(c *call) reply {
	doc := parseMembers(c.doc)
	if bp := c.r.PathValue("blueprint"); bp != "" {
		if c.o.st.blueprints[bp] == nil {
			return notFound("Blueprint", bp)
		}
		doc = doc.with("blueprint", string(appendString(nil, bp)))
	}
	id := doc.text("identifier")
	if id == "" {
		c.o.st.seq++
		id = d.kind + "_" + strconv.FormatUint(c.o.st.seq, 10)
		doc = doc.with("identifier", string(appendString(nil, id)))
	}
	if c.o.st.docs[d.key(c, id)] != nil {
		return fail(http.StatusConflict, "identifier_taken", "A "+d.kind+" with identifier \""+id+"\" already exists")
	}
	c.o.st.docs[d.key(c, id)] = doc
	return ok(http.StatusCreated, d.kind, doc.append(nil))
}

func (d docRoute) get(c *call) reply {
	doc := c.o.st.docs[d.key(c, c.r.PathValue("id"))]
	if doc == nil {
		return notFound(d.kind, c.r.PathValue("id"))
	}
	return ok(http.StatusOK, d.kind, doc.append(nil))
}

func (d docRoute) remove(c *call) reply {
	key := d.key(c, c.r.PathValue("id"))
	if c.o.st.docs[key] == nil {
		return notFound(d.kind, c.r.PathValue("id"))
	}
	delete(c.o.st.docs, key)
	return done()
}

// Documents returns the documents of a kind – "page", "action", or
// "scorecard" – as JSON, sorted by blueprint and identifier.
func (o *Organization) Documents(kind string) []json.RawMessage {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []json.RawMessage
	for _, k := range slices.Sorted(maps.Keys(o.st.docs)) {
		if strings.HasPrefix(k, kind+"/") {
			out = append(out, o.st.docs[k].append(nil))
		}
	}
	return out
}
