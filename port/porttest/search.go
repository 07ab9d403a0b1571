package porttest

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// query is {combinator, rules}; its rules may be queries.
type query struct {
	or    bool
	rules []rule
}

type rule struct {
	nested   *query
	property string
	op       string
	negated  bool
	value    gjson.Result
	list     []gjson.Result  // of value
	texts    map[string]bool // the strings in list, for long lists
	target   string          // blueprint of a relatedTo
	st       *state          // where a relatedTo follows relations
}

// operators maps what Port knows to the operator that is
// evaluated; negated ones to their opposite.
var operators = map[string]string{
	"=": "=", "in": "in", "contains": "contains", "containsAny": "in", "beginsWith": "beginsWith", "endsWith": "endsWith",
	"isEmpty": "isEmpty", "between": "between", ">": ">", ">=": ">=", "<": "<", "<=": "<=",
	"!=": "!=", "notIn": "!in", "doesNotContains": "!contains", "doesNotBeginsWith": "!beginsWith", "doesNotEndsWith": "!endsWith",
	"isNotEmpty": "!isEmpty", "notBetween": "!between",
	"relatedTo": "relatedTo",
}

// parseQuery returns the complaint as Port words it, without the path before it.
func parseQuery(v gjson.Result) (*query, string) {
	combinator, rules := v.Get("combinator").Str, v.Get("rules")
	if !rules.IsArray() {
		return nil, " must have required property 'rules'"
	}
	if combinator != "and" && combinator != "or" {
		return nil, "/combinator must be equal to one of the allowed values"
	}
	q := &query{or: combinator == "or"}
	for i, x := range rules.Array() {
		op, known := operators[x.Get("operator").Str]
		r := rule{property: x.Get("property").Str, value: x.Get("value"), target: x.Get("blueprint").Str}
		r.op, r.negated = strings.CutPrefix(op, "!")
		at := "/rules/" + strconv.Itoa(i)
		if x.Get("rules").Exists() {
			nested, message := parseQuery(x)
			if message != "" {
				return nil, at + message
			}
			r.nested = nested
		} else if !known {
			return nil, at + "/operator must be equal to one of the allowed values"
		}
		if r.value.IsArray() {
			r.list = r.value.Array()
			r.texts = make(map[string]bool, len(r.list))
			for _, t := range r.list {
				if t.Type == gjson.String {
					r.texts[t.Str] = true
				}
			}
		}
		q.rules = append(q.rules, r)
	}
	return q, ""
}

func (q *query) matches(e *entity) bool {
	for i := range q.rules {
		if q.rules[i].matches(e) == q.or {
			return q.or
		}
	}
	return !q.or || len(q.rules) == 0
}

func (r *rule) matches(e *entity) bool {
	if r.nested != nil {
		return r.nested.matches(e)
	}
	if r.op == "relatedTo" {
		return r.st.leads(e, r, maxHops)
	}
	return r.holds(e.value(r.property)) != r.negated
}

// maxHops is how far a relatedTo follows relations.
const maxHops = 3

// leads says whether an entity refers to one that the rule names, over others too.
func (st *state) leads(e *entity, r *rule, hops int) bool {
	if hops == 0 {
		return false
	}
	for _, l := range e.relations {
		b := st.blueprints[st.blueprints[e.blueprint].relations[l.name].target]
		for _, id := range l.ids {
			if b == nil || b.entities[id] == nil {
				continue
			}
			if b.id == r.target && (r.texts[id] || r.value.Str == id) || st.leads(b.entities[id], r, hops-1) {
				return true
			}
		}
	}
	return false
}

// in makes the rules look at a state.
func (q *query) in(st *state) {
	for i := range q.rules {
		q.rules[i].st = st
		if q.rules[i].nested != nil {
			q.rules[i].nested.in(st)
		}
	}
}

