package porttest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// entity is a stored entity; never changed, only replaced.
type entity struct {
	blueprint, id     string
	seq               uint64 // order of creation
	title, icon, team string // JSON; empty for null
	properties        members
	relations         []link // sorted by name
	agent             string // User-Agent of the last write
	created, updated  time.Time
	stub              bool // made because something refers to it
}

// link is one relation of an entity; without ids it is null or empty.
type link struct {
	name string
	many bool
	ids  []string
}

func (l link) append(b []byte) []byte {
	switch {
	case l.many:
		return appendStrings(b, l.ids)
	case len(l.ids) == 0:
		return append(b, "null"...)
	default:
		return appendString(b, l.ids[0])
	}
}

// fields selects the members of an answer: the include parameters of a search.
type fields struct {
	all   bool
	names []string
}

func (f fields) has(name string) bool { return f.all || slices.Contains(f.names, name) }

// append writes the entity as Port shows it.
func (e *entity) append(b []byte, f fields) []byte {
	b = appendString(append(b, `{"identifier":`...), e.id)
	text := func(name, raw, empty string) {
		if f.has(name) || f.has("$"+name) {
			if raw == "" {
				raw = empty
			}
			b = append(append(append(b, `,"`...), name...), `":`...)
			b = append(b, raw...)
		}
	}
	text("title", e.title, "null")
	text("icon", e.icon, "null")
	if f.has("blueprint") || f.has("$blueprint") {
		b = appendString(append(b, `,"blueprint":`...), e.blueprint)
	}
	text("team", e.team, "[]")
	b = append(e.appendProperties(append(b, `,"properties":{`...), f), `},"relations":{`...)
	comma := false
	for _, l := range e.relations {
		if f.has("relations") || f.has("relations."+l.name) {
			if comma {
				b = append(b, ',')
			}
			b = l.append(append(appendString(b, l.name), ':'))
			comma = true
		}
	}
	b = append(b, '}')
	text("createdAt", quoteTime(e.created), "")
	text("updatedAt", quoteTime(e.updated), "")
	if f.all {
		b = append(b, `,"createdBy":"client","updatedBy":"client","scorecards":{}`...)
	}
	return append(b, '}')
}

func (e *entity) appendProperties(b []byte, f fields) []byte {
	comma := false
	for _, m := range e.properties {
		if f.has("properties") || f.has("properties."+m.name) {
			if comma {
				b = append(b, ',')
			}
			b = append(append(appendString(b, m.name), ':'), m.raw...)
			comma = true
		}
	}
	return b
}

// input is an entity as sent.
type input struct {
	id                string
	search            *query // instead of the id
	title, icon, team string // JSON as sent; empty when missing
	properties        members
	relations         members
}

// problem is the failure of one entity.
type problem struct {
	status        int
	code, message string
}

func bad(message string) *problem {
	return &problem{status: 422, code: "invalid_request", message: message}
}

func (p *problem) reply() reply { return fail(p.status, p.code, p.message) }

// parseInput checks the form that the route demands, which fails a whole bulk
// (peer.md); at is the path of the entity in the complaint.
func parseInput(doc gjson.Result, at string, strict bool) (*input, *problem) {
	in := &input{}
	var fault *problem
	seen := false
	doc.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "identifier":
			seen = true
			in.id, in.search, fault = parseIdentifier(v, strict)
		case "title":
			in.title, fault = parseText(v, "/title", strict)
		case "icon":
			in.icon, fault = parseText(v, "/icon", true)
		case "team":
			in.team, fault = parseTeam(v)
		case "properties":
			if v.Type != gjson.Null && !v.IsObject() {
				fault = bad("/properties must be object")
			}
			in.properties = parseMembers(v)
		case "relations":
			in.relations, fault = parseRelations(v, strict)
		}
		return fault == nil
	})
	if fault == nil && !seen {
		fault = bad(" must have required property 'identifier'")
	}
	if fault != nil {
		fault.message = at + fault.message
	}
	return in, fault
}

func parseIdentifier(v gjson.Result, strict bool) (string, *query, *problem) {
	if v.IsObject() {
		q, message := parseQuery(v)
		if message != "" {
			return "", nil, bad("/identifier" + message)
		}
		return "", q, nil
	}
	if v.Type == gjson.Number && !strict {
		v = coerce(v, "string")
	}
	switch {
	case v.Type != gjson.String:
		return "", nil, bad("/identifier must be string")
	case !validIdentifier(v.Str):
		return "", nil, bad("/identifier must match pattern \"" + identifierPattern + "\"")
	}
	return v.Str, nil, nil
}

func parseText(v gjson.Result, at string, strict bool) (string, *problem) {
	if v.Type != gjson.String && !strict {
		v = coerce(v, "string")
	}
	if v.Type != gjson.String && v.Type != gjson.Null {
		return "", bad(at + " must be string")
	}
	return v.Raw, nil
}

// parseTeam makes a list of one name; a search stays as sent.
func parseTeam(v gjson.Result) (string, *problem) {
	switch {
	case v.Type == gjson.String:
		return "[" + v.Raw + "]", nil
	case v.Type == gjson.Null, v.IsArray(), v.IsObject():
		return v.Raw, nil
	}
	return "", bad("/team must match exactly one schema in oneOf")
}

// parseRelations wants null, an identifier, a list of them or a search.
func parseRelations(v gjson.Result, strict bool) (members, *problem) {
	if v.Type == gjson.Null {
		return nil, nil
	}
	if !v.IsObject() {
		return nil, bad("/relations must be object")
	}
	m := parseMembers(v)
	for i, x := range m {
		v := gjson.Parse(x.raw)
		at := "/relations/" + x.name
		switch {
		case v.Type == gjson.Null:
		case v.IsObject():
			if _, message := parseQuery(v); message != "" {
				return nil, bad(at + message)
			}
		case v.IsArray():
			ids := make([]string, 0, 4)
			for n, el := range v.Array() {
				id, q, fault := parseIdentifier(el, strict)
				if fault != nil || q != nil {
					return nil, bad(at + "/" + strconv.Itoa(n) + " must match pattern \"" + identifierPattern + "\"")
				}
				ids = append(ids, id)
			}
			m[i].raw = string(appendStrings(nil, ids))
		default:
			id, _, fault := parseIdentifier(v, strict)
			if fault != nil {
				return nil, bad(at + strings.TrimPrefix(fault.message, "/identifier"))
			}
			m[i].raw = string(appendString(nil, id))
		}
	}
	return m, nil
}
