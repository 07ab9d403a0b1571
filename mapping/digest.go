package mapping

import (
	"bytes"
	"hash/maphash"
	"math/bits"
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
	take := func(known map[string]bool, group kind, key []byte, at int, value func([]byte, int) (uint64, int)) (end int) {
		name := text(key)
		if !known[string(name)] {
			complete = complete && lax
			return skipValue(entity, at)
		}
		if isNull(entity[at:]) {
			return skipValue(entity, at)
		}
		v, end := value(entity, at)
		if v != 0 {
			sum += mix(d.hash(group, name), v)
		}
		return end
	}
	inside := func(known map[string]bool, group kind, at int, value func([]byte, int) (uint64, int)) (end int) {
		if isNull(entity[at:]) {
			return skipValue(entity, at)
		}
		return objectAt(entity, at, func(key []byte, at int) int { return take(known, group, key, at, value) })
	}
	end := objectAt(entity, skipSpace(entity, 0), func(key []byte, at int) int {
		switch string(key) {
		case `"identifier"`, `"blueprint"`:
			return skipValue(entity, at)
		case `"team"`:
			return take(d.plain, ofPlain, key, at, d.set)
		case `"properties"`:
			return inside(d.properties, ofProperty, at, d.value)
		case `"relations"`:
			return inside(d.relations, ofRelation, at, d.set)
		}
		return take(d.plain, ofPlain, key, at, d.value)
	})
	return sum, end >= 0 && complete
}

// A kind is what a hash is of, so that values of different kinds differ.
type kind uint64

const (
	ofPlain kind = 1 + iota
	ofProperty
	ofRelation
	ofSet
	ofText
	ofLiteral
	ofMember
	ofObject
	ofList
)

// hash is that of a text.
func (d *Digester) hash(k kind, of []byte) uint64 { return mix(maphash.Bytes(d.seed, of), uint64(k)) }

// mix makes one hash of two: a product that is folded, as wyhash does. It is never 0,
// which stands for no value.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd6e8feb86659fd93)
	return max(hi^lo, 1)
}

// value is the hash of the value at i, as SameJSON compares them, and where it ends: -1
// where there is none.
func (d *Digester) value(b []byte, i int) (h uint64, end int) {
	if i >= len(b) {
		return 0, -1
	}
	switch b[i] {
	case '{':
		var sum, n uint64
		end = objectAt(b, i, func(key []byte, at int) int {
			h, end := d.value(b, at)
			sum += mix(d.hash(ofMember, text(key)), h)
			n++
			return end
		})
		return mix(mix(sum, n), uint64(ofObject)), end
	case '[':
		h = uint64(ofList)
		end = listAt(b, i, func(at int) int {
			e, end := d.value(b, at)
			h = mix(h, e)
			return end
		})
		return h, end
	}
	if end = skipValue(b, i); end < 0 {
		return 0, -1
	}
	if b[i] == '"' {
		return d.hash(ofText, text(b[i:end])), end
	}
	return d.hash(ofLiteral, b[i:end]), end
}

// set is the hash of the value at i, or of a list of them in any order, 0 of an empty one.
func (d *Digester) set(b []byte, i int) (sum uint64, end int) {
	one := func(at int) int {
		h, end := d.value(b, at)
		sum += mix(h, uint64(ofSet))
		return end
	}
	if i < len(b) && b[i] == '[' {
		end = listAt(b, i, one)
	} else {
		end = one(i)
	}
	return sum, end
}

// text is textValue, without a copy where the text is written as it is.
func text(val []byte) []byte {
	if len(val) > 1 && bytes.IndexByte(val, '\\') < 0 {
		return val[1 : len(val)-1]
	}
	return []byte(textValue(val))
}
