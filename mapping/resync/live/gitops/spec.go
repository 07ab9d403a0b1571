package gitops

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/content"
	"github.com/ado-port/ado-port/port"
)

// filePrefix is what a property begins with that is the content of a file.
const filePrefix = "file://"

// A spec is what a file declares.
type spec struct {
	entries []entry
	faults  []error // for people: what is wrong, and where
	// whole: it is known of every entity which one it is.
	whole bool
}

// An entry is the declaration of one entity, as far as it is understood.
type entry struct {
	port.Ref
	where     string
	fault     error             // why it cannot be written
	members   map[string][]byte // title, icon, team and relations, those that are there; JSON
	values    []property
	relations []port.Relation
	search    bool // team or a relation is a search
}

// A property is a value, or the file that has it.
type property struct {
	name  string
	value []byte // JSON
	file  string // path inside the repository
}

// parseSpec reads a file: documents of YAML, or JSON, each one an entity or a list
// of entities in the form of Port's API.
func parseSpec(path string, text []byte) spec {
	s := spec{whole: true}
	docs, err := content.Documents(text)
	if err != nil {
		return spec{faults: []error{fmt.Errorf("%s: %w", path, err)}}
	}
	n := 0
	folder := path[:max(0, strings.LastIndexByte(path, '/'))]
	one := func(v gjson.Result) {
		n++
		s.add(parseEntry(folder, path+", entity "+strconv.Itoa(n), v))
	}
	for _, d := range docs {
		v := gjson.ParseBytes(d)
		if !v.IsArray() {
			one(v)
			continue
		}
		for _, v := range v.Array() {
			one(v)
		}
	}
	return s
}

// add takes in an entry, when it is known of which entity.
func (s *spec) add(e entry) {
	if e.fault != nil {
		s.faults = append(s.faults, fmt.Errorf("%s: %w", e.where, e.fault))
	}
	if e.Blueprint == "" || e.Identifier == "" {
		s.whole = false
		return
	}
	s.entries = append(s.entries, e)
}

// parseEntry reads an entity. Which one it is is told even if the rest is not
// understood.
func parseEntry(folder, where string, v gjson.Result) entry {
	e := entry{where: where, members: map[string][]byte{}}
	if !v.IsObject() {
		e.fault = errors.New("want an object with identifier and blueprint")
		return e
	}
	e.Blueprint, e.Identifier = v.Get("blueprint").Str, nameOf(v.Get("identifier"))
	switch {
	case e.Identifier == "":
		e.fault = errors.New("identifier: want a text")
		return e
	case e.Blueprint == "":
		e.fault = errors.New("blueprint: want a text")
		return e
	}
	e.where += " (" + e.String() + ")"
	for _, name := range []string{"icon", "title", "team"} {
		if m := v.Get(name); m.Exists() {
			e.members[name] = []byte(m.Raw)
		}
	}
	e.search = v.Get("team").IsObject()
	e.fault = errors.Join(e.readProperties(folder, v.Get("properties")), e.readRelations(v.Get("relations")))
	return e
}

// nameOf is an identifier: YAML takes some for numbers.
func nameOf(v gjson.Result) string {
	switch v.Type {
	case gjson.String:
		return v.Str
	case gjson.Number:
		return v.Raw
	default:
		return ""
	}
}

func (e *entry) readProperties(folder string, v gjson.Result) (err error) {
	if !v.Exists() || v.Type == gjson.Null {
		return nil
	}
	if !v.IsObject() {
		return errors.New("properties: want an object")
	}
	v.ForEach(func(name, val gjson.Result) bool {
		p := property{name: name.Str, value: []byte(val.Raw)}
		if path, ok := strings.CutPrefix(val.Str, filePrefix); ok && val.Type == gjson.String {
			if p.file, ok = inside(folder, path); !ok {
				err = fmt.Errorf("properties.%s: %s is not a file in the repository", name.Str, val.Str)
			}
		}
		e.values = append(e.values, p)
		return true
	})
	return err
}

func (e *entry) readRelations(v gjson.Result) error {
	if !v.Exists() || v.Type == gjson.Null {
		return nil
	}
	if !v.IsObject() {
		return errors.New("relations: want an object")
	}
	e.members["relations"] = []byte(v.Raw)
	v.ForEach(func(name, val gjson.Result) bool {
		rel := port.Relation{Name: name.Str}
		switch {
		case val.IsObject():
			e.search = true
		case val.IsArray():
			for _, t := range val.Array() {
				rel.Targets = append(rel.Targets, nameOf(t))
			}
		default:
			rel.Targets = []string{nameOf(val)}
		}
		e.relations = append(e.relations, rel)
		return true
	})
	return nil
}

// filesOf are the files that entries refer to, each once.
func filesOf(entries []entry) []string {
	var out []string
	for i := range entries {
		for _, p := range entries[i].values {
			if p.file != "" && entries[i].fault == nil {
				out = append(out, p.file)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// entity is the entry with its files in place. Members that it does not name are
// left out, but for properties.
func (e *entry) entity(files map[string]reference) (port.Entity, error) {
	out := port.Entity{Blueprint: e.Blueprint, Identifier: e.Identifier, Search: e.search, Relations: e.relations}
	b := gjson.AppendJSONString([]byte(`{"identifier":`), e.Identifier)
	add := func(name string) {
		if v, ok := e.members[name]; ok {
			b = append(append(append(b, `,"`...), name...), `":`...)
			b = append(b, v...)
		}
	}
	add("icon")
	b = gjson.AppendJSONString(append(b, `,"blueprint":`...), e.Blueprint)
	add("title")
	add("team")
	b = append(b, `,"properties":{`...)
	for i, p := range e.values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(gjson.AppendJSONString(b, p.name), ':')
		if p.file == "" {
			b = append(b, p.value...)
			continue
		}
		v, err := files[p.file].value()
		if err != nil {
			return out, fmt.Errorf("properties.%s: %s: %w", p.name, p.file, err)
		}
		b = append(b, v...)
	}
	b = append(b, '}')
	add("relations")
	out.Body = append(b, '}')
	return out, nil
}

// value is the JSON that stands for a file: what it holds if its name ends with
// .json, else its text.
func (r reference) value() ([]byte, error) {
	switch {
	case r.err != nil:
		return nil, r.err
	case r.path == "":
		return nil, errors.New("too many files")
	case r.absent:
		return nil, errors.New("there is no such file")
	case r.large:
		return nil, errors.New("too large")
	case !utf8.Valid(r.text):
		return nil, errors.New("not UTF-8")
	case !strings.HasSuffix(r.path, ".json"):
		return gjson.AppendJSONString(nil, string(r.text)), nil
	}
	var out bytes.Buffer
	if err := json.Compact(&out, bytes.TrimPrefix(r.text, []byte("\ufeff"))); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	return out.Bytes(), nil
}
