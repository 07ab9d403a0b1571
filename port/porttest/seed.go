package porttest

import (
	"fmt"

	"github.com/tidwall/gjson"
)

// AddBlueprint adds or replaces blueprints, given as JSON. Those that refer to
// others may come before them in one call. Like the other methods for seeding
// it panics when Port would refuse.
func (o *Organization) AddBlueprint(documents ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var added []*blueprint
	for _, doc := range documents {
		if !gjson.Valid(doc) {
			panic("porttest: blueprint is not JSON: " + doc)
		}
		b, problem := parseBlueprint(parseMembers(gjson.Parse(doc)))
		if problem != "" {
			panic("porttest: blueprint: " + problem)
		}
		b.created = o.s.opt.Now().UTC()
		b.updated = b.created
		if old := o.st.blueprints[b.id]; old != nil {
			b.entities, b.created = old.entities, old.created
		}
		o.st.blueprints[b.id] = b
		added = append(added, b)
	}
	for _, b := range added {
		if out, good := o.st.references(b); !good {
			panic("porttest: blueprint " + b.id + ": " + string(out.body))
		}
	}
}

// PutEntity writes an entity (created or replaced; missing related entities are
// made) in the name of a User-Agent. The document is as for the API, with the
// blueprint in it.
func (o *Organization) PutEntity(agent, document string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	doc := gjson.Parse(document)
	b := o.st.blueprints[doc.Get("blueprint").Str]
	if b == nil || !gjson.Valid(document) {
		panic("porttest: entity without a known blueprint: " + document)
	}
	in, fault := parseInput(doc, "body", o.s.opt.Strict)
	if fault == nil {
		w := &writer{st: o.st, b: b, agent: agent, now: o.s.opt.Now().UTC(), upsert: true, create: true, strict: o.s.opt.Strict}
		_, _, fault = w.put(in)
	}
	if fault != nil {
		panic(fmt.Sprintf("porttest: entity: %d %s: %s", fault.status, fault.code, fault.message))
	}
}

// SetMapping gives all integrations, those to come too, the mapping that a user
// wrote, and asks for a resync.
func (o *Organization) SetMapping(document string) {
	if !gjson.Valid(document) {
		panic("porttest: mapping is not JSON: " + document)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.st.mapping = document
	for _, in := range o.st.integrations {
		in.config = document
	}
	o.requestResync()
}

// TriggerResync asks all integrations for a resync. The time of the request
// moves on even when the clock stands still.
func (o *Organization) TriggerResync() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requestResync()
}

func (o *Organization) requestResync() {
	for _, in := range o.st.integrations {
		in.touch(o.s.opt.Now().UTC())
		in.requested = in.updated
	}
}
