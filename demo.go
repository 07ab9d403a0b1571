package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

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
	p.environ = map[string]string{
		"OCEAN__PORT__CLIENT_ID": "demo", "OCEAN__PORT__CLIENT_SECRET": demoSecret, "OCEAN__PORT__BASE_URL": catalog.URL,
		"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL":      ado.OrganizationURL(),
		"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": demoPAT,
		"OCEAN__INTEGRATION__CONFIG__WEBHOOK_SECRET":        demoSecret,
		"OCEAN__STATE_DIRECTORY":                            state,
		"OCEAN__EVENT_LISTENER__TYPE":                       string(ocean.ListenPolling),
		"OCEAN__SCHEDULED_RESYNC_INTERVAL":                  demoInterval,
		"OCEAN__DEFAULT_RESOURCES":                          "corrected",
		"OCEAN__STRICT_EXIT":                                "true",
		"APPLICATION__LOG_LEVEL":                            "ERROR",
		"APPLICATION__PORT":                                 strconv.Itoa(port),
	}
	fmt.Fprintf(p.out, "A simulated organization is at %s\nA simulated Port is at %s/v1\n", ado.OrganizationURL(), catalog.URL)
	if once {
		p.environ["OCEAN__EVENT_LISTENER__TYPE"] = string(ocean.ListenOnce)
		return serve(ctx, p, nil)
	}
	fmt.Fprintf(p.out, "The service is at http://127.0.0.1:%d (health/live, metrics)\n\n", port)
	var live sync.WaitGroup
	defer live.Wait()
	hook := fmt.Sprintf("http://127.0.0.1:%d%s", port, hookRoute)
	live.Go(func() { demoLife(ctx, p, world, catalog, hook) })
	p.showTable = true
	return serve(ctx, p, nil)
}

// demoLife changes the organization now and then and delivers the service hooks,
// which the simulated organization does not do by itself.
func demoLife(ctx context.Context, p process, world *azuredevopstest.World, catalog *porttest.Server, hook string) {
	var mu sync.Mutex
	var waiting []azuredevopstest.Event
	cancel := world.Subscribe(func(e azuredevopstest.Event) {
		mu.Lock()
		waiting = append(waiting, e)
		mu.Unlock()
	})
	defer cancel()
	tick := time.NewTicker(demoChange)
	defer tick.Stop()
	var what string
	for n := 1; ; n++ {
		before := catalog.Writes()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if what != "" {
			fmt.Fprintf(p.out, "%s: %d entities written\n", what, catalog.Writes()-before)
		}
		what = world.Step()
		mu.Lock()
		events := waiting
		waiting = nil
		mu.Unlock()
		for _, e := range events {
			deliver(ctx, hook, e.Payload("demo", n))
		}
	}
}

// deliver posts one service hook. What is lost is mended by the next resync.
func deliver(ctx context.Context, hook string, payload []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook, bytes.NewReader(payload))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("port", demoSecret)
	res, err := new(http.Client).Do(req)
	if err == nil {
		_ = res.Body.Close()
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
