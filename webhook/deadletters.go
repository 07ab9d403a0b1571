package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ado-port/ado-port/webhook/spool"
)

// deadLetterRoutes are for operators. They tell what the organization does, so
// they want the password.
func (s *Server) deadLetterRoutes(g *echo.Group) {
	g.GET("", s.withSpool(listDead))
	g.POST("/redrive", s.withSpool(redriveDead))
	g.DELETE("/:id", s.withSpool(dropDead))
}

// withSpool answers 503, and why, while there is no spool that can be asked.
func (s *Server) withSpool(next func(echo.Context, Spool) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		sp, err := s.store()
		if err == nil {
			err = next(c, sp)
		}
		switch {
		case err == nil, errors.Is(err, echo.ErrBadRequest):
			return err
		case errors.Is(err, spool.ErrNotFound):
			return echo.ErrNotFound
		}
		return echo.NewHTTPError(http.StatusServiceUnavailable, err.Error())
	}
}

// A DeadLetter is a delivery that was given up. Its body stays where it is: it is what
// the organization wrote.
type DeadLetter struct {
	ID             uint64    `json:"id"`
	EventType      string    `json:"eventType"`
	Key            string    `json:"key"`
	SubscriptionID string    `json:"subscriptionId,omitempty"`
	Received       time.Time `json:"received"`
	Died           time.Time `json:"died"`
	Attempts       int       `json:"attempts"`
	Bytes          int       `json:"bytes"`
	Reason         string    `json:"reason"`
}

// deadLetters are the oldest ones, at most so many. An error is one of the spool: what is
// damaged is listed, with that as its reason.
func deadLetters(sp Spool, most int) (out []DeadLetter, err error) {
	for d, err := range sp.Dead() {
		if err != nil {
			return nil, err
		}
		if len(out) == most {
			break
		}
		out = append(out, DeadLetter{d.ID, d.EventType, d.Key, d.SubscriptionID, d.Received.UTC(), d.Died.UTC(), d.Attempts, len(d.Body), d.Reason})
	}
	return out, nil
}

// DeadLetters are the deliveries that were given up, or why they cannot be listed.
type DeadLetters struct {
	Oldest []DeadLetter `json:"oldest,omitempty"`
	Error  string       `json:"error,omitempty"`
}

// DeadLetters lists at most so many, the oldest ones.
func (s *Server) DeadLetters(most int) (out DeadLetters) {
	sp, err := s.store()
	if err == nil {
		out.Oldest, err = deadLetters(sp, most)
	}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

// Redrive has dead letters handled once more, without ids all of them. It returns how
// many.
func (s *Server) Redrive(ctx context.Context, ids ...uint64) (int, error) {
	sp, err := s.store()
	if err != nil {
		return 0, err
	}
	return sp.Redrive(ctx, ids...)
}

// listDead answers a line of JSON for each dead letter, oldest first. They are read before
// the answer begins: a list that ends too early looks like a whole one.
func listDead(c echo.Context, sp Spool) error {
	list, err := deadLetters(sp, spool.MaxDead)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	for i := range list {
		if err := out.Encode(&list[i]); err != nil {
			return err
		}
	}
	return c.Blob(http.StatusOK, "application/x-ndjson", text.Bytes())
}

// redriveDead takes ids from the query (id, repeatable); none means all.
func redriveDead(c echo.Context, sp Spool) error {
	var ids []uint64
	for _, text := range c.QueryParams()["id"] {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return echo.ErrBadRequest
		}
		ids = append(ids, id)
	}
	n, err := sp.Redrive(c.Request().Context(), ids...)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]int{"redriven": n})
}

func dropDead(c echo.Context, sp Spool) error {
	id, err := strconv.ParseUint(c.Param("id"), 10, 64)
	if err != nil {
		return echo.ErrBadRequest
	}
	if err := sp.Drop(c.Request().Context(), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
