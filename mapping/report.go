package mapping

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/mapping/jq"
)

// A Report counts what happened to each expression of a Resource while records
// were mapped. The zero Report is ready to use by one goroutine.
type Report struct {
	// Expressions holds the expressions that were null or failed at least once,
	// by path ("properties.owner").
	Expressions map[string]*ExpressionReport
	late        map[string]int // how often each ran out of time
}

// An ExpressionReport is what one expression did.
type ExpressionReport struct {
	Path       string
	Expression string
	Null       int    // values that were null or nothing, errors included
	Errors     int    // values that failed
	Sample     string // identifier of the first such entity, else `id` or `name` of its record
	FirstError string // first line of the first error
}

func (r *Report) entry(e *expression, m *mapper) *ExpressionReport {
	x, ok := r.Expressions[e.path]
	if ok {
		return x
	}
	if r.Expressions == nil {
		r.Expressions = map[string]*ExpressionReport{}
	}
	x = &ExpressionReport{Path: e.path, Expression: e.source, Sample: m.sample()}
	r.Expressions[e.path] = x
	return x
}

func (r *Report) null(e *expression, m *mapper) { r.entry(e, m).Null++ }

func (r *Report) failed(e *expression, m *mapper, err error) {
	x := r.entry(e, m)
	x.Errors++
	if errors.Is(err, jq.ErrTimeout) {
		if r.late == nil {
			r.late = map[string]int{}
		}
		r.late[e.path]++
	}
	if x.FirstError == "" {
		x.FirstError = clip(firstLine(err.Error()), 300)
		x.Sample = m.sample()
	}
}

// sample names the record at hand for people.
func (m *mapper) sample() string {
	if m.id != nil {
		return clip(textValue(m.id), 200)
	}
	sample := ""
	eachMember(m.raw, func(key, val []byte) bool {
		switch string(key) {
		case `"id"`:
			sample = clip(textValue(val), 200)
			return false
		case `"name"`:
			sample = clip(textValue(val), 200)
		}
		return true
	})
	return sample
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// Merge adds what other counted.
func (r *Report) Merge(other *Report) {
	for path, x := range other.Expressions {
		mine, ok := r.Expressions[path]
		if !ok {
			if r.Expressions == nil {
				r.Expressions = map[string]*ExpressionReport{}
			}
			c := *x
			r.Expressions[path] = &c
			continue
		}
		mine.Null += x.Null
		mine.Errors += x.Errors
		if mine.FirstError == "" && x.FirstError != "" {
			mine.FirstError, mine.Sample = x.FirstError, x.Sample
		}
	}
}

// Lines are the report for people, one line per expression, sorted by path: of
// those that failed, and of those that found nothing for some records, as
// expressions do. They show expressions and identifiers, never values of records.
func (r *Report) Lines() (failed, empty []string) {
	for _, path := range slices.Sorted(maps.Keys(r.Expressions)) {
		if x := r.Expressions[path]; x.Errors > 0 {
			failed = append(failed, x.String())
		} else {
			empty = append(empty, x.String())
		}
	}
	return failed, empty
}

func (x *ExpressionReport) String() string {
	if x.Errors == 0 {
		return fmt.Sprintf("%s: no value %d times, first for %q: %s", x.Path, x.Null, x.Sample, x.Expression)
	}
	return fmt.Sprintf("%s: failed %d times, no value %d times, first for %q: %s: %s",
		x.Path, x.Errors, x.Null, x.Sample, x.Expression, x.FirstError)
}
