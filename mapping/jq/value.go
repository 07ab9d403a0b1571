package jq

import "slices"

// The values of a program are nil, bool, float64, *Number, string, []any and
// *Object. They are immutable: every update makes a copy of what it changes.

// An Object is a JSON object that remembers the order of its members, as jq
// does. The zero Object is empty.
type Object struct {
	keys []string
	vals []any
	tail *tail    // only above indexFrom members
	mine *updater // the update that may still write to it; nil: nobody may
}

// A tail belongs to a row of versions of a large object, each with one member
// more than the one before. They share keys and index, so that a loop which adds
// members one by one takes linear time.
type tail struct {
	used  int            // members of the newest version: only that one can be added to
	index map[string]int // positions; those that a version does not have yet do not count
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
	if o.tail != nil {
		if i, ok := o.tail.index[key]; ok && i < len(o.keys) {
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
	case o.tail != nil:
		o.tail.index[key] = len(o.keys) - 1
		o.tail.used = len(o.keys)
	case len(o.keys) > indexFrom:
		o.reindex()
	}
}

func (o *Object) reindex() {
	o.tail = nil
	if len(o.keys) <= indexFrom {
		return
	}
	o.tail = &tail{used: len(o.keys), index: make(map[string]int, 2*len(o.keys))}
	for i, k := range o.keys {
		o.tail.index[k] = i
	}
}

// with returns a copy in which key is v, and how many members were copied.
func (o *Object) with(key string, v any) (c *Object, copied int) {
	if o.tail == nil {
		c = o.clone(1)
		c.set(key, v)
		return c, len(o.keys)
	}
	i := o.find(key)
	switch {
	case i >= 0:
		c = &Object{keys: o.keys, vals: slices.Clone(o.vals), tail: o.tail}
		c.vals[i] = v
		return c, len(o.keys)
	case o.tail.used == len(o.keys):
		c = &Object{keys: o.keys, vals: o.vals, tail: o.tail}
		c.set(key, v)
		return c, 1
	}
	c = o.clone(1)
	c.set(key, v)
	return c, 4 * len(o.keys) // with a new index
}

// put is set for an object whose values nobody else has.
func (o *Object) put(key string, v any) {
	if o.tail != nil && o.tail.used != len(o.keys) && o.find(key) < 0 {
		c := o.clone(1)
		o.keys, o.vals, o.tail = c.keys, c.vals, c.tail
	}
	o.set(key, v)
}

// freeze makes every later version a full copy, for objects that several
// goroutines share.
func (o *Object) freeze() {
	if o.tail != nil {
		o.tail.used = -1
	}
}

// without returns a copy that lacks the keys.
func (o *Object) without(drop map[string]bool) *Object {
	c := newObject(len(o.keys))
	for i, k := range o.keys {
		if !drop[k] {
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
