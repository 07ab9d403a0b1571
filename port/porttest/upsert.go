package porttest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port"
)

// Limits of one request.
const (
	maxUpsert = 20
	maxDelete = 100
)

// writer carries the options of one write. The organization is locked.
type writer struct {
	st                           *state
	b                            *blueprint
	agent, event                 string
	now                          time.Time
	upsert, merge, create, trial bool
	strict                       bool
	old, stored                  *entity // by the last put, unless it was a trial
}

func (c *call) writer(b *blueprint) *writer {
	return &writer{
		st: c.o.st, b: b, agent: c.r.UserAgent(), event: c.query.Get("event_type"), now: c.now, upsert: c.flag("upsert"), merge: c.flag("merge"),
		create: c.flag("create_missing_related_entities"), trial: c.flag("validation_only"), strict: c.s.opt.Strict,
	}
}

// put writes one entity and returns its identifier and whether it is new.
func (w *writer) put(in *input) (id string, isNew bool, fault *problem) {
	id, old, fault := w.find(in)
	if fault != nil {
		return "unknown", false, fault
	}
	if old != nil && !w.upsert {
		return id, false, &problem{status: http.StatusConflict, code: "entity_exists", message: "Entity with identifier \"" + id + "\" already exists"}
	}
	e := &entity{blueprint: w.b.id, id: id, agent: w.agent, updated: w.now, created: w.now}
	if old != nil {
		e.seq, e.created = old.seq, old.created
	}
	merge := w.merge && old != nil
	if e.properties, fault = w.properties(in, old, merge); fault != nil {
		return id, false, fault
	}
	links, absent, fault := w.links(in, old, merge, id)
	if fault != nil {
		return id, false, fault
	}
	e.relations = links
	if w.trial {
		return id, old == nil, nil
	}
	for _, ref := range absent {
		w.stub(ref)
	}
	text := func(sent, kept string) string {
		switch {
		case sent == "" && merge:
			return kept
		case sent == "null":
			return ""
		}
		return sent
	}
	w.old = old
	if old == nil {
		old = &entity{}
		w.st.seq++
		e.seq = w.st.seq
		isNew = true
	}
	e.title, e.icon, e.team = text(in.title, old.title), text(in.icon, old.icon), text(in.team, old.team)
	w.b.entities[id] = e
	w.stored = e
	return id, isNew, nil
}

// find resolves the identifier; exactly one entity may match a search.
func (w *writer) find(in *input) (string, *entity, *problem) {
	if in.search == nil {
		return in.id, w.b.entities[in.id], nil
	}
	hits := w.st.match(w.b, in.search)
	switch len(hits) {
	case 0:
		return "", nil, &problem{status: http.StatusNotFound, code: "not_found", message: "No entity of blueprint \"" + w.b.id + "\" matches the search query"}
	case 1:
		return hits[0].id, hits[0], nil
	default:
		return "", nil, &problem{status: http.StatusUnprocessableEntity, code: "multiple_entities_found", message: "More than one entity of blueprint \"" + w.b.id + "\" matches the search query"}
	}
}

func (w *writer) properties(in *input, old *entity, merge bool) (members, *problem) {
	out := slices.Clone(in.properties)
	for i, m := range out {
		p := w.b.properties[m.name]
		if p == nil {
			return nil, bad("Property \"" + m.name + "\" does not exist in blueprint \"" + w.b.id + "\"")
		}
		v := gjson.Parse(m.raw)
		if v.Type == gjson.Null {
			continue
		}
		raw, complaint := p.check(v, w.strict)
		if complaint != "" {
			return nil, bad("Invalid value of property \"" + m.name + "\"" + complaint)
		}
		out[i].raw = raw
	}
	if merge {
		for _, m := range old.properties {
			if _, sent := out.find(m.name); !sent {
				out.set(m.name, m.raw)
			}
		}
	}
	for _, name := range w.b.required {
		if out.get(name).Type == gjson.Null {
			return nil, bad("Missing required property \"" + name + "\"")
		}
	}
	return out, nil
}

