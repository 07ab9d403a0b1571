package webhook

import (
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
func (s *Server) withSpool(next func(echo.Context, *spool.Spool) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		sp := s.store()
		if sp == nil {
			return echo.ErrServiceUnavailable
		}
		err := next(c, sp)
		if errors.Is(err, spool.ErrNotFound) {
			return echo.ErrNotFound
		}
		return err
	}
}

// listDead answers a line of JSON for each dead letter, oldest first. Bodies
// stay where they are: they are what the organization wrote.
func listDead(c echo.Context, sp *spool.Spool) error {
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
	c.Response().Header().Set(echo.HeaderContentType, "application/x-ndjson")
	c.Response().WriteHeader(http.StatusOK)
	out := json.NewEncoder(c.Response())
	for d, err := range sp.Dead() {
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
func redriveDead(c echo.Context, sp *spool.Spool) error {
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

func dropDead(c echo.Context, sp *spool.Spool) error {
	id, err := strconv.ParseUint(c.Param("id"), 10, 64)
	if err != nil {
		return echo.ErrBadRequest
	}
	if err := sp.Drop(c.Request().Context(), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
