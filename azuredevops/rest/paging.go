package rest

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"strconv"
	"strings"
)

// maxEmptyPages bounds a list that only promises more.
const maxEmptyPages = 1000

// A Sender makes a request on somebody's behalf.
type Sender func(ctx context.Context, rq *Request) (*Page, error)

// Sender makes requests on behalf of a caller.
func (c *Client) Sender(by Caller) Sender {
	return func(ctx context.Context, rq *Request) (*Page, error) { return c.Send(ctx, rq, by) }
}

// Object fetches a single object; the result is the caller's.
func (send Sender) Object(ctx context.Context, rq *Request) ([]byte, error) {
	p, err := send(ctx, rq)
	if err != nil {
		return nil, err
	}
	defer p.Free()
	b := bytes.TrimSpace(p.Body)
	if len(b) == 0 || b[0] != '{' {
		return nil, fmt.Errorf("%s: %w: not an object", rq.Route, ErrMalformed)
	}
	if rq.Is != "" && !strings.EqualFold(idOf(b, rq.ID), rq.Is) {
		return nil, fmt.Errorf("%s: %w: about %q instead of %q", rq.Route, ErrMalformed, idOf(b, rq.ID), rq.Is)
	}
	return bytes.Clone(b), nil
}

// Pages follows continuation tokens. The end is the absence of a token, never a
// short or empty page. Every page has an array under key; where versions of the
// service differ, key names several, as "items|members". An error ends the list.
// The receiver frees the pages.
func (send Sender) Pages(ctx context.Context, rq *Request, key string) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		var guard Guard
		next := rq
		for n := 1; ; n++ {
			p, err := send.Page(ctx, next, key, n, &guard)
			if err != nil {
				yield(nil, err)
				return
			}
			token := p.Token
			if token != "" && !guard.Token(token) {
				p.Free()
				yield(nil, fmt.Errorf("%s, page %d: %w: the continuation token repeats", rq.Route, n, ErrMalformed))
				return
			}
			if !yield(p, nil) || token == "" {
				return
			}
			next = rq.With(tokenMember, token)
		}
	}
}

// OffsetPages follows pairs of parameters such as $top and $skip: the next page
// begins behind what arrived, and the end is an empty page, because the service
// may give less than it is asked for.
func (send Sender) OffsetPages(ctx context.Context, rq *Request, key, topName, skipName string, top int) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		var guard Guard
		skip := 0
		for n := 1; ; n++ {
			p, err := send.Page(ctx, rq.With(topName, strconv.Itoa(top), skipName, strconv.Itoa(skip)), key, n, &guard)
			if err != nil {
				yield(nil, err)
				return
			}
			skip += p.Count()
			if p.Count() == 0 {
				p.Free()
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// List fetches a list that has no pages.
func (send Sender) List(ctx context.Context, rq *Request, key string) (*Page, error) {
	return send.Page(ctx, rq, key, 1, nil)
}

// Page fetches page n of a list and checks that it is one. Everything that reads a
// list gets it from here. A list without further pages needs no guard.
func (send Sender) Page(ctx context.Context, rq *Request, key string, n int, guard *Guard) (*Page, error) {
	p, err := send(ctx, rq)
	if err != nil {
		if n > 1 {
			// The list exists: 404 in the middle of it says nothing.
			err = fmt.Errorf("page %d: %w", n, Listed(err))
		}
		return nil, err
	}
	err = p.ReadList(key, rq.ID, rq.Nulls)
	if err == nil && guard != nil {
		err = guard.page(p)
	}
	if err != nil {
		p.Free()
		return nil, fmt.Errorf("%s, page %d: %w", rq.Route, n, err)
	}
	return p, nil
}

// A Guard ends lists that do not.
type Guard struct {
	seed   maphash.Seed
	tokens map[uint64]bool
	last   uint64
	empty  int
}

// Token reports whether a token is new.
func (g *Guard) Token(token string) bool {
	if g.tokens == nil {
		g.seed, g.tokens = maphash.MakeSeed(), map[uint64]bool{}
	}
	h := maphash.String(g.seed, token)
	known := g.tokens[h]
	g.tokens[h] = true
	return !known
}

// page checks that p, which holds a list, is not the previous page again.
func (g *Guard) page(p *Page) error {
	if p.Count() == 0 {
		if g.empty++; g.empty > maxEmptyPages {
			return fmt.Errorf("%w: %d empty pages in a row", ErrMalformed, g.empty)
		}
		return nil
	}
	if g.tokens == nil {
		g.seed, g.tokens = maphash.MakeSeed(), map[uint64]bool{}
	}
	h := maphash.Bytes(g.seed, p.Body[p.elements[0].from:])
	if h == g.last {
		return fmt.Errorf("%w: the page repeats", ErrMalformed)
	}
	g.last, g.empty = h, 0
	return nil
}
