package azuredevops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// A batch is a page whose objects become records only when they are taken, so that
// pages wait in a stream, not records.
type batch struct {
	page  *page
	key   string                // of the array in the page
	added rawjson.Members       // for every record, besides the keys of all kinds
	scope Scope                 // of the parent; with an ID, that of the records too
	id    string                // member that tells the records apart
	keep  func(obj []byte) bool // what becomes a record; nil keeps all
	want  []string              // ids that the page was asked for, in order; nil for a list

	same *[]byte // memory of all records, one after the other; nil: each has its own
}

// perProject streams the records that fetch finds in each project. An error of
// fetch makes the project unknown.
func (l *lister) perProject(fetch func(ctx context.Context, p *project) iter.Seq2[batch, error]) stream[Record] {
	return records(l, each(widePages, l.eachProject, func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		return within(p.scope, fetch(ctx, p))
	}))
}

// perRepository streams the records that fetch finds in each repository for which
// keep holds; nil keeps all. An error of fetch makes the repository unknown.
func (l *lister) perRepository(
	keep func(*repository) bool, fetch func(ctx context.Context, r *repository) iter.Seq2[batch, error],
) stream[Record] {
	return records(l, each(wideRecords, l.eachRepository, func(ctx context.Context, r *repository) iter.Seq2[batch, error] {
		if keep != nil && !keep(r) {
			return func(func(batch, error) bool) {}
		}
		return within(r.inside(), fetch(ctx, r))
	}))
}

// within gives the errors of a sequence the scope that they leave unknown. A 404 for
// something that was listed a moment ago means unknown too.
func within[T any](s Scope, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range seq {
			if err != nil {
				if _, ok := err.(*ScopeError); !ok { //nolint:errorlint // an outer scope would be wider
					err = unknown(s, listed(err))
				}
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

// batches streams the pages of a list as batches.
func (l *lister) batches(ctx context.Context, rq *request, b batch) iter.Seq2[batch, error] {
	b.key, b.id = cmp.Or(b.key, "value"), cmp.Or(b.id, "id")
	of := *rq
	of.ID = b.id
	return func(yield func(batch, error) bool) {
		for p, err := range l.pages(ctx, &of, b.key) {
			b.page = p
			if !yield(b, err) {
				return
			}
		}
	}
}

// records makes records of batches, one at a time on the caller's goroutine.
func records(l *lister, batches stream[batch]) stream[Record] { return recordsIn(l, batches, false) }

// passing is records for a kind whose records nothing comes behind that keeps one
// when it takes the next: all have the same memory.
func passing(l *lister, batches stream[batch]) stream[Record] { return recordsIn(l, batches, true) }

func recordsIn(l *lister, batches stream[batch], same bool) stream[Record] {
	return func(ctx context.Context) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			var memory []byte
			for b, err := range batches(ctx) {
				if same {
					b.same = &memory
				}
				if err != nil {
					if !yield(Record{}, err) {
						return
					}
					continue
				}
				if !l.unfold(b, yield) {
					return
				}
			}
		}
	}
}

// unfold yields the records of a batch and frees its page.
func (l *lister) unfold(b batch, yield func(Record, error) bool) bool {
	defer b.page.Free()
	next := 0
	for obj := range b.page.Objects() {
		id := rawjson.Text(obj, b.id)
		if next < len(b.want) && b.want[next] == id {
			next++
		}
		if b.scope.ID != "" {
			id = b.scope.ID
		}
		if !l.at.wants(b.scope, id, obj) || b.keep != nil && !b.keep(obj) {
			continue
		}
		var memory []byte
		if b.same != nil {
			memory = *b.same
		}
		rec := l.recordIn(memory, obj, b.scope, id, b.added)
		if b.same != nil {
			*b.same = rec.JSON
		}
		if !yield(rec, nil) {
			return false
		}
		if l.at.only(b.scope) {
			return false // nothing else is wanted
		}
	}
	return next == len(b.want) || b.lost(yield)
}

// lost yields an error for every record that was requested by id and is missing from
// the answer: it is unknown.
func (b batch) lost(yield func(Record, error) bool) bool {
	back := make(map[string]bool, len(b.want))
	for obj := range b.page.Objects() {
		back[rawjson.Text(obj, b.id)] = true
	}
	for _, id := range b.want {
		if back[id] {
			continue
		}
		s := b.scope
		s.ID = id
		if !yield(Record{}, unknown(s, fmt.Errorf("%s: %w", id, errLost))) {
			return false
		}
	}
	return true
}

var errLost = errors.New("asked for by its id, but left out of the answer")

// record copies an object and adds the keys of its kind, and those of all kinds.
func (l *lister) record(obj []byte, s Scope, id string, added rawjson.Members) Record {
	return l.recordIn(nil, obj, s, id, added)
}

// recordIn is record in memory that is used again.
func (l *lister) recordIn(memory, obj []byte, s Scope, id string, added rawjson.Members) Record {
	s.ID = id
	return Record{JSON: rawjson.AppendWith(memory[:0], obj, added, l.c.suffix), Scope: s}
}
