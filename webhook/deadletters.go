package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// withSpool answers 503 while the spool is not open.
func (s *Server) withSpool(next func(echo.Context, Spool) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		sp, err := s.store()
		if err != nil {
			return echo.ErrServiceUnavailable
		}
		err = next(c, sp)
		if errors.Is(err, spool.ErrNotFound) {
			return echo.ErrNotFound
		}
		return err
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

func deadLetterOf(d *spool.DeadLetter, err error) DeadLetter {
	l := DeadLetter{d.ID, d.EventType, d.Key, d.SubscriptionID, d.Received.UTC(), d.Died.UTC(), d.Attempts, len(d.Body), d.Reason}
	if err != nil {
		l.Reason = "the record cannot be read: " + err.Error()
	}
	return l
}

// DeadLetters are the oldest deliveries that were given up, at most so many.
func (s *Server) DeadLetters(most int) (out []DeadLetter) {
	sp, err := s.store()
	if err != nil {
		return nil
	}
	for d, err := range sp.Dead() {
		if len(out) == most {
			break
		}
		out = append(out, deadLetterOf(&d, err))
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

// listDead answers a line of JSON for each dead letter, oldest first.
func listDead(c echo.Context, sp Spool) error {
	c.Response().Header().Set(echo.HeaderContentType, "application/x-ndjson")
	c.Response().WriteHeader(http.StatusOK)
	out := json.NewEncoder(c.Response())
	for d, err := range sp.Dead() {
		if err := out.Encode(deadLetterOf(&d, err)); err != nil {
			return fmt.Errorf("list dead letters: %w", err)
		}
	}
	return nil
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
