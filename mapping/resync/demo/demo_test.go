package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRunStartsTheServiceAgainstSimulators(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{true, false} {
		var out bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		failed := errors.New("the service failed")
		var state string
		err := Run(ctx, once, &out, func(ctx context.Context, environ map[string]string, d *Demo) error {
			if d.Host() != "127.0.0.1" {
				t.Errorf("it listens on %q", d.Host())
			}
			state = environ["OCEAN__STATE_DIRECTORY"]
			if mapping, err := os.ReadFile(filepath.Join(environ["OCEAN__RESOURCES_PATH"], "port-app-config.yaml")); err != nil || !strings.Contains(string(mapping), "kind: build") {
				t.Errorf("builds are not mapped: %v\n%s", err, mapping)
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
		if got := strings.HasPrefix(out.String(), "The status page is at\n\n  http://127.0.0.1:"); got == once {
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

func TestHandled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked++
			if asked == 1 {
				return nil, errors.New("connection refused") // it does not listen yet
			}
			depth := "ado_port_hooks_depth 2\n"
			if asked == 4 {
				depth = "ado_port_hooks_depth 0\n"
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("# metrics\n" + depth)), Request: r}, nil
		})}
		if err := handled(t.Context(), client, "http://service.example"); err != nil || asked != 4 {
			t.Errorf("%v after %d questions", err, asked)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := handled(ctx, client, "http://service.example"); err == nil {
			t.Error("a service that never ends its work is waited for")
		}
		if err := handled(t.Context(), client, ":no address"); err == nil {
			t.Error("no error of an address that is none")
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
