package mapping

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/itchyny/gojq"

	"github.com/ado-port/ado-port/port"
)

// An Explanation is what became of one item of a record, expression by expression.
type Explanation struct {
	Selected bool         // the selector gave true
	Entity   *port.Entity // nil: none is made
	Values   []Value      // in the order of evaluation; of the selector and itemsToParse only failures
}

// A Value is what one expression gave.
type Value struct {
	Path       string          // "properties.owner"
	Expression string          // as written
	JSON       json.RawMessage // nil when Err is set
	Err        error
}

// Explain is Map for people: it also says what each expression gave.
func (r *Resource) Explain(ctx context.Context, record []byte, files map[string]*string) ([]Explanation, error) {
	told := &teller{}
	_, err := r.apply(ctx, record, files, &Report{}, told)
	return told.items, err
}

// A teller collects explanations. A nil one collects nothing.
type teller struct{ items []Explanation }

// begin begins an item.
func (t *teller) begin() {
	if t != nil {
		t.items = append(t.items, Explanation{})
	}
}

// item is the one at hand; a list of items that fails is one itself.
func (t *teller) item() *Explanation {
	if len(t.items) == 0 {
		t.begin()
	}
	return &t.items[len(t.items)-1]
}

func (t *teller) selected(pass bool) {
	if t != nil {
		t.item().Selected = pass
	}
}

func (t *teller) made(e port.Entity) {
	if t != nil {
		t.item().Entity = &e
	}
}

func (t *teller) failed(e *expression, err error) {
	if t != nil {
		it := t.item()
		it.Values = append(it.Values, Value{Path: e.path, Expression: e.source, Err: err})
	}
}

// value notes a value, unless the expression has just failed.
func (t *teller) value(e *expression, raw []byte) {
	if t == nil || len(raw) == 0 {
		return
	}
	it := t.item()
	if n := len(it.Values); n > 0 && it.Values[n-1].Path == e.path && it.Values[n-1].Err != nil {
		return
	}
	it.Values = append(it.Values, Value{Path: e.path, Expression: e.source, JSON: bytes.Clone(raw)})
}

// column is the place of a syntax error in a source, in characters from 1; 0: it
// has none.
func column(source string, err error) int {
	syntax, ok := errors.AsType[*gojq.ParseError](err)
	if !ok {
		return 0
	}
	before := max(0, syntax.Offset-len(syntax.Token))
	if before >= len(source) { // at the end: the last character is to blame
		before = max(0, len(strings.TrimRight(source, " \t\r\n"))-1)
	}
	return len([]rune(strings.ToValidUTF8(source[:before], "?"))) + 1
}