// links resolves the relations and lists the related entities that do not exist.
func (w *writer) links(in *input, old *entity, merge bool, id string) (links []link, absent []port.Ref, fault *problem) {
	if merge {
		for _, l := range old.relations {
			if _, sent := in.relations.find(l.name); !sent {
				links = append(links, l)
			}
		}
	}
	for _, m := range in.relations {
		l, fault := w.link(m)
		if fault != nil {
			return nil, nil, fault
		}
		links = append(links, l)
		target := w.st.blueprints[w.b.relations[l.name].target]
		for _, t := range l.ids {
			if target.entities[t] == nil && (target != w.b || t != id) {
				absent = append(absent, port.Ref{Blueprint: target.id, Identifier: t})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.b.relations)) {
		if w.b.relations[name].required && !slices.ContainsFunc(links, func(l link) bool { return l.name == name && len(l.ids) > 0 }) {
			return nil, nil, bad("Missing required relation \"" + name + "\"")
		}
	}
	if len(absent) > 0 && !w.create {
		return nil, nil, &problem{status: http.StatusNotFound, code: "not_found", message: "Entity with identifier \"" + absent[0].Identifier + "\" of blueprint \"" + absent[0].Blueprint + "\" was not found"}
	}
	slices.SortFunc(links, func(a, b link) int { return strings.Compare(a.name, b.name) })
	return links, absent, nil
}

func (w *writer) link(m member) (link, *problem) {
	def, known := w.b.relations[m.name]
	if !known {
		return link{}, bad("Relation \"" + m.name + "\" does not exist in blueprint \"" + w.b.id + "\"")
	}
	target := w.st.blueprints[def.target]
	l := link{name: m.name, many: def.many}
	v := gjson.Parse(m.raw)
	switch {
	case target == nil:
		return l, &problem{status: http.StatusNotFound, code: "not_found", message: "Blueprint with identifier \"" + def.target + "\" was not found"}
	case v.IsObject():
		q, _ := parseQuery(v) // checked before
		for _, e := range w.st.match(target, q) {
			l.ids = append(l.ids, e.id)
		}
		if len(l.ids) > 1 && !def.many {
			return l, &problem{status: http.StatusUnprocessableEntity, code: "multiple_entities_found", message: "The search query of relation \"" + m.name + "\" matches more than one entity"}
		}
		l.ids = l.ids[:min(len(l.ids), maxRelated)]
	case v.Type == gjson.String && def.many:
		return l, bad("Relation \"" + m.name + "\" must be array")
	case v.IsArray() && !def.many:
		return l, bad("Relation \"" + m.name + "\" must be string")
	case v.Type != gjson.Null:
		for _, x := range v.Array() { // a string is an array of one
			if !slices.Contains(l.ids, x.Str) {
				l.ids = append(l.ids, x.Str)
			}
		}
	}
	return l, nil
}

// maxRelated is how many entities a relation search links.
const maxRelated = 100

// stub makes an entity that something refers to.
func (w *writer) stub(ref port.Ref) {
	b := w.st.blueprints[ref.Blueprint]
	if b.entities[ref.Identifier] != nil {
		return // named twice
	}
	w.st.seq++
	b.entities[ref.Identifier] = &entity{
		blueprint: b.id, id: ref.Identifier, seq: w.st.seq, title: string(appendString(nil, ref.Identifier)),
		agent: w.agent, created: w.now, updated: w.now, stub: true,
	}
}

func (c *call) upsertBulk() reply {
	list := c.doc.Get("entities")
	if !list.IsArray() {
		return invalid("body must have required property 'entities'")
	}
	docs := list.Array()
	if len(docs) < 1 || len(docs) > maxUpsert {
		return invalid("body/entities must have between 1 and 20 items")
	}
	inputs := make([]*input, len(docs))
	for i, d := range docs {
		at := "body/entities/" + strconv.Itoa(i)
		if !d.IsObject() {
			return invalid(at + " must be object")
		}
		// Cloned, so that what is kept of one entity does not hold the whole bulk.
		in, fault := parseInput(gjson.Parse(strings.Clone(d.Raw)), at, c.s.opt.Strict)
		if fault != nil {
			return fault.reply()
		}
		inputs[i] = in
	}
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	b, missing := c.blueprint()
	if b == nil {
		return missing
	}
	return c.writer(b).putAll(c.o, inputs)
}

// putAll answers 207 when an entity failed; the lists name entities by index.
func (w *writer) putAll(o *Organization, inputs []*input) reply {
	good := []byte(`{"ok":true,"entities":[`)
	var failed []byte
	stored := 0
	for i, in := range inputs {
		id, isNew, fault := w.put(in)
		if fault == nil {
			if !w.trial {
				o.changed(w.old, w.stored, w.event)
			}
			if stored++; stored > 1 {
				good = append(good, ',')
			}
			good = appendString(append(good, `{"identifier":`...), id)
			good = strconv.AppendInt(append(good, `,"index":`...), int64(i), 10)
			good = append(strconv.AppendBool(append(good, `,"created":`...), isNew), '}')
			continue
		}
		if len(failed) > 0 {
			failed = append(failed, ',')
		}
		failed = appendString(append(failed, `{"identifier":`...), id)
		failed = strconv.AppendInt(append(failed, `,"index":`...), int64(i), 10)
		failed = strconv.AppendInt(append(failed, `,"statusCode":`...), int64(fault.status), 10)
		failed = appendString(append(failed, `,"error":`...), fault.code)
		failed = append(appendString(append(failed, `,"message":`...), fault.message), '}')
	}
	if !w.trial {
		o.writes += stored
	}
	status := http.StatusOK
	if len(failed) > 0 {
		status = http.StatusMultiStatus
	}
	good = append(append(good, `],"errors":[`...), failed...)
	return reply{status: status, body: append(good, "]}"...)}
}

func (c *call) upsertEntity() reply {
	return c.putOne(c.doc, func(*writer) reply { return reply{} })
}

// changeEntity merges (PATCH) or replaces (PUT) an entity that exists.
func (c *call) changeEntity() reply {
	id := c.r.PathValue("entity")
	doc := parseMembers(c.doc).with("identifier", string(appendString(nil, id)))
	return c.putOne(gjson.Parse(string(doc.append(nil))), func(w *writer) reply {
		w.upsert, w.merge = true, c.r.Method == http.MethodPatch
		if w.b.entities[id] == nil {
			return notFound("Entity", id)
		}
		return reply{}
	})
}

// putOne writes one entity after prepare agreed, which may change the options.
func (c *call) putOne(doc gjson.Result, prepare func(*writer) reply) reply {
	in, fault := parseInput(doc, "body", c.s.opt.Strict)
	if fault != nil {
		return fault.reply()
	}
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	b, missing := c.blueprint()
	if b == nil {
		return missing
	}
	w := c.writer(b)
	if out := prepare(w); out.status != 0 {
		return out
	}
	_, isNew, fault := w.put(in)
	switch {
	case fault != nil:
		return fault.reply()
	case w.trial:
		return done()
	}
	c.o.writes++
	c.o.changed(w.old, w.stored, w.event)
	status := http.StatusOK
	if isNew {
		status = http.StatusCreated
	}
	return ok(status, "entity", w.stored.append(nil, fields{all: true}))
}
