package porttest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// blueprint is a document and what it says about entities.
type blueprint struct {
	id               string
	doc              members
	properties       map[string]*property
	required         []string
	relations        map[string]relation
	entities         map[string]*entity
	created, updated time.Time
}

// relation is the definition of a relation.
type relation struct {
	target         string
	many, required bool
}

func (b *blueprint) clone() *blueprint {
	c := *b
	c.entities = maps.Clone(b.entities)
	return &c
}

// parseBlueprint reads a document; the text of the error is that of Port's answer.
func parseBlueprint(doc members) (*blueprint, string) {
	b := &blueprint{
		id: doc.text("identifier"), doc: doc,
		properties: map[string]*property{}, relations: map[string]relation{}, entities: map[string]*entity{},
	}
	if !validIdentifier(b.id) {
		return nil, "body/identifier must match pattern \"" + identifierPattern + "\""
	}
	schema := doc.get("schema")
	properties := schema.Get("properties")
	if !properties.IsObject() {
		return nil, "body/schema must have required property 'properties'"
	}
	problem := ""
	properties.ForEach(func(k, v gjson.Result) bool {
		p := parseProperty(v)
		if p == nil {
			problem = "body/schema/properties/" + k.Str + "/type must be equal to one of the allowed values"
		}
		b.properties[k.Str] = p
		return problem == ""
	})
	for _, x := range schema.Get("required").Array() {
		b.required = append(b.required, x.Str)
	}
	doc.get("relations").ForEach(func(k, v gjson.Result) bool {
		r := relation{target: v.Get("target").Str, many: v.Get("many").Bool(), required: v.Get("required").Bool()}
		if r.target == "" {
			problem = "body/relations/" + k.Str + " must have required property 'target'"
		}
		b.relations[k.Str] = r
		return problem == ""
	})
	return b, problem
}

// references checks what the blueprint says of others: relations, mirrored and
// aggregated properties. That is why clients create blueprints in stages.
func (st *state) references(b *blueprint) (reply, bool) {
	for _, name := range slices.Sorted(maps.Keys(b.relations)) {
		if t := b.relations[name].target; t != b.id && st.blueprints[t] == nil {
			return notFound("Blueprint", t), false
		}
	}
	out, good := reply{}, true
	b.doc.get("mirrorProperties").ForEach(func(k, v gjson.Result) bool {
		first, _, _ := strings.Cut(v.Get("path").Str, ".")
		if _, known := b.relations[first]; !known && !strings.HasPrefix(first, "$") {
			out, good = invalid("body/mirrorProperties/"+k.Str+"/path: relation \""+first+"\" does not exist"), false
		}
		return good
	})
	b.doc.get("aggregationProperties").ForEach(func(_, v gjson.Result) bool {
		if t := v.Get("target").Str; t != b.id && st.blueprints[t] == nil {
			out, good = notFound("Blueprint", t), false
		}
		return good
	})
	return out, good
}

func (b *blueprint) append(dst []byte) []byte {
	d := b.doc
	for _, k := range []string{"relations", "mirrorProperties", "calculationProperties", "aggregationProperties"} {
		if !d.get(k).Exists() {
			d = d.with(k, "{}")
		}
	}
	d = d.with("createdAt", quoteTime(b.created)).with("updatedAt", quoteTime(b.updated))
	return d.with("createdBy", `"client"`).with("updatedBy", `"client"`).append(dst)
}

func quoteTime(t time.Time) string { return t.UTC().Format(`"2006-01-02T15:04:05.000Z"`) }

// blueprint is the one of the path, or the answer when there is none.
func (c *call) blueprint() (*blueprint, reply) {
	id := c.r.PathValue("blueprint")
	if b := c.o.st.blueprints[id]; b != nil {
		return b, reply{}
	}
	return nil, notFound("Blueprint", id)
}

func (c *call) listBlueprints() reply {
	b := []byte{'['}
	for i, id := range slices.Sorted(maps.Keys(c.o.st.blueprints)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = c.o.st.blueprints[id].append(b)
	}
	return ok(http.StatusOK, "blueprints", append(b, ']'))
}

func (c *call) getBlueprint() reply {
	b, missing := c.blueprint()
	if b == nil {
		return missing
	}
	return ok(http.StatusOK, "blueprint", b.append(nil))
}

func (c *call) createBlueprint() reply {
	b, problem := parseBlueprint(parseMembers(c.doc))
	if problem != "" {
		return invalid(problem)
	}
	st := c.o.st
	if st.blueprints[b.id] != nil {
		return fail(http.StatusConflict, "identifier_taken", "Blueprint with identifier \""+b.id+"\" already exists")
	}
	if out, good := st.references(b); !good {
		return out
	}
	b.created, b.updated = c.now, c.now
	st.blueprints[b.id] = b
	return ok(http.StatusCreated, "blueprint", b.append(nil))
}

// changeBlueprint replaces (PUT) or merges the top members (PATCH).
func (c *call) changeBlueprint() reply {
	old, missing := c.blueprint()
	if old == nil {
		return missing
	}
	doc := parseMembers(c.doc)
	if id := doc.get("identifier"); id.Exists() && id.Str != old.id {
		return invalid("body/identifier cannot be changed")
	}
	doc = doc.with("identifier", string(appendString(nil, old.id)))
	if c.r.Method == http.MethodPatch {
		for _, m := range old.doc {
			if !doc.get(m.name).Exists() {
				doc = doc.with(m.name, m.raw)
			}
		}
	}
	b, problem := parseBlueprint(doc)
	if problem != "" {
		return invalid(problem)
	}
	if out, good := c.o.st.references(b); !good {
		return out
	}
	b.entities, b.created, b.updated = old.entities, old.created, c.now
	c.o.st.blueprints[b.id] = b
	return ok(http.StatusOK, "blueprint", b.append(nil))
}

// deleteBlueprint refuses to leave entities or relations behind.
func (c *call) deleteBlueprint() reply {
	b, missing := c.blueprint()
	if b == nil {
		return missing
	}
	if n := len(b.entities); n > 0 {
		return fail(http.StatusConflict, "has_dependents", "Blueprint \""+b.id+"\" has "+strconv.Itoa(n)+" entities")
	}
	for _, x := range c.o.st.blueprints {
		for name, r := range x.relations {
			if x != b && r.target == b.id {
				return fail(http.StatusConflict, "has_dependents", "Blueprint \""+b.id+"\" is the target of relation \""+name+"\" of \""+x.id+"\"")
			}
		}
	}
	delete(c.o.st.blueprints, b.id)
	return done()
}
