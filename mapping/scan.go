package mapping

import (
	"bytes"
	"errors"

	"github.com/ado-port/ado-port/mapping/jq"
)

// A scan finds the values of all plain paths of a resource in one pass over a
// record's bytes, without decoding what nobody asked for.
type scan struct {
	root  scanNode
	slots int
}

// A scanNode is a name on some path.
type scanNode struct {
	name     string
	slot     int // -1: only on the way to others
	children []*scanNode
}

// A slot is what a scan found: nothing (null), a value, or a value on the way
// that is neither an object nor null.
type slot struct {
	raw     []byte
	blocked []byte // the value that could not be indexed
	step    string // … with this name
}

var errRecord = errors.New("mapping: the record is not a JSON object")

func newScan() *scan { return &scan{root: scanNode{slot: -1}} }

// add returns the slot of a path.
func (s *scan) add(path []string) int {
	n := &s.root
	for _, name := range path {
		n = n.child(name)
	}
	if n.slot < 0 {
		n.slot = s.slots
		s.slots++
	}
	return n.slot
}

func (n *scanNode) child(name string) *scanNode {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	c := &scanNode{name: name, slot: -1}
	n.children = append(n.children, c)
	return c
}

// find is the child that a raw key (without quotes) names.
func (n *scanNode) find(key []byte) *scanNode {
	if bytes.IndexByte(key, '\\') >= 0 {
		v, err := jq.Decode(append(append([]byte{'"'}, key...), '"'))
		if name, ok := v.(string); ok && err == nil {
			key = []byte(name)
		}
	}
	for _, c := range n.children {
		if len(c.name) == len(key) && c.name == string(key) {
			return c
		}
	}
	return nil
}

// run fills slots. repeated says that the record's top level has the name of a
// path twice.
func (s *scan) run(record []byte, slots []slot) (repeated bool, err error) {
	clear(slots)
	i := skipSpace(record, 0)
	if i >= len(record) || record[i] != '{' {
		return false, errRecord
	}
	end, repeated := s.root.object(record, i, slots)
	if end < 0 || skipSpace(record, end) != len(record) {
		return false, errRecord
	}
	return repeated, nil
}

// object reads the object at i and returns the position behind it, -1 when it
// is broken. Of members with the same name the last one counts.
func (n *scanNode) object(d []byte, i int, slots []slot) (end int, repeated bool) {
	var seen uint64
	if i = skipSpace(d, i+1); i < len(d) && d[i] == '}' {
		return i + 1, false
	}
	for {
		var key []byte
		if key, i = readKey(d, i); i < 0 {
			return -1, false
		}
		c := n.find(key[1 : len(key)-1])
		if c == nil {
			i = skipValue(d, i)
		} else {
			bit := uint64(1) << (n.position(c) & 63)
			if seen&bit != 0 {
				repeated = true
				c.forget(slots)
			}
			seen |= bit
			i = c.value(d, i, slots)
		}
		if i < 0 {
			return -1, false
		}
		if i = skipSpace(d, i); i >= len(d) {
			return -1, false
		}
		switch d[i] {
		case ',':
			i = skipSpace(d, i+1)
		case '}':
			return i + 1, repeated
		default:
			return -1, false
		}
	}
}

func (n *scanNode) position(c *scanNode) int {
	for i, known := range n.children {
		if known == c {
			return i
		}
	}
	return 0
}

// value records the value at i for the node and those below it.
func (n *scanNode) value(d []byte, i int, slots []slot) int {
	var end int
	if len(n.children) > 0 && i < len(d) && d[i] == '{' {
		end, _ = n.object(d, i, slots)
	} else {
		end = skipValue(d, i)
	}
	if end < 0 {
		return -1
	}
	raw := d[i:end]
	if n.slot >= 0 {
		slots[n.slot] = slot{raw: raw}
	}
	if raw[0] != '{' && raw[0] != 'n' {
		for _, c := range n.children {
			c.block(raw, c.name, slots)
		}
	}
	return end
}

func (n *scanNode) block(raw []byte, step string, slots []slot) {
	if n.slot >= 0 {
		slots[n.slot] = slot{blocked: raw, step: step}
	}
	for _, c := range n.children {
		c.block(raw, step, slots)
	}
}

func (n *scanNode) forget(slots []slot) {
	if n.slot >= 0 {
		slots[n.slot] = slot{}
	}
	for _, c := range n.children {
		c.forget(slots)
	}
}

func skipSpace(d []byte, i int) int {
	for i < len(d) && (d[i] == ' ' || d[i] == '\n' || d[i] == '\t' || d[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the position behind the string that begins at i.
func skipString(d []byte, i int) int {
	for j := i + 1; ; {
		n := bytes.IndexByte(d[j:], '"')
		if n < 0 {
			return -1
		}
		j += n
		slashes := 0
		for d[j-1-slashes] == '\\' {
			slashes++
		}
		j++
		if slashes%2 == 0 {
			return j
		}
	}
}

// skipValue returns the position behind the value that begins at i.
func skipValue(d []byte, i int) int {
	if i >= len(d) {
		return -1
	}
	switch d[i] {
	case '"':
		return skipString(d, i)
	case '{', '[':
		return skipContainer(d, i)
	case ',', ':', '}', ']':
		return -1
	}
	for i < len(d) {
		switch d[i] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return i
		}
		i++
	}
	return i
}

func skipContainer(d []byte, i int) int {
	depth := 0
	for i < len(d) {
		switch d[i] {
		case '"':
			if i = skipString(d, i); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}
