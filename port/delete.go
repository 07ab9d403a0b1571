package port

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// DeleteOptions say how far a deletion goes, and what it belongs to.
type DeleteOptions struct {
	Dependents bool   // also delete entities that require the deleted ones
	EventType  string // as in UpsertOptions
	ResyncID   string
	Feature    Feature // that deletes; exporter when zero
}

// Delete deletes entities of a blueprint and returns those that Port reports
// as deleted. One request that fails does not stop the others; the error joins
// them. Deleting what does not exist is not an error. When a request was
// repeated after a lost answer, what the first one deleted may be missing from
// the result.
func (c *Client) Delete(ctx context.Context, o DeleteOptions, blueprint string, ids []string) (deleted []string, err error) {
	q := url.Values{"delete_dependents": {strconv.FormatBool(o.Dependents)}}
	addEvent(q, o.EventType, o.ResyncID)
	k := call{
		method: http.MethodPost, path: "/blueprints/" + url.PathEscape(blueprint) + "/bulk/entities/delete", query: q.Encode(),
		entities: true, feature: o.Feature, repeatable: true,
	}
	if err := c.decideLayout(ctx); err != nil {
		return nil, err
	}
	var errs []error
	for part := range slices.Chunk(ids, c.cfg.Limits.DeleteCount) {
		done, err := c.deletePart(ctx, k, part)
		deleted = append(deleted, done...)
		if err != nil {
			errs = append(errs, fmt.Errorf("delete of %d %s: %w", len(part), blueprint, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return deleted, errors.Join(errs...)
}

// deletePart deletes with one request. Without Dependents Port refuses all of
// it when one entity is still needed; then the halves are tried.
func (c *Client) deletePart(ctx context.Context, k call, ids []string) ([]string, error) {
	body, err := json.Marshal(map[string][]string{"entities": ids})
	if err != nil {
		return nil, fmt.Errorf("port: %w", err)
	}
	k.body = body
	a, err := c.do(ctx, &k)
	if err == nil {
		defer a.free()
		return parseDeleted(a.body), nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || len(ids) == 1 || !refusedForOne(e) {
		return nil, err
	}
	half := len(ids) / 2
	one, err1 := c.deletePart(ctx, k, ids[:half])
	two, err2 := c.deletePart(ctx, k, ids[half:])
	return append(one, two...), errors.Join(err1, err2)
}

// refusedForOne reports whether a request may have failed for one of its entities.
func refusedForOne(e *Error) bool {
	switch e.StatusCode {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	case http.StatusForbidden:
		return e.Code == "has_dependents"
	}
	return false
}

func parseDeleted(body []byte) (ids []string) {
	for _, v := range gjson.GetBytes(body, "deletedEntities").Array() {
		if v.Str != "" {
			ids = append(ids, v.Str)
		}
	}
	return ids
}
