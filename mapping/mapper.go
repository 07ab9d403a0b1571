package mapping

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/ado-port/ado-port/mapping/jq"
	"github.com/ado-port/ado-port/port"
)

// A mapper maps one record at a time; it is the Input of the programs.
type mapper struct {
	r        *Resource
	ctx      context.Context //nolint:containedctx // set for one call of Map
	deadline time.Time
	files    map[string]*string
	rep      *Report
	told     *teller // nil: nobody wants to know

	raw       []byte
	repeated  bool // a name occurs twice at the top level of raw
	slots     []slot
	vals      []any // decoded slots
	have      []bool
	whole     any
	haveWhole bool
	prog      *expression // whose paths are being read
	buf       []byte
	id        []byte // encoded identifier of the entity at hand, for the report
	missing   bool   // the last value was left out
	limited   bool   // an expression of the item hit a limit
}

func (m *mapper) release() {
	clear(m.slots)
	clear(m.vals)
	m.ctx, m.files, m.rep, m.told, m.raw, m.whole, m.prog = nil, nil, nil, nil, nil, nil, nil
	if cap(m.buf) > 1<<20 { // one large record must not stay
		m.buf = nil
	}
}

// load makes raw the input of the programs.
func (m *mapper) load(raw []byte) (err error) {
	m.raw, m.whole, m.haveWhole = raw, nil, false
	clear(m.have)
	m.repeated, err = m.r.scan.run(raw, m.slots)
	return err
}

// Whole is the decoded record.
func (m *mapper) Whole() (any, error) {
	if !m.haveWhole {
		v, err := jq.Decode(m.raw)
		if err != nil {
			return nil, errors.Join(errRecord, err)
		}
		m.whole, m.haveWhole = v, true
	}
	return m.whole, nil
}

// Path is the value of the i-th path of the program at hand.
func (m *mapper) Path(i int) (any, error) {
	n := m.prog.slots[i]
	if m.have[n] {
		return m.vals[n], nil
	}
	s := m.slots[n]
	var v any
	var err error
	switch {
	case s.blocked != nil:
		if v, err = jq.Decode(s.blocked); err == nil {
			err = jq.NotIndexable(v, s.step)
		}
		return nil, err
	case s.raw != nil:
		if v, err = jq.Decode(s.raw); err != nil {
			return nil, errors.Join(errRecord, err)
		}
	}
	m.vals[n], m.have[n] = v, true
	return v, nil
}

// run evaluates a program. ok is false when it gave nothing; failure is the
// expression's own, its error or a limit that it hit, err one that ends the record.
func (m *mapper) run(e *expression) (v any, ok bool, failure, err error) {
	if m.rep.late[e.path] >= maxTimeouts {
		return nil, false, errGivenUp, nil
	}
	m.prog = e
	v, ok, err = e.prog.Run(m.ctx, m, m.deadline)
	if isOwn(err) {
		return nil, false, err, nil
	}
	return v, ok, nil, err
}

// maxTimeouts is how often an expression may run out of time before it is not
// evaluated any more: each time costs seconds, and there can be many records.
const maxTimeouts = 5

var errGivenUp = fmt.Errorf("it ran out of time for %d records, and %w", maxTimeouts, jq.ErrTimeout)

// isOwn says that an error concerns one expression.
func isOwn(err error) bool {
	if err == nil {
		return false
	}
	_, raised := errors.AsType[*jq.Error](err)
	return raised || isLimit(err)
}

func isLimit(err error) bool { return errors.Is(err, jq.ErrLimit) || errors.Is(err, jq.ErrTimeout) }

// record maps a record, expanding it if the resource says so.
func (m *mapper) record(raw []byte, res *Result) error {
	if err := m.load(raw); err != nil {
		return err
	}
	if m.r.items != nil {
		return m.expand(res)
	}
	return m.item(res)
}

// item maps what load has made ready.
func (m *mapper) item(res *Result) error {
	res.Items++
	m.limited = false
	m.told.begin()
	pass, err := m.selected(res)
	m.told.selected(pass)
	if err != nil || !pass {
		return err
	}
	e, ok, err := m.entity()
	if err != nil {
		return err
	}
	if !ok {
		m.lost(res)
		return nil
	}
	m.told.made(e)
	res.Entities = append(res.Entities, e)
	return nil
}

// lost counts an item of which no entity is made.
func (m *mapper) lost(res *Result) {
	if m.limited {
		res.SelectorErrors++
	} else {
		res.Faulty++
	}
}

