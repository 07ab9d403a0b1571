// Package demo shows the program at work without an account: it starts a simulated
// Azure DevOps organization and a simulated Port in the process, and changes the
// organization now and then, so that live events flow.
package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	seed        = 1
	changeEvery = 3 * time.Second
	pat         = "demo-token"
	secret      = "demo-secret"
	resyncEvery = "5m"
)

// Run runs the service, which serve starts with an environment, against the
// simulators until ctx is done; with once until one resync has ended. It tells on
// out where everything is and what came of each change.
func Run(ctx context.Context, once bool, out io.Writer, serve func(ctx context.Context, environ map[string]string) error) error {
	ado := azuredevopstest.New(azuredevopstest.Options{World: azuredevopstest.DemoWorld(seed), PAT: pat}) //nolint:contextcheck // it lives as long as the demo
	defer ado.Close()
	catalog := porttest.New(porttest.Options{ClientID: "demo"})
	defer catalog.Close()
	state, err := os.MkdirTemp("", "ado-port-demo-")
	if err != nil {
		state = "" // everything stays in memory
	}
	defer os.RemoveAll(state)
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	service := "http://127.0.0.1:" + strconv.Itoa(port)
	environ := map[string]string{
		"OCEAN__PORT__CLIENT_ID": "demo", "OCEAN__PORT__CLIENT_SECRET": secret, "OCEAN__PORT__BASE_URL": catalog.URL,
		"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL":      ado.OrganizationURL(),
		"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": pat,
		"OCEAN__STATUS_PAGE":                                "true",
		"OCEAN__BASE_URL":                                   service,
		"OCEAN__STATE_DIRECTORY":                            state,
		"OCEAN__EVENT_LISTENER__TYPE":                       "POLLING",
		"OCEAN__SCHEDULED_RESYNC_INTERVAL":                  resyncEvery,
		"OCEAN__STRICT_EXIT":                                "true",
		"APPLICATION__LOG_LEVEL":                            "ERROR",
		"APPLICATION__PORT":                                 strconv.Itoa(port),
	}
	fmt.Fprintf(out, "A simulated organization is at %s\nA simulated Port is at %s/v1\n", ado.OrganizationURL(), catalog.URL)
	if once {
		environ["OCEAN__EVENT_LISTENER__TYPE"] = "ONCE"
		return serve(ctx, environ)
	}
	fmt.Fprintf(out, "The service is at %s (health/live, metrics)\n\n", service)
	var changes sync.WaitGroup
	defer changes.Wait()
	changes.Go(func() {
		change(ctx, out, ado, catalog, func(ctx context.Context) error { return handled(ctx, new(http.Client), service) })
	})
	return serve(ctx, environ)
}

// change changes the organization now and then and says what came of it, once
// handled has waited for the service.
func change(ctx context.Context, out io.Writer, ado *azuredevopstest.Server, catalog *porttest.Server, handled func(context.Context) error) {
	tick := time.NewTicker(changeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		resyncs := completed(catalog)
		if resyncs < 0 {
			continue // what it writes would be taken for ours
		}
		before := catalog.Writes()
		what := ado.World().Step()
		if ado.Settled(ctx) != nil || handled(ctx) != nil {
			return
		}
		if written := catalog.Writes() - before; completed(catalog) == resyncs {
			fmt.Fprintf(out, "%s: %d entities written\n", what, written)
		} else {
			fmt.Fprintf(out, "%s, while a resync writes as well\n", what)
		}
	}
}

// completed counts the resyncs, -1 while one is running or before the first.
func completed(catalog *porttest.Server) int {
	states := catalog.Integration().States
	if len(states) == 0 || gjson.GetBytes(states[len(states)-1], "status").String() == "running" {
		return -1
	}
	return len(states)
}

// handled waits until the service has worked on every delivery that it has taken.
func handled(ctx context.Context, client *http.Client, service string) error {
	const look = 100 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, service+"/metrics", http.NoBody)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || strings.Contains(string(body), "\nado_port_hooks_depth 0\n") {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// freePort finds a port that nobody uses.
func freePort(ctx context.Context) (int, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("no port: %v", ln.Addr())
	}
	return addr.Port, nil
}
