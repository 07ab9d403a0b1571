package mapping

import (
	"bytes"
	"errors"
	"slices"

	"github.com/itchyny/gojq"

	"github.com/ado-port/ado-port/mapping/jq"
)

// items is itemsToParse: it makes several items of one record.
type items struct {
	list *expression
	name string
	// drop is the path of the list, which the items do not get: the path at the
	// start of the expression. Nil: they get everything. The Python integration
	// takes the path from the text and then removes the wrong part or drops every
	// record.
	drop []string
}

func (b *builder) readItems(o *jq.Object, r *Resource) *blockError {
	v, ok := get(o, "itemsToParse")
	if !ok || v == nil {
		return nil
	}
	const path = "port.itemsToParse"
	source, ok := scalarText(v)
	if !ok {
		return b.reject(path, "want a jq expression")
	}
	it := &items{name: "item", list: b.newExpression("itemsToParse", source)}
	if it.list.isFile || it.list.broken != "" {
		return b.rejectBroken(path, it.list)
	}
	if v, ok := get(o, "itemsToParseName"); ok && v != nil {
		if it.name, ok = scalarText(v); !ok || it.name == "" {
			return b.reject("port.itemsToParseName", "want a name")
		}
	}
	transform := true
	if v, ok := get(o, "itemsToParseTopLevelTransform"); ok && v != nil {
		if transform, ok = toBool(v); !ok {
			return b.reject("port.itemsToParseTopLevelTransform", "want true or false")
		}
	}
	if transform {
		it.drop = leadingPath(source)
	}
	r.items = it
	return nil
}

// leadingPath is the plain path that an expression begins with.
func leadingPath(source string) []string {
	for _, text := range []string{source, rewriteQuotes(source), convertQuotes(source)} {
		q, err := gojq.Parse(text)
		if err != nil {
			continue
		}
		for q.Term == nil && len(q.FuncDefs) == 0 {
			if q.Op != gojq.OpPipe && q.Op != gojq.OpAlt {
				return nil
			}
			next := q.Left
			if len(q.Patterns) > 0 || isDot(q.Left) { // `. as $x | …`, `. | …`
				next = q.Right
			}
			q = next
		}
		if q.Term == nil || len(q.FuncDefs) > 0 {
			return nil
		}
		return termPath(q.Term)
	}
	return nil
}

func isDot(q *gojq.Query) bool {
	return q.Term != nil && q.Term.Type == gojq.TermTypeIdentity && len(q.Term.SuffixList) == 0
}

func termPath(t *gojq.Term) []string {
	var path []string
	switch t.Type {
	case gojq.TermTypeQuery:
		return leadingPath(t.Query.String())
	case gojq.TermTypeIdentity:
	case gojq.TermTypeIndex:
		name, ok := jq.PlainStep(t.Index)
		if !ok {
			return nil
		}
		path = append(path, name)
	default:
		return nil
	}
	for _, s := range t.SuffixList {
		name, ok := jq.PlainStep(s.Index)
		if !ok {
			if s.Index != nil { // `.a[0]`: not the list of a plain path
				return nil
			}
			break
		}
		path = append(path, name)
	}
	return path
}

// expand maps each element of the list as an item of its own.
func (m *mapper) expand(res *Result) error {
	it := m.r.items
	m.id, m.limited = nil, false
	list, err := m.itemList()
	if err != nil {
		return err
	}
	if list == nil {
		res.Items++
		m.lost(res)
		return nil
	}
	record := m.raw
	base := withoutPath(record, it.drop)
	base = withoutPath(base, []string{it.name})
	base = bytes.TrimRight(base, " \t\r\n")
	if len(base) == 0 || base[len(base)-1] != '}' {
		return errRecord
	}
	head := bytes.Clone(base[:len(base)-1])
	if len(bytes.TrimLeft(head, " \t\r\n{")) > 0 {
		head = append(head, ',')
	}
	head = append(jq.AppendString(head, it.name), ':')
	var failure error
	eachElement(list, func(raw []byte) bool {
		item := append(append(slices.Clip(head), raw...), '}')
		if failure = m.load(item); failure == nil {
			failure = m.item(res)
		}
		return failure == nil
	})
	return failure
}

// itemList is the encoded list; nil, counted as a failure, when there is none.
func (m *mapper) itemList() ([]byte, error) {
	e := m.r.items.list
	if e.prog.IsPath() {
		if s := m.slots[e.slots[0]]; s.raw != nil && s.raw[0] == '[' && isClean(s.raw) {
			return s.raw, nil
		}
	}
	v, _, failure, err := m.run(e)
	if err != nil {
		return nil, err
	}
	var list []byte
	switch _, ok := v.([]any); {
	case failure != nil:
	case !ok:
		failure = errors.New("itemsToParse did not give a list")
	default:
		list, failure = jq.AppendOutput(nil, v)
	}
	if failure != nil {
		m.failed(e, failure)
	}
	return list, nil
}

// withoutPath returns the record without the member at path, or the record
// itself when there is no such member.
func withoutPath(record []byte, path []string) []byte {
	if len(path) == 0 {
		return record
	}
	out := make([]byte, 0, len(record))
	out = append(out, '{')
	changed := false
	ok := eachMember(record, func(key, val []byte) bool {
		if textValue(key) == path[0] {
			if len(path) == 1 {
				changed = true
				return true
			}
			if sub := withoutPath(val, path[1:]); len(sub) != len(val) {
				val, changed = sub, true
			}
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, key...), ':'), val...)
		return true
	})
	if !ok || !changed {
		return record
	}
	return append(out, '}')
}