func (r *rule) holds(have gjson.Result) bool {
	switch r.op {
	case "=":
		return same(have, r.value)
	case "in":
		if have.IsArray() {
			return slices.ContainsFunc(have.Array(), r.lists)
		}
		return r.lists(have)
	case "contains":
		if have.IsArray() {
			return slices.ContainsFunc(have.Array(), func(x gjson.Result) bool { return same(x, r.value) })
		}
		return have.Type == gjson.String && r.value.Type == gjson.String &&
			strings.Contains(strings.ToLower(have.Str), strings.ToLower(r.value.Str))
	case "beginsWith":
		return have.Type == gjson.String && r.value.Type == gjson.String && strings.HasPrefix(have.Str, r.value.Str)
	case "endsWith":
		return have.Type == gjson.String && r.value.Type == gjson.String && strings.HasSuffix(have.Str, r.value.Str)
	case "isEmpty":
		return have.Type == gjson.Null || have.Type == gjson.String && have.Str == "" || have.IsArray() && len(have.Array()) == 0
	case "between":
		low, ok1 := compare(have, r.value.Get("from"))
		high, ok2 := compare(have, r.value.Get("to"))
		return ok1 && ok2 && low >= 0 && high <= 0
	default:
		n, ok := compare(have, r.value)
		return ok && (strings.HasSuffix(r.op, "=") && n == 0 || r.op[0] == '>' && n > 0 || r.op[0] == '<' && n < 0)
	}
}

func (r *rule) lists(v gjson.Result) bool {
	if v.Type == gjson.String {
		return r.texts[v.Str]
	}
	return slices.ContainsFunc(r.list, func(x gjson.Result) bool { return same(x, v) })
}

// compare orders numbers, times and strings.
func compare(a, b gjson.Result) (int, bool) {
	switch {
	case a.Type == gjson.Number && b.Type == gjson.Number:
		return cmp.Compare(a.Num, b.Num), true
	case a.Type != gjson.String || b.Type != gjson.String:
		return 0, false
	}
	x, ok1 := parseTime(a.Str)
	y, ok2 := parseTime(b.Str)
	if ok1 && ok2 {
		return x.Compare(y), true
	}
	return strings.Compare(a.Str, b.Str), true
}

func textValue(s string) gjson.Result { return gjson.Result{Type: gjson.String, Str: s} }

// value is what a rule's property names: a meta property, a property or a relation.
func (e *entity) value(name string) gjson.Result {
	switch name {
	case "$identifier":
		return textValue(e.id)
	case "$blueprint":
		return textValue(e.blueprint)
	case "$title":
		return gjson.Parse(e.title)
	case "$icon":
		return gjson.Parse(e.icon)
	case "$team":
		return gjson.Parse(e.team)
	case "$datasource":
		return textValue(e.agent)
	case "$createdAt":
		return gjson.Parse(quoteTime(e.created))
	case "$updatedAt":
		return gjson.Parse(quoteTime(e.updated))
	case "$createdBy", "$updatedBy":
		return textValue("client")
	}
	for _, l := range e.relations {
		if l.name == name {
			return gjson.ParseBytes(l.append(nil))
		}
	}
	return e.properties.get(name)
}

// match lists the entities of a blueprint that a query wants, oldest first.
func (st *state) match(b *blueprint, q *query) []*entity {
	q.in(st)
	var out []*entity
	for _, e := range b.candidates(q) {
		if q.matches(e) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, bySeq)
	return out
}

func bySeq(a, b *entity) int { return cmp.Compare(a.seq, b.seq) }

// candidates are the entities that a query can match: those it names, if it
// does. It makes the searches of a resync, by 50 identifiers, independent of the catalog's size.
func (b *blueprint) candidates(q *query) map[string]*entity {
	if q.or {
		return b.entities
	}
	for _, r := range q.rules {
		if r.negated {
			continue
		}
		var names map[string]bool
		switch {
		case r.property == "$blueprint" && r.op == "=" && r.value.Str != b.id,
			r.property == "$blueprint" && r.op == "in" && !r.texts[b.id]:
			return nil
		case r.property == "$identifier" && r.op == "=":
			names = map[string]bool{r.value.Str: true}
		case r.property == "$identifier" && r.op == "in":
			names = r.texts
		default:
			continue
		}
		found := make(map[string]*entity, len(names))
		for id := range names {
			if e := b.entities[id]; e != nil {
				found[id] = e
			}
		}
		// $blueprint may still exclude them all: that is left to matches.
		return found
	}
	return b.entities
}

func (c *call) include() fields {
	names := append(c.query["include"], c.query["include[]"]...)
	return fields{all: len(names) == 0, names: names}
}

