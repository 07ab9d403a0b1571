package port_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// A fence lets nothing through after its time, and asks nobody before.
func TestFence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(6 * time.Second)
		ctx := port.WithFence(t.Context(), func() error {
			if time.Now().Before(end) {
				return nil
			}
			return errors.New("stopped for too long")
		})
		inner, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		if err := port.CheckFence(inner); err != nil {
			t.Errorf("error %v while the right lasts", err)
		}
		time.Sleep(time.Minute) // as a process that is stopped
		if err := port.CheckFence(inner); !errors.Is(err, port.ErrFenced) {
			t.Errorf("error %v, want ErrFenced", err)
		}
		if err := port.CheckFence(t.Context()); err != nil {
			t.Errorf("error %v without a fence", err)
		}
	})
}

// The right may end while a connection is made, and net/http may send again by itself
// what it could not send: nothing of that reaches Port.
func TestFenceWhileConnecting(t *testing.T) {
	t.Parallel()
	srv := porttest.New(porttest.Options{})
	t.Cleanup(srv.Close)
	srv.AddBlueprint(service)
	var stops, ended atomic.Bool
	c := client(t, srv, func(cfg *port.ClientConfig) {
		cfg.BaseURL = srv.URL
		cfg.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ended.Store(stops.Load())
			return new(net.Dialer).DialContext(ctx, network, address)
		}}
	})
	ctx := port.WithFence(t.Context(), func() error {
		if ended.Load() {
			return errors.New("stopped for too long")
		}
		return nil
	})
	write := func(n int) error {
		t.Helper()
		res, err := c.Upsert(ctx, merge, []port.Entity{entity("s", fmt.Sprintf(`"n":%d`, n))})
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Err(0); err != nil {
			return err
		}
		return nil
	}
	if err := write(1); err != nil {
		t.Fatal(err)
	}
	stops.Store(true)
	if err := write(2); !errors.Is(err, port.ErrFenced) {
		t.Errorf("error %v, want ErrFenced", err)
	}
	if e, _ := srv.Entity("service", "s"); e.Property("n") != "1" || count(srv, bulkRoute) != 1 {
		t.Errorf("n is %s after %d requests, want 1 after 1", e.Property("n"), count(srv, bulkRoute))
	}
}
