package azuredevops

import (
	"context"
	"fmt"
)

// sharedBytes bounds the packed pages of shared lists. An evicted page is fetched
// again, which costs one call per page and kind.
const sharedBytes = 8 << 20

// A sharedPage is an answer that several kinds of a resync ask for.
type sharedPage struct {
	body   *packed
	token  string
	status int
	chain  chain // as it was with this page, for others that read the list
}

// newSharedPages makes room for the pages of lists that several kinds start
// from (pipelines, builds, environments …), by address.
func newSharedPages() *cache[string, *sharedPage] {
	return &cache[string, *sharedPage]{most: sharedBytes, size: func(p *sharedPage) int {
		if p == nil {
			return 0 // a failure
		}
		return cap(p.body.b)
	}}
}

// sendShared answers a Shared request with what another kind has received already,
// failures included.
func (l *lister) sendShared(ctx context.Context, rq *request) (*page, error) {
	var fresh *page
	kept, err := l.shared.get(ctx, string(rq.Host)+rq.URL(""), func(ctx context.Context) (*sharedPage, error) {
		p, err := l.answered(ctx, rq)
		if err != nil {
			return nil, err
		}
		fresh = p
		kept := &sharedPage{body: pack(p.Body, packAbove), token: p.Token, status: p.Status}
		if ch := chainOf(ctx); ch != nil {
			kept.chain = *ch
		}
		return kept, nil
	})
	if err != nil || fresh != nil {
		return fresh, err
	}
	if ch := chainOf(ctx); ch != nil && !ch.follow(&kept.chain) {
		return nil, fmt.Errorf("%s: %w: a page of the list", rq.Route, ErrNotStored)
	}
	b, err := kept.body.unpack()
	if err != nil {
		return nil, err
	}
	return &page{Body: b, Token: kept.token, Status: kept.status}, nil
}
