package port

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// ownedPageSize is the most that Port gives at once.
const ownedPageSize = 5000

// ownedRequest is the body of POST /v1/blueprints/entities/datasource-entities.
// It is not part of Port's public reference; Ocean sends it in this form.
type ownedRequest struct {
	Prefix string `json:"datasource_prefix"`
	Suffix string `json:"datasource_suffix"`
	Limit  int    `json:"limit"`
	Before string `json:"before,omitempty"`
	From   string `json:"from,omitempty"`
}

type ownedPage struct {
	refs []Ref
	next string
}

// Owned lists the entities that this installation wrote as an exporter, under
// both layouts of the User-Agent, unless it was at a time or later; the zero time
// is none. An error ends it, and means that the list is not complete: nothing may
// be deleted by it.
func (c *Client) Owned(ctx context.Context, before time.Time) iter.Seq2[Ref, error] {
	return func(yield func(Ref, error) bool) {
		for _, req := range c.ownedQueries() {
			if !before.IsZero() {
				req.Before = isoTime(before)
			}
			if !c.ownedLayout(ctx, req, yield) {
				return
			}
		}
	}
}

// ownedLayout yields the entities of one layout; false ends the iteration.
func (c *Client) ownedLayout(ctx context.Context, req ownedRequest, yield func(Ref, error) bool) bool {
	seen := map[string]bool{}
	for {
		page, err := c.ownedPage(ctx, req)
		if err != nil {
			yield(Ref{}, err)
			return false
		}
		for _, ref := range page.refs {
			if !yield(ref, nil) {
				return false
			}
		}
		if page.next == "" {
			return true
		}
		if seen[page.next] {
			yield(Ref{}, fmt.Errorf("port: owned entities: %w: the same page again", errAnswer))
			return false
		}
		seen[page.next] = true
		req.From = page.next
	}
}

func (c *Client) ownedPage(ctx context.Context, req ownedRequest) (ownedPage, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return ownedPage{}, fmt.Errorf("port: owned entities: %w", err)
	}
	a, err := c.do(ctx, &call{
		method: http.MethodPost, path: "/blueprints/entities/datasource-entities", body: body,
		entities: true, repeatable: true, limit: searchLimit,
	})
	if err != nil {
		return ownedPage{}, err
	}
	defer a.free()
	return parseOwned(a.body)
}

// parseOwned reads a page. An entity without identifier or blueprint is an
// error: a list that cannot be read is not complete.
func parseOwned(body []byte) (page ownedPage, err error) {
	list := gjson.GetBytes(body, "entities")
	if !list.IsArray() {
		return page, fmt.Errorf("port: owned entities: %w: no list", errAnswer)
	}
	blueprint := "" // neighbours share it, and so its memory
	list.ForEach(func(_, entity gjson.Result) bool {
		if of := entity.Get("blueprint").Str; of != blueprint {
			blueprint = strings.Clone(of)
		}
		// A clone, because the text is a part of the whole page.
		ref := Ref{Blueprint: blueprint, Identifier: strings.Clone(entity.Get("identifier").Str)}
		if ref.Blueprint == "" || ref.Identifier == "" {
			err = fmt.Errorf("port: owned entities: %w: an entity without identifier or blueprint", errAnswer)
			return false
		}
		page.refs = append(page.refs, ref)
		return true
	})
	if err != nil {
		return ownedPage{}, err
	}
	page.next = gjson.GetBytes(body, "next").Str
	return page, nil
}

// isoTime is the form of times that Ocean sends: Python's isoformat in UTC,
// with microseconds and +00:00.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000+00:00") }
