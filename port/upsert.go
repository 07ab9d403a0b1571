package port

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// UpsertOptions are the flags of the mapping, and what the write belongs to.
type UpsertOptions struct {
	Merge         bool    // keep properties that the entity does not set
	CreateMissing bool    // create entities that a relation names and that do not exist
	EventType     string  // resync, incremental_resync, http_request, start or action_run; empty outside of an event
	ResyncID      string  // sent with EventType resync
	Feature       Feature // that writes; exporter when zero
}

func (o UpsertOptions) query() string {
	q := url.Values{
		"upsert": {"true"}, "validation_only": {"false"},
		"merge":                           {strconv.FormatBool(o.Merge)},
		"create_missing_related_entities": {strconv.FormatBool(o.CreateMissing)},
	}
	addEvent(q, o.EventType, o.ResyncID)
	return q.Encode()
}

func addEvent(q url.Values, eventType, resyncID string) {
	if eventType == "" {
		return
	}
	q.Set("ocean_info_event_type", eventType)
	if eventType == "resync" && resyncID != "" {
		q.Set("ocean_info_resync_id", resyncID)
	}
}

// A Fate is what Port says of an entity that it wrote.
type Fate uint8

// Fates.
const (
	Unsaid Fate = iota
	Created
	Updated // it was there before
)

// UpsertResult says per entity, by the index of the input, how it went.
type UpsertResult struct {
	// Identifiers are those that Port wrote: the ones sent, or what a search
	// identifier was resolved to. Empty for an entity that failed, and for one
	// whose search matched nothing, which is no failure.
	Identifiers []string
	// Fates are what became of those in Port.
	Fates []Fate
	// Errors is nil when no entity failed.
	Errors []*EntityError
}

// Err returns why the entity failed, or nil.
func (r *UpsertResult) Err(i int) *EntityError {
	if r.Errors == nil {
		return nil
	}
	return r.Errors[i]
}

// An EntityError is why Port did not take one entity.
type EntityError struct {
	Ref     Ref
	Status  int    // HTTP status, 0 when there was no answer
	Code    string // Port's name of the error
	Message string
	Cause   error // what failed when it was not this entity alone, or nil
}

func (e *EntityError) Error() string {
	if e.Cause != nil {
		return e.Ref.String() + ": " + e.Cause.Error()
	}
	return fmt.Sprintf("%s: %d %s: %s", e.Ref, e.Status, e.Code, e.Message)
}

// Unwrap returns the cause.
func (e *EntityError) Unwrap() error { return e.Cause }

// Upsert writes entities of one blueprint in their order, split into requests
// that Port accepts. What becomes of each entity is in the result; a request
// that failed as a whole fails each of its entities with the cause. The error
// is that of ctx, and then the result is incomplete: what is not known to be
// written counts as failed.
func (c *Client) Upsert(ctx context.Context, o UpsertOptions, entities []Entity) (UpsertResult, error) {
	res := UpsertResult{Identifiers: make([]string, len(entities)), Fates: make([]Fate, len(entities))}
	if len(entities) == 0 {
		return res, nil
	}
	u := &upsert{c: c, res: &res, all: entities, query: o.query(), feature: o.Feature, path: "/blueprints/" + url.PathEscape(entities[0].Blueprint) + "/entities/bulk"}
	if err := c.decideLayout(ctx); err != nil {
		u.fail(0, len(entities), err)
		return res, ctx.Err()
	}
	for from := 0; from < len(entities); {
		to := from + c.bulkLength(entities[from:])
		if err := u.send(ctx, from, to); err != nil {
			u.fail(to, len(entities), err)
			return res, err
		}
		from = to
	}
	return res, nil
}

// bulkLength is how many of the entities fit into one request.
func (c *Client) bulkLength(entities []Entity) int {
	size := len(bulkOpen) + len(bulkClose)
	for i := range entities {
		size += len(entities[i].Body)
		if i > 0 {
			size++ // the comma
		}
		if i == c.cfg.Limits.UpsertCount || i > 0 && size > c.cfg.Limits.UpsertBytes {
			return i
		}
	}
	return len(entities)
}

// upsert is one call of Upsert.
type upsert struct {
	c           *Client
	res         *UpsertResult
	all         []Entity
	path, query string
	feature     Feature
}

// send writes the entities from..to. What Port refuses as a whole because of
// its content is halved until the bad entity stands alone. It returns an error
// only when ctx has ended.
func (u *upsert) send(ctx context.Context, from, to int) error {
	a, err := u.post(ctx, u.all[from:to])
	if err == nil {
		err := parseBulk(a.body, u.all[from:to], u.res.Identifiers[from:to], u.res.Fates[from:to], func(i int, e *EntityError) { u.set(from+i, e) })
		a.free()
		if err != nil {
			u.fail(from, to, err)
		}
		return nil
	}
	if ctx.Err() != nil {
		u.fail(from, to, err)
		return err
	}
	switch statusOf(err) {
	case http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusBadRequest:
		if to-from > 1 {
			half := from + (to-from)/2
			if err := u.send(ctx, from, half); err != nil {
				u.fail(half, to, err)
				return err
			}
			return u.send(ctx, half, to)
		}
	}
	u.fail(from, to, err)
	return nil
}

