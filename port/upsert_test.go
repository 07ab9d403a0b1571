package port_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

func TestUpsertSplits(t *testing.T) {
	t.Parallel()
	srv, c := catalog(t, porttest.Options{})
	list := entities(45)
	big := strings.Repeat("x", 400<<10)
	for i := range 3 {
		list[i] = entity(list[i].Identifier, fmt.Sprintf(`"s":%q`, big))
	}
	res, err := c.Upsert(t.Context(), merge, list)
	if err != nil || failed(&res) != 0 {
		t.Fatalf("Upsert = %+v, %v, want 45 created", res, err)
	}
	if got := count(srv, bulkRoute); got != 4 { // 2 large ones; 1 large and 19; 20; 4
		t.Errorf("bulk requests = %d, want 4", got)
	}
	for _, r := range srv.Requests() {
		if r.Route != bulkRoute {
			continue
		}
		want := map[string]string{
			"upsert": "true", "merge": "true", "create_missing_related_entities": "true", "validation_only": "false",
			"ocean_info_event_type": "resync", "ocean_info_resync_id": "id-1",
		}
		for name, v := range want {
			if got := r.Query(name); got != v {
				t.Errorf("query %s = %q, want %q", name, got, v)
			}
		}
		if r.RequestSize > 1<<20 {
			t.Errorf("request of %d bytes", r.RequestSize)
		}
		if want := "port-ocean/azure-devops/mine/1.2.3/exporter"; r.Agent != want {
			t.Errorf("agent = %q, want %q", r.Agent, want)
		}
	}
}

// A request of exactly 1 MiB is sent, one byte more is split.
func TestUpsertExactSize(t *testing.T) {
	t.Parallel()
	for extra, want := range []int{1, 2} {
		srv, c := catalog(t, porttest.Options{})
		one := entity("a", `"n":1`)
		empty := entity("b", `"s":""`)
		fill := 1<<20 - len(`{"entities":[,]}`) - len(one.Body) - len(empty.Body) + extra
		two := entity("b", `"s":"`+strings.Repeat("x", fill)+`"`)
		res, err := c.Upsert(t.Context(), merge, []port.Entity{one, two})
		if err != nil || failed(&res) != 0 {
			t.Fatalf("Upsert = %+v, %v", res, err)
		}
		if got := count(srv, bulkRoute); got != want {
			t.Errorf("%d bytes above the limit: %d requests, want %d", extra, got, want)
		}
	}
}

func TestUpsertPartialFailure(t *testing.T) {
	t.Parallel()
	srv, c := catalog(t, porttest.Options{})
	srv.PutEntity("someone", `{"blueprint":"service","identifier":"found","properties":{"n":7}}`)
	search := func(value string) port.Entity {
		return port.Entity{Blueprint: "service", Search: true, Body: fmt.Appendf(nil,
			`{"identifier":{"combinator":"and","rules":[{"property":"n","operator":"=","value":%s}]},"properties":{"s":"x"}}`, value)}
	}
	list := entities(5)
	list[1] = entity("s1", `"unknown":1`)
	list[2] = search("7")
	list[3] = search("8")
	res, err := c.Upsert(t.Context(), merge, list)
	if err != nil || failed(&res) != 1 {
		t.Fatalf("Upsert = %+v, %v, want one failure", res, err)
	}
	if e := res.Err(1); e == nil || e.Status != 422 || e.Ref.Identifier != "s1" || e.Message == "" {
		t.Errorf("Err(1) = %v, want 422 for s1", e)
	}
	if res.Identifiers[2] != "found" || dropped(&res, 2) || !dropped(&res, 3) {
		t.Errorf("identifiers = %q, dropped(3) = %v", res.Identifiers, dropped(&res, 3))
	}
}

// A bulk that is refused as a whole is halved until the bad entity stands alone.
func TestUpsertHalves(t *testing.T) {
	t.Parallel()
	srv, c := catalog(t, porttest.Options{Strict: true})
	list := entities(20)
	list[13] = entity("not an identifier", `"n":1`)
	list[4] = entity("huge", `"s":"`+strings.Repeat("x", 1<<20)+`"`)
	res, err := c.Upsert(t.Context(), merge, list)
	if err != nil || failed(&res) != 2 {
		t.Fatalf("Upsert = %d failed, %v, want 2", failed(&res), err)
	}
	if got := res.Err(13).Status; got != 422 {
		t.Errorf("status of the bad identifier = %d", got)
	}
	if got := res.Err(4).Status; got != 413 {
		t.Errorf("status of the huge one = %d", got)
	}
	if got := len(srv.Entities("service")); got != 18 {
		t.Errorf("%d entities, want 18", got)
	}
}

func TestUpsertLostAnswers(t *testing.T) {
	t.Parallel()
	faults := map[string]func(string) porttest.Rule{
		"answer": porttest.LostAnswer, "connection": porttest.LostConnection, "truncated": porttest.Truncate,
		"malformed": porttest.Malformed, "reset": porttest.Reset, "html": porttest.HTML,
		"502": func(r string) porttest.Rule { return porttest.Status(r, 502) },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, c := catalog(t, porttest.Options{})
				srv.Fault(fault(bulkRoute).Times(2))
				res, err := c.Upsert(t.Context(), merge, entities(3))
				if err != nil || failed(&res) != 0 || len(srv.Entities("service")) != 3 {
					t.Errorf("Upsert = %+v, %v, want 3 written", res, err)
				}
			})
		})
	}
}

func TestUpsertGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{})
		srv.Fault(porttest.Status(bulkRoute, 500))
		start := time.Now()
		res, err := c.Upsert(t.Context(), merge, entities(3))
		if err != nil || failed(&res) != 3 {
			t.Fatalf("Upsert = %+v, %v, want 3 failures", res, err)
		}
		if e, ok := errors.AsType[*port.Error](res.Err(0)); !ok || e.StatusCode != 500 {
			t.Errorf("cause = %v, want 500", res.Err(0))
		}
		noSecret(t, res.Err(0).Error())
		if d := time.Since(start); d < 30*time.Second || d > time.Minute {
			t.Errorf("patience = %v, want about 40 s", d)
		}
		// The route has lost its credit after a few such failures.
		for range 4 {
			_, _ = c.Upsert(t.Context(), merge, entities(1))
		}
		start = time.Now()
		_, _ = c.Upsert(t.Context(), merge, entities(1))
		if d := time.Since(start); d > time.Second {
			t.Errorf("patience after five failures = %v, want one attempt", d)
		}
		srv.ClearFaults()
		if res, _ := c.Upsert(t.Context(), merge, entities(1)); failed(&res) != 0 {
			t.Errorf("after recovery: %v", res.Err(0))
		}
	})
}

func TestUpsertCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{})
		srv.Fault(porttest.Hang(bulkRoute).After(1))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		res, err := c.Upsert(ctx, merge, entities(60))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("err = %v, want the deadline", err)
		}
		if got := failed(&res); got != 40 {
			t.Errorf("failed = %d, want 40", got)
		}
		srv.Close()
	})
}

// An attempt that hangs is repeated, and not mistaken for the end of ctx.
func TestSlowAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{})
		srv.Fault(porttest.Hang(bulkRoute).Times(1))
		start := time.Now()
		res, err := c.Upsert(t.Context(), merge, entities(1))
		if err != nil || failed(&res) != 0 {
			t.Errorf("Upsert = %v, %v", res.Err(0), err)
		}
		if d := time.Since(start); d < time.Minute || d > 62*time.Second {
			t.Errorf("took %v, want the timeout of one attempt", d)
		}
		srv.Close()
	})
}