// selected evaluates the selector: only true and false are answers.
func (m *mapper) selected(res *Result) (bool, error) {
	q := m.r.query
	if string(q.text) == "true" {
		return true, nil
	}
	m.id = nil
	if q.isFile {
		res.SelectorErrors++
		m.failed(q, errors.New("a selector cannot be a file"))
		return false, nil
	}
	v, ok, failure, err := m.run(q)
	if err != nil {
		return false, err
	}
	pass, isBool := v.(bool)
	switch {
	case failure != nil:
		m.failed(q, failure)
	case !ok || !isBool:
		m.failed(q, errors.New("the selector gave neither true nor false"))
	default:
		if !pass {
			res.Filtered++
		}
		return pass, nil
	}
	res.SelectorErrors++
	return false, nil
}

// entity evaluates the mapping. ok is false without identifier or blueprint.
func (m *mapper) entity() (e port.Entity, ok bool, err error) {
	m.buf, m.id = append(m.buf[:0], '{'), nil
	first := true
	for i := range m.r.entity {
		part := &m.r.entity[i]
		start := len(m.buf)
		if !first {
			m.buf = append(m.buf, ',')
		}
		m.buf = append(append(append(m.buf, '"'), part.name...), `":`...)
		at := len(m.buf)
		if err := m.part(part, &e); err != nil {
			return e, false, err
		}
		if m.missing {
			m.missing = false
			m.buf = m.buf[:start]
			continue
		}
		first = false
		val := m.buf[at:]
		switch part.name {
		case "identifier":
			if isFalsy(val) {
				return e, false, nil
			}
			m.id = append(m.id, val...)
			e.Identifier, e.Search = textValue(val), e.Search || val[0] == '{'
			if val[0] == '{' {
				e.Identifier = ""
			}
		case "blueprint":
			if isFalsy(val) {
				return e, false, nil
			}
			e.Blueprint = textValue(val)
		}
	}
	if e.Blueprint == "" || m.id == nil {
		return e, false, nil
	}
	m.buf = append(m.buf, '}')
	e.Body = bytes.Clone(m.buf)
	return e, true, nil
}

// part appends the value of one key of the entity.
func (m *mapper) part(part *namedForm, e *port.Entity) error {
	at := len(m.buf)
	switch part.name {
	case "icon", "team":
		if err := m.value(&part.form); err != nil {
			return err
		}
		m.asText(part, at, e)
		return nil
	case "relations":
		return m.relations(&part.form, e)
	}
	return m.value(&part.form)
}

// asText makes scalars of icon and team strings, as the Python integration's types do;
// an icon cannot be a list or an object.
func (m *mapper) asText(part *namedForm, at int, e *port.Entity) {
	if m.missing || at >= len(m.buf) {
		return
	}
	switch c := m.buf[at]; c {
	case '"', 'n':
	case '[', '{':
		if part.name == "icon" {
			m.failed(part.form.expr, errors.New("an icon is a string"))
			m.buf = append(m.buf[:at], "null"...)
			return
		}
		e.Search = e.Search || c == '{' || bytes.Contains(m.buf[at:], []byte(`{`)) && listOfObjects(m.buf[at:])
	case 't':
		m.buf = append(m.buf[:at], `"True"`...)
	case 'f':
		m.buf = append(m.buf[:at], `"False"`...)
	default:
		text := string(m.buf[at:])
		m.buf = append(append(append(m.buf[:at], '"'), text...), '"')
	}
}

func (m *mapper) relations(f *form, e *port.Entity) error {
	m.buf = append(m.buf, '{')
	if len(f.members) > 0 {
		e.Relations = make([]port.Relation, 0, len(f.members))
	}
	open := len(m.buf)
	for i := range f.members {
		member := &f.members[i]
		start := len(m.buf)
		if start > open {
			m.buf = append(m.buf, ',')
		}
		m.buf = append(jq.AppendString(m.buf, member.name), ':')
		at := len(m.buf)
		if err := m.value(&member.form); err != nil {
			return err
		}
		if m.missing {
			m.missing = false
			m.buf = m.buf[:start]
			continue
		}
		e.Search = e.Search || m.buf[at] == '{'
		e.Relations = append(e.Relations, port.Relation{Name: member.name, Targets: targets(m.buf[at:])})
	}
	m.buf = append(m.buf, '}')
	return nil
}

