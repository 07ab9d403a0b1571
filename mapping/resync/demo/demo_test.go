package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

func TestRunStartsTheServiceAgainstSimulators(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{true, false} {
		var out bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		failed := errors.New("the service failed")
		var state string
		err := Run(ctx, once, &out, func(ctx context.Context, environ map[string]string) error {
			state = environ["OCEAN__STATE_DIRECTORY"]
			if _, err := os.Stat(state); err != nil {
				t.Error(err)
			}
			if listener := environ["OCEAN__EVENT_LISTENER__TYPE"]; (listener == "ONCE") != once {
				t.Errorf("once %v: listener %s", once, listener)
			}
			for _, address := range []string{environ["OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL"] + "/_apis/projects", environ["OCEAN__PORT__BASE_URL"] + "/v1/organization"} {
				if status := get(ctx, t, address); status == 0 {
					t.Errorf("nobody answers at %s", address)
				}
			}
			cancel()
			return failed
		})
		if !errors.Is(err, failed) {
			t.Errorf("once %v: Run = %v", once, err)
		}
		if _, err := os.Stat(state); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind: %v", state, err)
		}
		if got := strings.Contains(out.String(), "The service is at"); got == once {
			t.Errorf("once %v: it says\n%s", once, &out)
		}
	}
}

func get(ctx context.Context, t *testing.T, address string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// Changes begin after the first resync, stand still during another one, and are
// told with what came of them.
func TestChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ado := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: azuredevopstest.DemoWorld(seed)})
		defer ado.Close()
		catalog := porttest.NewUnstarted(porttest.Options{})
		defer catalog.Close()
		client, err := port.New(port.ClientConfig{
			ClientID: "client-id", ClientSecret: "x", BaseURL: "http://port.example", IntegrationType: "azure-devops", Identifier: "demo", Version: "1", Transport: catalog.Transport(),
		})
		if err != nil {
			t.Fatal(err)
		}
		resync := func(status string) {
			t.Helper()
			if err := client.SetResyncState(t.Context(), port.ResyncState{Status: status}); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.Setup(t.Context(), port.SetupConfig{Origin: port.OriginEmpty}); err != nil {
			t.Fatal(err)
		}
		catalog.AddBlueprint(`{"identifier":"b","schema":{"properties":{}}}`)
		said := make(chan string, 10)
		work := make(chan func(), 1) // of the service, on the next change
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			change(ctx, lines(said), ado, catalog, func(context.Context) error { (<-work)(); return nil })
		}()
		step := func(what, want string) {
			t.Helper()
			time.Sleep(changeEvery)
			synctest.Wait()
			got := ""
			if len(said) > 0 {
				got = <-said
			}
			if !strings.HasSuffix(got, want) || (got == "") != (want == "") {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		step("before the first resync", "")
		resync(port.ResyncRunning)
		step("during it", "")
		resync("completed")
		work <- func() {}
		step("after it", ": 0 entities written\n")
		work <- func() {
			if _, err := client.Upsert(t.Context(), port.UpsertOptions{}, []port.Entity{{Blueprint: "b", Identifier: "x", Body: []byte(`{"identifier":"x"}`)}}); err != nil {
				t.Error(err)
			}
		}
		step("with an entity", ": 1 entities written\n")
		work <- func() { resync(port.ResyncRunning) }
		step("while another one begins", ", while a resync writes as well\n")
		cancel()
		<-ended
	})
}

// lines takes what is written, one line at a time.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestChangesEndWithTheService(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{0, http.StatusOK} {
			asked := 0
			client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if asked++; status == 0 {
					return nil, errors.New("connection refused")
				}
				depth := "ado_port_hooks_depth 2\n"
				if asked == 3 {
					depth = "ado_port_hooks_depth 0\n"
				}
				return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("# metrics\n" + depth)), Request: r}, nil
			})}
			err := handled(t.Context(), client, "http://service.example")
			if (err == nil) != (status == http.StatusOK) || status != 0 && asked != 3 {
				t.Errorf("status %d: %v after %d questions", status, err, asked)
			}
			asked = 10
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := handled(ctx, client, "http://service.example"); err == nil {
				t.Error("a service that never ends its work is waited for")
			}
			cancel()
			if err := handled(t.Context(), client, ":no address"); err == nil {
				t.Error("no error of an address that is none")
			}
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
