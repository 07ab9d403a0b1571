package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

// Dead lists the dead letters, oldest first, with their bodies.
func (s *Server) Dead() iter.Seq2[DeadLetter, error] {
	if sp := s.store(); sp != nil {
		return sp.Dead()
	}
	return func(yield func(DeadLetter, error) bool) { yield(DeadLetter{}, ErrLocked) }
}

// Redrive has dead letters wait again as if they had just come: those of these
// ids, or all when none is named. It returns how many; ErrNotFound when none of
// ids is a dead letter.
func (s *Server) Redrive(ctx context.Context, ids ...uint64) (int, error) {
	if sp := s.store(); sp != nil {
		return sp.Redrive(ctx, ids...)
	}
	return 0, ErrLocked
}

// Drop deletes the dead letters of these ids; ErrNotFound when there is none.
func (s *Server) Drop(ctx context.Context, ids ...uint64) error {
	if sp := s.store(); sp != nil {
		return sp.Drop(ctx, ids...)
	}
	return ErrLocked
}

// deadLetterRoutes are for operators. They tell what the organization does, so
// there are none without a password.
func (s *Server) deadLetterRoutes(g *echo.Group) {
	if s.cfg.Secret == "" {
		return
	}
	g.GET("", s.listDead)
	g.POST("/redrive", s.redriveDead)
	g.DELETE("/:id", s.dropDead)
}

// listDead answers a line of JSON for each dead letter, oldest first. Bodies
// stay where they are: they are what the organization wrote.
func (s *Server) listDead(c echo.Context) error {
	type line struct {
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
	if s.store() == nil {
		return echo.ErrServiceUnavailable
	}
	c.Response().Header().Set(echo.HeaderContentType, "application/x-ndjson")
	c.Response().WriteHeader(http.StatusOK)
	out := json.NewEncoder(c.Response())
	for d, err := range s.Dead() {
		l := line{d.ID, d.EventType, d.Key, d.SubscriptionID, d.Received.UTC(), d.Died.UTC(), d.Attempts, len(d.Body), d.Reason}
		if err != nil {
			l.Reason = "the record cannot be read: " + err.Error()
		}
		if err := out.Encode(l); err != nil {
			return fmt.Errorf("list dead letters: %w", err)
		}
	}
	return nil
}

// redriveDead takes ids from the query (id, repeatable); none means all.
func (s *Server) redriveDead(c echo.Context) error {
	var ids []uint64
	for _, text := range c.QueryParams()["id"] {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return echo.ErrBadRequest
		}
		ids = append(ids, id)
	}
	n, err := s.Redrive(c.Request().Context(), ids...)
	if err != nil {
		return deadLetterError(err)
	}
	return c.JSON(http.StatusOK, map[string]int{"redriven": n})
}

func (s *Server) dropDead(c echo.Context) error {
	id, err := strconv.ParseUint(c.Param("id"), 10, 64)
	if err != nil {
		return echo.ErrBadRequest
	}
	if err := s.Drop(c.Request().Context(), id); err != nil {
		return deadLetterError(err)
	}
	return c.NoContent(http.StatusNoContent)
}

func deadLetterError(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return echo.ErrNotFound
	case errors.Is(err, ErrLocked):
		return echo.ErrServiceUnavailable
	}
	return err
}
