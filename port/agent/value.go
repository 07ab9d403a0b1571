package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// The values of a message are nil, bool, json.Number, string, []any and *object. They
// keep what a signature covers: the order of members and the digits of numbers.

// An object is a JSON object whose members keep their order.
type object struct{ members []member }

type member struct {
	name  string
	value any
}

// get returns a member of v; nil where v is no object or has none of that name.
func get(v any, path ...string) any {
	for _, name := range path {
		o, ok := v.(*object)
		if !ok || o == nil {
			return nil
		}
		v = nil
		if i := o.index(name); i >= 0 {
			v = o.members[i].value
		}
	}
	return v
}

func (o *object) index(name string) int {
	return slices.IndexFunc(o.members, func(m member) bool { return m.name == name })
}

func (o *object) has(name string) bool { return o.index(name) >= 0 }

// set gives a member a value; a new one comes last.
func (o *object) set(name string, v any) {
	if i := o.index(name); i >= 0 {
		o.members[i].value = v
		return
	}
	o.members = append(o.members, member{name, v})
}

func (o *object) remove(name string) {
	o.members = slices.DeleteFunc(o.members, func(m member) bool { return m.name == name })
}

// without returns a copy that lacks a member.
func (o *object) without(name string) *object {
	c := &object{members: slices.Clone(o.members)}
	c.remove(name)
	return c
}

// child returns the object in a member, which is made where there is none.
func (o *object) child(name string) (*object, error) {
	switch v := get(o, name).(type) {
	case *object:
		return v, nil
	case nil:
		if !o.has(name) {
			c := &object{}
			o.set(name, c)
			return c, nil
		}
	}
	return nil, fmt.Errorf("%s is not an object", name)
}

// maxDepth bounds how deep a value nests, so that reading it cannot exhaust the stack.
const maxDepth = 500

// parse reads one JSON value. Of members with the same name the last value counts, at
// the place of the first.
func parse(text []byte) (any, error) {
	if !json.Valid(text) {
		return nil, errors.New("not valid JSON")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := parseNext(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text behind the JSON value")
	}
	return v, nil
}

func parseNext(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d levels", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := parseNext(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	var o object
	at := map[string]int{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := parseNext(d, depth+1)
		if err != nil {
			return nil, err
		}
		key, _ := name.(string) // the decoder takes nothing else
		if i, ok := at[key]; ok {
			o.members[i].value = v
			continue
		}
		at[key] = len(o.members)
		o.members = append(o.members, member{key, v})
	}
	_, err = d.Token()
	return &o, err
}

// A charset says which characters of a text are escaped besides those that have to be.
type charset bool

const (
	readable charset = false // none: what Port signs
	ascii    charset = true  // all outside of printable ASCII: what the agent signs
)

// appendJSON writes a value without blanks.
func appendJSON(dst []byte, v any, c charset) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return fmt.Append(dst, v)
	case json.Number:
		return append(dst, v...)
	case string:
		return appendString(dst, v, c)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, e, c)
		}
		return append(dst, ']')
	case *object:
		dst = append(dst, '{')
		for i, m := range v.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, m.name, c), ':')
			dst = appendJSON(dst, m.value, c)
		}
		return append(dst, '}')
	}
	panic(fmt.Sprintf("agent: %T is no value of a message", v))
}

func appendString(dst []byte, s string, c charset) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case c == ascii && r > 0xffff:
			r -= 0x10000
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case r < ' ' || c == ascii && r > '~':
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// truthy is what Python takes as true, in which the contract was written.
func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		f, err := v.Float64()
		return err != nil || f != 0
	case []any:
		return len(v) > 0
	case *object:
		return len(v.members) > 0
	}
	return true
}

// text is a value as a text: strings as they are, anything else as JSON.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return string(appendJSON(nil, v, readable))
}
