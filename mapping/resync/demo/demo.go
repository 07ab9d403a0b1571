// Package demo shows the program at work without an account: it starts a simulated
// Azure DevOps organization and a simulated Port in the process, and changes the
// organization now and then, so that live events flow.
package demo

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	seed        = 1
	changeEvery = 3 * time.Second
	pat         = "demo-token"
	secret      = "demo-secret"
	resyncEvery = "5m"
	host        = "127.0.0.1" // nobody else shall see it, or press buttons
)

// A Demo is what surrounds the service. Its methods may be called of nil: then the
// service is a real one.
type Demo struct {
	ado     *azuredevopstest.Server
	catalog *porttest.Server
	service string // address
	book    book

	mu sync.Mutex
	on map[string]bool // buttons by name
}

// Run runs the service, which serve starts with an environment, against the
// simulators until ctx is done; with once until one resync has ended. It tells on
// out where everything is, what came of each change, and at the end of all.
func Run(ctx context.Context, once bool, out io.Writer, serve func(context.Context, map[string]string, *Demo) error) error {
	tcp, err := freePort(ctx)
	if err != nil {
		return err
	}
	d := &Demo{service: "http://" + host + ":" + strconv.Itoa(tcp), on: map[string]bool{}, book: book{out: out, begun: time.Now()}}
	if !once {
		fmt.Fprintf(out, "The status page is at\n\n  %s\n\n", d.service)
	}
	d.ado = azuredevopstest.New(azuredevopstest.Options{World: azuredevopstest.DemoWorld(seed), PAT: pat}) //nolint:contextcheck // it lives as long as the demo
	defer d.ado.Close()
	d.catalog = porttest.New(porttest.Options{ClientID: "demo", Changed: d.book.written})
	defer d.catalog.Close()
	dir, err := os.MkdirTemp("", "ado-port-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	environ := d.environ(dir, tcp)
	if err := writeResources(environ["OCEAN__RESOURCES_PATH"]); err != nil {
		return err
	}
	if once {
		environ["OCEAN__EVENT_LISTENER__TYPE"] = "ONCE"
		return serve(ctx, environ, d)
	}
	d.introduce(out)
	var work sync.WaitGroup
	defer d.sumUp(out)
	defer work.Wait()
	defer d.ado.World().Subscribe(d.book.happened)()
	work.Go(func() { d.change(ctx) })
	work.Go(func() { d.settle(ctx) })
	return serve(ctx, environ, d)
}

// environ is the configuration of the service.
func (d *Demo) environ(dir string, tcp int) map[string]string {
	return map[string]string{
		"OCEAN__PORT__CLIENT_ID": "demo", "OCEAN__PORT__CLIENT_SECRET": secret, "OCEAN__PORT__BASE_URL": d.catalog.URL,
		"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL":      d.ado.OrganizationURL(),
		"OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": pat,
		"OCEAN__BASE_URL":                  d.service,
		"OCEAN__STATE_DIRECTORY":           filepath.Join(dir, "state"),
		"OCEAN__RESOURCES_PATH":            filepath.Join(dir, "resources"),
		"OCEAN__EVENT_LISTENER__TYPE":      "POLLING",
		"OCEAN__EVENT_LISTENER__INTERVAL":  "1s", // what the buttons do is seen at once
		"OCEAN__SCHEDULED_RESYNC_INTERVAL": resyncEvery,
		"OCEAN__STRICT_EXIT":               "true",
		"APPLICATION__LOG_LEVEL":           "CRITICAL", // what goes wrong is the point of the buttons, and on the page
		"APPLICATION__PORT":                strconv.Itoa(tcp),
	}
}

// introduce says where everything is.
func (d *Demo) introduce(out io.Writer) {
	fmt.Fprintf(out, "A simulated organization is at %s, a simulated Port at %s/v1. Try\n\n", d.ado.OrganizationURL(), d.catalog.URL)
	fmt.Fprintf(out, "  curl %s/status.json\n", d.service)
	fmt.Fprintf(out, "  curl -s %s/metrics | grep ado_port_hooks\n", d.service)
	fmt.Fprintf(out, "  curl -u :%s '%s/_apis/projects?api-version=7.1'\n\n", pat, d.ado.OrganizationURL())
	fmt.Fprintf(out, "A resync fills the empty catalog. Then something changes in Azure DevOps every %d s;\nthe line below each change says what came of it in Port. Ctrl-C ends the demo.\n\n", int(changeEvery/time.Second))
}

//go:embed resources
var more embed.FS

// writeResources writes the default resources of a new installation, with builds and
// pull requests, which it does not map by itself.
func writeResources(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	defaults := port.CorrectedDefaults()
	list, err := fs.ReadDir(defaults, ".")
	if err != nil {
		return err
	}
	added := map[string]string{"blueprints.yaml": "resources/blueprints.yaml", "port-app-config.yaml": "resources/mapping.yaml"}
	for _, f := range list {
		text, err := fs.ReadFile(defaults, f.Name())
		if err != nil {
			return err
		}
		if name := added[f.Name()]; name != "" {
			extra, err := more.ReadFile(name)
			if err != nil {
				return err
			}
			text = append(append(bytes.TrimRight(text, "\n"), '\n'), extra...)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// change changes the organization now and then.
func (d *Demo) change(ctx context.Context) {
	tick := time.NewTicker(changeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.book.step(d.ado.World().Step)
		case <-ctx.Done():
			return
		}
	}
}

// settle closes the changes that the service has worked on completely.
func (d *Demo) settle(ctx context.Context) {
	for {
		open := d.book.open()
		if d.ado.Settled(ctx) != nil || handled(ctx, new(http.Client), d.service) != nil {
			return
		}
		d.book.settled(open)
		if !wait(ctx, look) {
			return
		}
	}
}

// Host is the address that the service listens on.
func (d *Demo) Host() string {
	if d == nil {
		return ""
	}
	return host
}

// look is the time between two looks at the service.
const look = 100 * time.Millisecond

// wait waits; false when ctx is done.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// handled waits until the service has worked on every delivery that it has taken.
func handled(ctx context.Context, client *http.Client, service string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, service+"/metrics", http.NoBody)
		if err != nil {
			return err
		}
		if res, err := client.Do(req); err == nil { // it may not listen yet
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err == nil && bytes.Contains(body, []byte("\nado_port_hooks_depth 0\n")) {
				return nil
			}
		}
		if !wait(ctx, look) {
			return ctx.Err()
		}
	}
}

// freePort finds a port that nobody uses.
func freePort(ctx context.Context) (int, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", host+":0")
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
