package mapping

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/mapping/jq"
)

// Equal says whether the entity that Port holds already has everything that
// body sets: title, icon, team, each property and each relation. Both are JSON
// objects of the shape of port.Entity.Body. Null is the same as absent; numbers
// are equal by value; the targets of a relation and the members of a team have
// no order, and one of them is the same as a list of one; a property that is a
// number or boolean is the same as its text. False also when either is not an
// object.
func Equal(body, held []byte) bool {
	return compare(body, held, func(string, rawMember, []byte) bool { return false })
}

// A Difference is a member that an entity would have otherwise than Port holds it.
type Difference struct {
	Path string `json:"path"` // "title", "properties.state", "relations.project"
	// From is what Port holds, To what would be there, as JSON; null is none.
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}

// Differences are the members for which Equal is false. They share no memory with held.
func Differences(body, held []byte) []Difference {
	var out []Difference
	compare(body, held, func(group string, m rawMember, there []byte) bool {
		out = append(out, Difference{Path: group + textValue(m.key), From: append(json.RawMessage(nil), orNull(there)...), To: orNull(m.val)})
		return true
	})
	return out
}

// Lost are the members of what Port holds that go when body replaces it.
func Lost(body, held []byte) []Difference {
	var out []Difference
	for _, d := range Differences(held, body) {
		group, _, _ := strings.Cut(d.Path, ".")
		switch group {
		case "title", "icon", "team", "properties", "relations":
			if string(d.From) == "null" {
				out = append(out, Difference{Path: d.Path, From: slices.Clone(d.To), To: d.From})
			}
		}
	}
	return out
}

// Refers says whether the value of a relation leads to an entity, as JSON text.
func Refers(relation, to []byte) bool {
	return slices.ContainsFunc(elements(relation), func(e []byte) bool { return SameJSON(e, to) })
}

func orNull(val []byte) json.RawMessage {
	if len(val) == 0 {
		return json.RawMessage("null")
	}
	return val
}

// compare tells of every member of body that differs, until different returns false.
// It reports whether there was none.
func compare(body, held []byte, different func(group string, mine rawMember, theirs []byte) (more bool)) (equal bool) {
	there, ok := membersOf(held)
	if !ok {
		return false
	}
	equal = true
	look := func(group string, mine rawMember, theirs []byte, same func(a, b []byte) bool) (more bool) {
		if same(mine.val, theirs) {
			return true
		}
		equal = false
		return different(group, mine, theirs)
	}
	inside := func(group string, mine, theirs []byte, same func(a, b []byte) bool) (more bool) {
		held, _ := membersOf(theirs)
		more = true
		eachMember(mine, func(key, val []byte) bool {
			more = look(group, rawMember{key, val}, held.get(key), same)
			return more
		})
		return more
	}
	ok = eachMember(body, func(key, val []byte) bool {
		switch string(key) {
		case `"identifier"`, `"blueprint"`:
			return true
		case `"team"`:
			return look("", rawMember{key, val}, there.get(key), sameSet)
		case `"relations"`:
			return inside("relations.", val, there.get(key), sameSet)
		case `"properties"`:
			return inside("properties.", val, there.get(key), sameProperty)
		}
		return look("", rawMember{key, val}, there.get(key), sameOrNull)
	})
	return ok && equal
}

// rawMembers are the members of an object, undecoded.
type rawMembers []rawMember

type rawMember struct{ key, val []byte }

func membersOf(d []byte) (rawMembers, bool) {
	list := make(rawMembers, 0, 16)
	ok := eachMember(d, func(key, val []byte) bool {
		list = append(list, rawMember{key, val})
		return true
	})
	return list, ok
}

// get returns the last member with the key, nil when there is none.
func (ms rawMembers) get(key []byte) []byte {
	for _, m := range slices.Backward(ms) {
		if sameString(m.key, key) {
			return m.val
		}
	}
	return nil
}

func isNull(val []byte) bool { return len(val) == 0 || val[0] == 'n' }

func sameOrNull(a, b []byte) bool {
	if isNull(a) || isNull(b) {
		return isNull(a) && isNull(b)
	}
	return SameJSON(a, b)
}

// sameProperty also takes a number or boolean for the text that Port makes of it
// where the blueprint wants a string.
func sameProperty(mine, theirs []byte) bool {
	if sameOrNull(mine, theirs) {
		return true
	}
	if len(mine) == 0 || len(theirs) == 0 || theirs[0] != '"' || mine[0] == '"' || mine[0] == '{' || mine[0] == '[' || isNull(mine) {
		return false
	}
	text := textValue(theirs)
	return text == string(mine) || isDigit(mine[0]) && len(text) > 0 && isDigit(text[0]) && jq.SameNumber(string(mine), text)
}

// sameSet compares lists without order and repetition; none, null and the empty
// list are the same, and so are a value and the list of it.
func sameSet(a, b []byte) bool {
	if sameOrNull(a, b) {
		return true
	}
	as, bs := elements(a), elements(b)
	return subset(as, bs) && subset(bs, as)
}

func elements(val []byte) [][]byte {
	if isNull(val) {
		return nil
	}
	if val[0] != '[' {
		return [][]byte{val}
	}
	var list [][]byte
	eachElement(val, func(raw []byte) bool { list = append(list, raw); return true })
	return list
}

func subset(as, bs [][]byte) bool {
	for _, a := range as {
		if !slices.ContainsFunc(bs, func(b []byte) bool { return SameJSON(a, b) }) {
			return false
		}
	}
	return true
}

// SameJSON compares two encoded values: numbers by value, objects without
// order, lists with it.
func SameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	switch {
	case a[0] == '"' && b[0] == '"':
		return sameString(a, b)
	case a[0] == '{' && b[0] == '{':
		return sameObject(a, b)
	case a[0] == '[' && b[0] == '[':
		return sameList(a, b)
	case isDigit(a[0]) && isDigit(b[0]):
		return jq.SameNumber(string(a), string(b))
	}
	return false
}

func isDigit(c byte) bool { return c == '-' || c >= '0' && c <= '9' }

func sameString(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if bytes.IndexByte(a, '\\') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return false
	}
	return textValue(a) == textValue(b)
}

func sameList(a, b []byte) bool {
	as, bs := elements(a), elements(b)
	return slices.EqualFunc(as, bs, SameJSON)
}

func sameObject(a, b []byte) bool {
	as, ok1 := membersOf(a)
	bs, ok2 := membersOf(b)
	if !ok1 || !ok2 || len(as) != len(bs) {
		return false
	}
	if inOrder(as, bs) {
		return true
	}
	there := make(map[string][]byte, len(bs))
	for _, m := range bs {
		there[textValue(m.key)] = m.val
	}
	for _, m := range as {
		val, ok := there[textValue(m.key)]
		if !ok || !SameJSON(m.val, val) {
			return false
		}
	}
	return true
}

func inOrder(as, bs rawMembers) bool {
	for i := range as {
		if !bytes.Equal(as[i].key, bs[i].key) || !SameJSON(as[i].val, bs[i].val) {
			return false
		}
	}
	return true
}
