package azuredevops

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"strconv"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// maxEmptyPages bounds a list that only promises more.
const maxEmptyPages = 1000

// pages follows continuation tokens (export.md 0.3, CT). The end is the absence
// of a token, never a short or empty page. Every page has an array under key. An
// error ends the list. The receiver frees the pages.
func (l *lister) pages(ctx context.Context, rq *request, key string) iter.Seq2[*page, error] {
	return func(yield func(*page, error) bool) {
		var guard progressGuard
		next := rq
		for n := 1; ; n++ {
			p, err := l.page(ctx, next, key, n, &guard)
			if err != nil {
				yield(nil, err)
				return
			}
			token := p.token
			if token == "" {
				token = rawjson.Text(p.b, "continuationToken")
			}
			if token != "" && !guard.token(token) {
				p.free()
				yield(nil, fmt.Errorf("%s, page %d: %w: the continuation token repeats", rq.Route, n, ErrMalformed))
				return
			}
			if !yield(p, nil) || token == "" {
				return
			}
			next = rq.with("continuationToken", token)
		}
	}
}

// skipPages follows $top and $skip (export.md 0.3, TS): the next page begins
// behind what arrived, and the end is an empty page, because the service may
// give less than it is asked for.
func (l *lister) skipPages(ctx context.Context, rq *request, top int) iter.Seq2[*page, error] {
	return l.offsetPages(ctx, rq, "value", "$top", "$skip", top)
}

// offsetPages is skipPages for services that call the parameters something else.
func (l *lister) offsetPages(ctx context.Context, rq *request, key, topName, skipName string, top int) iter.Seq2[*page, error] {
	return func(yield func(*page, error) bool) {
		var guard progressGuard
		skip := 0
		for n := 1; ; n++ {
			p, err := l.page(ctx, rq.with(topName, strconv.Itoa(top), skipName, strconv.Itoa(skip)), key, n, &guard)
			if err != nil {
				yield(nil, err)
				return
			}
			got := 0
			for range rawjson.Elements(rawjson.Array(p.b, key)) {
				got++
			}
			skip += got
			if got == 0 {
				p.free()
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// page fetches page n of a list and checks that it is one.
func (l *lister) page(ctx context.Context, rq *request, key string, n int, guard *progressGuard) (*page, error) {
	p, err := l.send(ctx, rq)
	if err != nil {
		if n > 1 {
			// The list exists: 404 in the middle of it says nothing (S2).
			err = fmt.Errorf("page %d: %w", n, listed(err))
		}
		return nil, err
	}
	if err := guard.page(p, key); err != nil {
		p.free()
		return nil, fmt.Errorf("%s, page %d: %w", rq.Route, n, err)
	}
	return p, nil
}

// A progressGuard ends lists that do not.
type progressGuard struct {
	seed   maphash.Seed
	tokens map[uint64]bool
	last   uint64
	empty  int
}

// token reports whether a token is new.
func (g *progressGuard) token(token string) bool {
	if g.tokens == nil {
		g.seed, g.tokens = maphash.MakeSeed(), map[uint64]bool{}
	}
	h := maphash.String(g.seed, token)
	known := g.tokens[h]
	g.tokens[h] = true
	return !known
}

// page checks that p holds a list, and not the previous page again.
func (g *progressGuard) page(p *page, key string) error {
	all := rawjson.Array(p.b, key)
	if all == nil {
		return fmt.Errorf("%w: no list %q in the answer", ErrMalformed, key)
	}
	if all[rawjson.SkipSpace(all, 1)] == ']' {
		if g.empty++; g.empty > maxEmptyPages {
			return fmt.Errorf("%w: %d empty pages in a row", ErrMalformed, g.empty)
		}
		return nil
	}
	if g.tokens == nil {
		g.seed, g.tokens = maphash.MakeSeed(), map[uint64]bool{}
	}
	h := maphash.Bytes(g.seed, all)
	if h == g.last {
		return fmt.Errorf("%w: the page repeats", ErrMalformed)
	}
	g.last, g.empty = h, 0
	return nil
}
