package mapping

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"strings"
)

// A Digester makes digests of what entities hold, of 64 bits with a secret of the
// process. Where the digest of what Port holds is that of a body, Equal is true, unless
// two texts have the same hash. Where it is not, they may be equal all the same: numbers
// count as they are written, and a property that Port made a text of as what it was.
type Digester struct {
	seed       maphash.Seed
	plain      map[string]bool // title, icon, team
	properties map[string]bool
	relations  map[string]bool
}

// NewDigester makes one of the members that may be set, such as "title",
// "properties.state" or "relations.project". What Port holds besides does not count.
func NewDigester(members []string) *Digester {
	d := &Digester{seed: maphash.MakeSeed(), plain: map[string]bool{}, properties: map[string]bool{}, relations: map[string]bool{}}
	for _, m := range members {
		if name, ok := strings.CutPrefix(m, "properties."); ok {
			d.properties[name] = true
		} else if name, ok := strings.CutPrefix(m, "relations."); ok {
			d.relations[name] = true
		} else {
			d.plain[m] = true
		}
	}
	return d
}

// Body is the digest of a body; false when it is none, or sets other members.
func (d *Digester) Body(body []byte) (sum uint64, ok bool) { return d.entity(body, false) }

// Held is the digest of an entity as Port holds it; false when it is none.
func (d *Digester) Held(entity []byte) (sum uint64, ok bool) { return d.entity(entity, true) }

// entity adds the members up: their order does not count, and one without a value is
// as good as none. Other members than those of the Digester make ok false, unless lax.
func (d *Digester) entity(entity []byte, lax bool) (sum uint64, ok bool) {
	complete := true
	take := func(known map[string]bool, group string, key, val []byte, value func([]byte) uint64) {
		name := text(key)
		switch {
		case known[string(name)]:
			if v := value(val); v != 0 {
				sum += d.hash(group, name, v)
			}
		case !lax:
			complete = false
		}
	}
	inside := func(known map[string]bool, group string, members []byte, value func([]byte) uint64) bool {
		return isNull(members) || eachMember(members, func(key, val []byte) bool {
			take(known, group, key, val, value)
			return true
		})
	}
	ok = eachMember(entity, func(key, val []byte) bool {
		switch string(key) {
		case `"identifier"`, `"blueprint"`:
		case `"team"`:
			take(d.plain, "", key, val, d.set)
		case `"properties"`:
			complete = inside(d.properties, "p", val, d.value) && complete
		case `"relations"`:
			complete = inside(d.relations, "r", val, d.set) && complete
		default:
			take(d.plain, "", key, val, d.value)
		}
		return true
	})
	return sum, ok && complete
}

// hash is never 0, which stands for no value.
func (d *Digester) hash(kind string, of []byte, more ...uint64) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	_, _ = h.WriteString(kind)
	_, _ = h.Write(binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64), uint64(len(of))))
	_, _ = h.Write(of)
	for _, m := range more {
		_, _ = h.Write(binary.LittleEndian.AppendUint64(make([]byte, 0, 8), m))
	}
	return max(h.Sum64(), 1)
}

// value is the hash of a value, 0 of null.
func (d *Digester) value(val []byte) uint64 {
	if isNull(val) {
		return 0
	}
	return d.json(val)
}

// json is the hash of a value, as SameJSON compares them.
func (d *Digester) json(val []byte) uint64 {
	switch {
	case len(val) == 0:
		return 0
	case val[0] == '"':
		return d.hash("s", text(val))
	case val[0] == '{':
		var sum, n uint64
		eachMember(val, func(key, member []byte) bool {
			sum += d.hash("m", text(key), d.json(member))
			n++
			return true
		})
		return d.hash("o", nil, sum, n)
	case val[0] == '[':
		h := d.hash("a", nil)
		eachElement(val, func(element []byte) bool {
			h = d.hash("e", nil, h, d.json(element))
			return true
		})
		return h
	}
	return d.hash("n", val)
}

// set is the hash of a value, or of a list of them in any order, 0 of none.
func (d *Digester) set(val []byte) uint64 {
	var sum uint64
	for _, e := range elements(val) {
		sum += d.hash("t", nil, d.json(e))
	}
	return sum
}

// text is textValue, without a copy where the text is written as it is.
func text(val []byte) []byte {
	if len(val) > 1 && bytes.IndexByte(val, '\\') < 0 {
		return val[1 : len(val)-1]
	}
	return []byte(textValue(val))
}
