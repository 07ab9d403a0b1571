package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	demoSeed     = 1
	demoInterval = "5m"
	demoChange   = 3 * time.Second
	demoPAT      = "demo-token"
	demoSecret   = "demo-secret"
)

// demo runs the service against simulators inside the process.
func demo(ctx context.Context, p process, args []string) error {
	once := slices.Contains(args, "-once") || slices.Contains(args, "--once")
	if len(args) > 1 || len(args) == 1 && !once {
		return fmt.Errorf("demo takes -once and nothing else: %w", errUsage)
	}
	world := azuredevopstest.DemoWorld(demoSeed)
	ado := azuredevopstest.New(azuredevopstest.Options{World: world, PAT: demoPAT}) //nolint:contextcheck // it lives as long as the demo
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
	p.environ = map[string]string{
		"OCEAN__PORT__CLIENT_ID": "demo", "OCEAN__PORT__CLIENT_SECRET": demoSecret, "OCEAN__PORT__BASE_URL": catalog.URL,
		"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL":      ado.OrganizationURL(),
		"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": demoPAT,
		"OCEAN__INTEGRATION__CONFIG__WEBHOOK_SECRET":        demoSecret,
		"OCEAN__BASE_URL":                  service,
		"OCEAN__STATE_DIRECTORY":           state,
		"OCEAN__EVENT_LISTENER__TYPE":      string(ocean.ListenPolling),
		"OCEAN__SCHEDULED_RESYNC_INTERVAL": demoInterval,
		"OCEAN__DEFAULT_RESOURCES":         "corrected",
		"OCEAN__STRICT_EXIT":               "true",
		"APPLICATION__LOG_LEVEL":           "ERROR",
		"APPLICATION__PORT":                strconv.Itoa(port),
	}
	fmt.Fprintf(p.out, "A simulated organization is at %s\nA simulated Port is at %s/v1\n", ado.OrganizationURL(), catalog.URL)
	if once {
		p.environ["OCEAN__EVENT_LISTENER__TYPE"] = string(ocean.ListenOnce)
		return serve(ctx, p, nil)
	}
	fmt.Fprintf(p.out, "The service is at %s (health/live, metrics)\n\n", service)
	var life sync.WaitGroup
	defer life.Wait()
	life.Go(func() { demoLife(ctx, p.out, ado, catalog, service) })
	p.showTable = true
	return serve(ctx, p, nil)
}

// demoLife changes the organization now and then and says what came of it.
func demoLife(ctx context.Context, out io.Writer, ado *azuredevopstest.Server, catalog *porttest.Server, service string) {
	tick := time.NewTicker(demoChange)
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
		if ado.Settled(ctx) != nil || handled(ctx, service) != nil {
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
func handled(ctx context.Context, service string) error {
	const look = 100 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, service+"/metrics", http.NoBody)
		if err != nil {
			return err
		}
		res, err := new(http.Client).Do(req)
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
