package status_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ado-port/ado-port/webhook/status"
)

func get(h http.Handler) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Body.String()
}

func scrape(reg *prometheus.Registry) string {
	return get(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
}

func TestDocument(t *testing.T) {
	t.Parallel()
	n := 0
	d := status.New(prometheus.NewRegistry(), "", status.Sections{
		"queue": func() any { n++; return map[string]int{"depth": n} },
		"hooks": func() any { return []string(nil) },
	})
	for want := 1; want <= 2; want++ {
		var got struct {
			Started time.Time
			Queue   struct{ Depth int }
			Hooks   *string
		}
		text := get(d)
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if got.Started.IsZero() || got.Queue.Depth != want || strings.Contains(text, "hooks") {
			t.Errorf("look %d shows %s", want, text)
		}
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	reg := status.NewRegistry("1.2.3", "abc", "go1.26")
	if got := scrape(reg); !strings.Contains(got, `ado_port_build_info{commit="abc",go="go`) || !strings.Contains(got, "\ngo_goroutines ") || !strings.Contains(got, `version="1.2.3"} 1`) {
		t.Errorf("the scrape shows %.500s", got)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// A directory that goes away is noticed, and so is its return; in between nobody
// writes to it.
func TestWatchState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		reg := prometheus.NewRegistry()
		look := status.WatchState(reg, dir)
		want := func(usable bool) {
			t.Helper()
			s := look()
			if s.Kind != "disk" || s.Usable != usable || (s.Error == "") != usable {
				t.Errorf("state %+v, want usable %v", s, usable)
			}
			if line := "ado_port_state_usable " + map[bool]string{true: "1", false: "0"}[usable] + "\n"; !strings.Contains(scrape(reg), line) {
				t.Errorf("the scrape lacks %s", line)
			}
		}
		want(false)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		want(false)
		time.Sleep(time.Minute)
		want(true)
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		want(false)
	})
}

func TestStateInMemory(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	if s := status.WatchState(reg, "")(); s.Kind != "memory" || !s.Usable {
		t.Errorf("state %+v", s)
	}
	if !strings.Contains(scrape(reg), "ado_port_state_on_disk 0\n") {
		t.Error("the metric says otherwise")
	}
}
