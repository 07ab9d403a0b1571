package jq

import (
	"cmp"
	"math/big"
	"slices"
	"strings"
)

// The values of a program are nil, bool, float64, *Number, string, []any and
// *Object. They are immutable: every update makes a copy of what it changes.

// An Object is a JSON object that remembers the order of its members, as jq
// does. The zero Object is empty.
type Object struct {
	keys  []string
	vals  []any
	index map[string]int // only above indexFrom members
}

// indexFrom is the size from which a map is cheaper than comparing keys.
const indexFrom = 24

// newObject makes an empty object with room for n members.
func newObject(n int) *Object {
	return &Object{keys: make([]string, 0, n), vals: make([]any, 0, n)}
}

// Len is the number of members.
func (o *Object) Len() int { return len(o.keys) }

// At returns the member at position i.
func (o *Object) At(i int) (string, any) { return o.keys[i], o.vals[i] }

func (o *Object) find(key string) int {
	if o.index != nil {
		if i, ok := o.index[key]; ok {
			return i
		}
		return -1
	}
	for i := range o.keys {
		if o.keys[i] == key {
			return i
		}
	}
	return -1
}

// Get returns the member called key.
func (o *Object) Get(key string) (any, bool) {
	if i := o.find(key); i >= 0 {
		return o.vals[i], true
	}
	return nil, false
}

// set writes a member while the object is being built. An existing key keeps
// its position.
func (o *Object) set(key string, v any) {
	if i := o.find(key); i >= 0 {
		o.vals[i] = v
		return
	}
	o.keys = append(o.keys, key)
	o.vals = append(o.vals, v)
	switch {
	case o.index != nil:
		o.index[key] = len(o.keys) - 1
	case len(o.keys) > indexFrom:
		o.reindex()
	}
}

func (o *Object) reindex() {
	o.index = nil
	if len(o.keys) <= indexFrom {
		return
	}
	o.index = make(map[string]int, 2*len(o.keys))
	for i, k := range o.keys {
		o.index[k] = i
	}
}

// with returns a copy in which key is v.
func (o *Object) with(key string, v any) *Object {
	c := o.clone(1)
	c.set(key, v)
	return c
}

// without returns a copy that lacks the keys.
func (o *Object) without(drop func(string) bool) *Object {
	c := newObject(len(o.keys))
	for i, k := range o.keys {
		if !drop(k) {
			c.keys = append(c.keys, k)
			c.vals = append(c.vals, o.vals[i])
		}
	}
	c.reindex()
	return c
}

func (o *Object) clone(more int) *Object {
	c := newObject(len(o.keys) + more)
	c.keys = append(c.keys, o.keys...)
	c.vals = append(c.vals, o.vals...)
	c.reindex()
	return c
}

func (o *Object) sortedKeys() []string {
	keys := slices.Clone(o.keys)
	slices.Sort(keys)
	return keys
}

// kind orders the types as jq sorts them.
type kind int

const (
	kindNull kind = iota
	kindFalse
	kindTrue
	kindNumber
	kindString
	kindArray
	kindObject
)

func kindOf(v any) kind {
	switch v := v.(type) {
	case nil:
		return kindNull
	case bool:
		if v {
			return kindTrue
		}
		return kindFalse
	case float64, *Number:
		return kindNumber
	case string:
		return kindString
	case []any:
		return kindArray
	default:
		return kindObject
	}
}

func typeName(v any) string {
	return [...]string{"null", "boolean", "boolean", "number", "string", "array", "object"}[kindOf(v)]
}

// Truthy says whether a condition takes v as true.
func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	}
	return true
}

// compare orders any two values as jq's sort does.
func compare(a, b any) int {
	ka, kb := kindOf(a), kindOf(b)
	if ka != kb {
		return cmp.Compare(ka, kb)
	}
	switch ka {
	case kindNumber:
		return compareNumbers(a, b)
	case kindString:
		return strings.Compare(a.(string), b.(string))
	case kindArray:
		return slices.CompareFunc(a.([]any), b.([]any), compare)
	case kindObject:
		return compareObjects(a.(*Object), b.(*Object))
	default:
		return 0
	}
}

func compareObjects(a, b *Object) int {
	ka, kb := a.sortedKeys(), b.sortedKeys()
	if c := slices.Compare(ka, kb); c != 0 {
		return c
	}
	for _, k := range ka {
		va, _ := a.Get(k)
		vb, _ := b.Get(k)
		if c := compare(va, vb); c != 0 {
			return c
		}
	}
	return 0
}

// compareNumbers compares doubles, or decimals exactly when both kept their
// text. As in jq, nan is below every number, itself included.
func compareNumbers(a, b any) int {
	da, aok := a.(*Number)
	db, bok := b.(*Number)
	if aok && bok {
		ra, ok1 := da.rat()
		rb, ok2 := db.rat()
		if ok1 && ok2 {
			return ra.Cmp(rb)
		}
	}
	fa, fb := toFloat(a), toFloat(b)
	switch {
	case fa < fb || fa != fa:
		return -1
	case fa == fb:
		return 0
	}
	return 1
}

func equal(a, b any) bool {
	if x, ok := a.(string); ok {
		y, ok := b.(string)
		return ok && x == y
	}
	if x, ok := a.(float64); ok {
		if y, ok := b.(float64); ok {
			return x == y
		}
	}
	return compare(a, b) == 0
}

func ratOf(text string) (*big.Rat, bool) {
	return new(big.Rat).SetString(text)
}