func (u *upsert) post(ctx context.Context, entities []Entity) (*answer, error) {
	select {
	case u.c.bulks <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("port: %w", context.Cause(ctx))
	}
	defer func() { <-u.c.bulks }()
	return u.c.do(ctx, &call{
		method: http.MethodPost, path: u.path, query: u.query, bodies: entities, entities: true, feature: u.feature, repeatable: true,
	})
}

func (u *upsert) set(i int, e *EntityError) {
	if u.res.Errors == nil {
		u.res.Errors = make([]*EntityError, len(u.all))
	}
	u.res.Errors[i] = e
}

// fail marks the entities from..to.
func (u *upsert) fail(from, to int, cause error) {
	e := EntityError{Cause: cause}
	if p, ok := errors.AsType[*Error](cause); ok {
		e.Status, e.Code, e.Message = p.StatusCode, p.Code, p.Message
	}
	for i := from; i < to; i++ {
		one := e
		one.Ref = Ref{u.all[i].Blueprint, u.all[i].Identifier}
		u.set(i, &one)
	}
}

const (
	bulkOpen  = `{"entities":[`
	bulkClose = `]}`
)

func bulkSize(entities []Entity) int64 {
	n := len(bulkOpen) + len(bulkClose) + len(entities) - 1
	for i := range entities {
		n += len(entities[i].Body)
	}
	return int64(n)
}

// bulkReader reads {"entities":[…]} without copying the entities together.
func bulkReader(entities []Entity) io.Reader {
	parts := make([]io.Reader, 0, 2*len(entities)+1)
	before := bulkOpen
	for i := range entities {
		parts = append(parts, strings.NewReader(before), bytes.NewReader(entities[i].Body))
		before = ","
	}
	return filling{io.MultiReader(append(parts, strings.NewReader(bulkClose))...)}
}

// filling fills what it is given to read into: the connection is written to in as
// many pieces as are read, each a call of the system.
type filling struct{ r io.Reader }

func (f filling) Read(p []byte) (int, error) {
	n, err := io.ReadFull(f.r, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // the next read says io.EOF
	}
	return n, err
}

// parseBulk reads the answer to a bulk. Its lists name entities by index;
// identifiers and fates receive what Port wrote, fail is called for the others.
func parseBulk(body []byte, sent []Entity, identifiers []string, fates []Fate, fail func(int, *EntityError)) error {
	good, bad := gjson.GetBytes(body, "entities"), gjson.GetBytes(body, "errors")
	if !good.Exists() && !bad.Exists() {
		return fmt.Errorf("port: bulk upsert: %w: neither entities nor errors", errAnswer)
	}
	told := make([]bool, len(sent))
	for _, v := range good.Array() {
		i := indexOf(v)
		if i < 0 || i >= len(sent) || told[i] {
			continue
		}
		told[i] = true
		identifiers[i] = sent[i].Identifier
		switch v.Get("created").Type { //nolint:exhaustive // anything else says nothing
		case gjson.True:
			fates[i] = Created
		case gjson.False:
			fates[i] = Updated
		}
		if id := v.Get("identifier").Str; id != "" && id != identifiers[i] {
			identifiers[i] = strings.Clone(id)
		}
	}
	for _, v := range bad.Array() {
		i := indexOf(v)
		if i < 0 || i >= len(sent) || told[i] {
			continue
		}
		told[i] = true
		if v.Get("identifier").Str == "unknown" && (sent[i].Search || sent[i].Identifier == "") {
			continue // the search matched nothing
		}
		fail(i, &EntityError{
			Ref: Ref{sent[i].Blueprint, sent[i].Identifier}, Status: max(0, int(v.Get("statusCode").Int())),
			Code: shorten(v.Get("error").Str, 100), Message: shorten(v.Get("message").Str, messageLimit),
		})
	}
	for i := range sent {
		if !told[i] {
			fail(i, &EntityError{Ref: Ref{sent[i].Blueprint, sent[i].Identifier}, Code: "unanswered", Message: "Port's answer does not mention this entity"})
		}
	}
	return nil
}

// indexOf is the place of the entity that a part of the answer is about, -1
// where it does not say.
func indexOf(v gjson.Result) int {
	i := v.Get("index")
	if i.Type != gjson.Number || i.Num < 0 || i.Num > maxUpsertCount || i.Num != math.Trunc(i.Num) {
		return -1
	}
	return int(i.Num)
}