// value appends the value of a form. What a missing file leaves out sets
// m.missing and appends nothing.
func (m *mapper) value(f *form) error {
	switch {
	case f.expr != nil:
		return m.leaf(f.expr)
	case f.isList:
		return m.list(f)
	}
	m.buf = append(m.buf, '{')
	open := len(m.buf)
	for i := range f.members {
		start := len(m.buf)
		if start > open {
			m.buf = append(m.buf, ',')
		}
		m.buf = append(jq.AppendString(m.buf, f.members[i].name), ':')
		if err := m.value(&f.members[i].form); err != nil {
			return err
		}
		if m.missing {
			m.missing = false
			m.buf = m.buf[:start]
		}
	}
	m.buf = append(m.buf, '}')
	return nil
}

func (m *mapper) list(f *form) error {
	m.buf = append(m.buf, '[')
	for i := range f.list {
		if i > 0 {
			m.buf = append(m.buf, ',')
		}
		if err := m.value(&f.list[i]); err != nil {
			return err
		}
		if m.missing { // positions count
			m.missing = false
			m.buf = append(m.buf, "null"...)
		}
	}
	m.buf = append(m.buf, ']')
	return nil
}

// leaf appends the value of an expression; errors are counted and are null.
func (m *mapper) leaf(e *expression) error {
	at := len(m.buf)
	err := m.evaluate(e)
	if err == nil {
		m.told.value(e, m.buf[at:])
	}
	return err
}

func (m *mapper) evaluate(e *expression) error {
	at := len(m.buf)
	switch {
	case e.isFile:
		return m.file(e)
	case e.text != nil:
		m.buf = append(m.buf, e.text...)
	case e.prog.IsIdentity():
		return m.passWhole()
	case e.or != nil && m.slots[e.slots[0]].blocked == nil && !m.truthy(e.slots[0]):
		m.buf = append(m.buf, e.or...)
	case e.or != nil, e.prog.IsPath():
		if err := m.passSlot(e); err != nil {
			return err
		}
	default:
		v, ok, failure, err := m.run(e)
		switch {
		case err != nil:
			return err
		case failure == nil && ok && v != nil:
			m.buf, failure = jq.AppendOutput(m.buf, v)
		}
		if failure != nil {
			m.failed(e, failure)
		}
	}
	if len(m.buf) == at {
		m.buf = append(m.buf, "null"...)
	}
	if m.buf[at] == 'n' {
		m.rep.null(e, m)
	}
	return nil
}

func (m *mapper) file(e *expression) error {
	text, ok := m.files[e.file]
	switch {
	case !ok:
		m.failed(e, errors.New("the file could not be read"))
		m.missing = true
	case text == nil:
		m.buf = append(m.buf, "null"...)
		m.rep.null(e, m)
	default:
		m.buf = jq.AppendString(m.buf, *text)
	}
	return nil
}

func (m *mapper) passWhole() error {
	if !m.repeated && isClean(m.raw) {
		m.buf = append(m.buf, m.raw...)
		return nil
	}
	v, err := m.Whole()
	if err != nil {
		return err
	}
	m.buf = jq.AppendJSON(m.buf, v)
	return nil
}

func (m *mapper) passSlot(e *expression) error {
	s := m.slots[e.slots[0]]
	if s.raw != nil && isClean(s.raw) {
		m.buf = append(m.buf, s.raw...)
		return nil
	}
	m.prog = e
	v, err := m.Path(0)
	if isOwn(err) {
		m.failed(e, err)
		return nil
	}
	if err != nil || v == nil {
		return err
	}
	m.buf = jq.AppendJSON(m.buf, v)
	return nil
}

// truthy says what `//` takes for a value.
func (m *mapper) truthy(n int) bool {
	raw := m.slots[n].raw
	return raw != nil && raw[0] != 'n' && raw[0] != 'f'
}

func (m *mapper) failed(e *expression, err error) {
	m.limited = m.limited || isLimit(err)
	if e != nil {
		m.rep.failed(e, m, err)
		m.told.failed(e, err)
	}
}

// isClean says that JSON can be passed on as it is: valid UTF-8, no escaped
// surrogates (which may be unpaired).
func isClean(raw []byte) bool {
	if !utf8.Valid(raw) {
		return false
	}
	for rest := raw; ; {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 || i+3 >= len(rest) {
			return true
		}
		if rest[i+1] == 'u' && rest[i+2]|0x20 == 'd' && rest[i+3] >= '8' {
			return false
		}
		rest = rest[i+2:]
	}
}