func (c *call) searchEntities() reply {
	q, message := parseQuery(c.doc)
	if message != "" {
		return invalid("body" + message)
	}
	var found []*entity
	for _, b := range c.o.st.blueprints {
		found = append(found, c.o.st.match(b, q)...)
	}
	slices.SortFunc(found, bySeq)
	f := c.include()
	return ok(http.StatusOK, "entities", appendEntities(found, f))
}

// searchBlueprint pages through the entities of a blueprint that a query holds for.
func (c *call) searchBlueprint() reply {
	b, missing := c.blueprint()
	if b == nil {
		return missing
	}
	q := &query{}
	if v := c.doc.Get("query"); v.Exists() {
		var message string
		if q, message = parseQuery(v); message != "" {
			return invalid("body/query" + message)
		}
	}
	limit := 200
	if v := c.doc.Get("limit"); v.Exists() {
		limit = int(v.Int())
	}
	if limit < 1 || limit > 1000 {
		return invalid("body/limit must be between 1 and 1000")
	}
	after, valid := decodeCursor(c.doc.Get("from").Str)
	if !valid {
		return invalid("body/from is not a valid cursor")
	}
	list := slices.DeleteFunc(c.o.st.match(b, q), func(e *entity) bool { return e.seq <= after })
	slices.SortFunc(list, bySeq)
	next := ""
	if len(list) > limit {
		list = list[:limit]
		next = `,"next":"` + encodeCursor(list[limit-1].seq) + `"`
	}
	out := appendEntities(list, fields{all: true})
	return reply{status: http.StatusOK, body: []byte(`{"ok":true,"entities":` + string(out) + next + `}`)}
}

func appendEntities(list []*entity, f fields) []byte {
	b := []byte{'['}
	for i, e := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = e.append(b, f)
	}
	return append(b, ']')
}

func (c *call) listEntities() reply {
	b, missing := c.blueprint()
	if b == nil {
		return missing
	}
	return ok(http.StatusOK, "entities", appendEntities(c.o.st.match(b, &query{}), c.include()))
}

func (c *call) getEntity() reply {
	b, missing := c.blueprint()
	if b == nil {
		return missing
	}
	e := b.entities[c.r.PathValue("entity")]
	if e == nil {
		return notFound("Entity", c.r.PathValue("entity"))
	}
	return ok(http.StatusOK, "entity", e.append(nil, c.include()))
}

// datasourceEntities pages through what a data source wrote last.
func (c *call) datasourceEntities() reply {
	prefix, suffix := c.doc.Get("datasource_prefix").Str, c.doc.Get("datasource_suffix").Str
	if prefix == "" || suffix == "" {
		return invalid("body must have required properties 'datasource_prefix' and 'datasource_suffix'")
	}
	limit := 1000
	if v := c.doc.Get("limit"); v.Exists() {
		limit = int(v.Int())
	}
	if limit < 1 || limit > 5000 {
		return invalid("body/limit must be between 1 and 5000")
	}
	var before time.Time
	if v := c.doc.Get("before"); v.Type == gjson.String {
		t, valid := parseTime(v.Str)
		if !valid {
			return invalid("body/before must match format \"date-time\"")
		}
		before = t
	}
	after, valid := decodeCursor(c.doc.Get("from").Str)
	if !valid {
		return invalid("body/from is not a valid cursor")
	}
	var list []*entity
	for _, b := range c.o.st.blueprints {
		for _, e := range b.entities {
			if e.seq > after && strings.HasPrefix(e.agent, prefix) && strings.HasSuffix(e.agent, suffix) &&
				(before.IsZero() || e.updated.Before(before)) {
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, bySeq)
	next := "null"
	if len(list) > limit {
		list = list[:limit]
		next = `"` + encodeCursor(list[limit-1].seq) + `"`
	}
	out := appendEntities(list, fields{names: []string{"blueprint"}})
	return reply{status: http.StatusOK, body: []byte(`{"ok":true,"entities":` + string(out) + `,"next":` + next + `}`)}
}

func encodeCursor(seq uint64) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendUint([]byte("after "), seq, 10))
}

func decodeCursor(s string) (uint64, bool) {
	if s == "" {
		return 0, true
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	digits, found := strings.CutPrefix(string(b), "after ")
	if err != nil || !found {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, err == nil
}
