package azuredevops

import (
	"context"
	"fmt"
	"iter"
)

// A batch is a page whose objects become records when they are taken, so that
// what waits in a stream is pages only.
type batch struct {
	page  *page
	key   string  // of the array in the page
	added members // for every record, besides the keys of all kinds
	scope Scope   // of the parent
	id    string  // member that tells the records apart
}

// perProject streams the records that fetch finds in each project. An error of
// fetch makes the project unknown.
func (l *lister) perProject(fetch func(ctx context.Context, p *project) iter.Seq2[batch, error]) stream[Record] {
	return records(l, each(widePages, l.eachProject, func(ctx context.Context, p *project) iter.Seq2[batch, error] {
		return within(p.scope, fetch(ctx, p))
	}))
}

// within gives the errors of a sequence the scope that they leave unknown. What
// was listed and now answers 404 is unknown too.
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
	if b.key == "" {
		b.key = "value"
	}
	if b.id == "" {
		b.id = "id"
	}
	return func(yield func(batch, error) bool) {
		for p, err := range l.pages(ctx, rq, b.key) {
			b.page = p
			if !yield(b, err) {
				return
			}
		}
	}
}

// records makes records of batches, one at a time on the caller's goroutine.
func records(l *lister, batches stream[batch]) stream[Record] {
	return func(ctx context.Context) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			for b, err := range batches(ctx) {
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
	defer b.page.free()
	objects, ok := list(b.page.b, b.key)
	if !ok {
		return yield(Record{}, unknown(b.scope, fmt.Errorf("%w: no list %q in the answer", ErrMalformed, b.key)))
	}
	for obj := range objects {
		if !yield(l.record(obj, b.scope, textAt(obj, b.id), b.added), nil) {
			return false
		}
	}
	return true
}

// record copies an object and adds the keys of its kind, and those of all kinds.
func (l *lister) record(obj []byte, s Scope, id string, added members) Record {
	s.ID = id
	return Record{JSON: object(obj, added, l.c.suffix), Scope: s}
}
