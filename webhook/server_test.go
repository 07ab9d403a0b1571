package webhook_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/spool"
)

func basic(userinfo string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userinfo))
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	const secret = "s3:cret"
	with := serve(t, webhook.Config{Secret: secret})
	without := serve(t, webhook.Config{})
	lenient := serve(t, webhook.Config{Secret: secret, Lenient: true})
	repairing := serve(t, webhook.Config{Secret: secret, Repairing: func() bool { return true }})
	for _, tt := range []struct {
		name, header                      string
		with, without, lenient, repairing int
	}{
		{"no header", "", 401, 200, 200, 503},
		{"right password", basic("port:" + secret), 200, 200, 200, 200},
		{"no user", basic(":" + secret), 200, 200, 200, 200},
		{"any user", basic("somebody else:" + secret), 200, 200, 200, 200},
		{"lower-case scheme", "basic" + basic(":" + secret)[5:], 200, 200, 200, 200},
		{"wrong password", basic(":wrong-secret"), 401, 200, 401, 401},
		{"part of the password", basic(":s3"), 401, 200, 401, 401},
		{"empty password", basic("port:"), 401, 200, 401, 401},
		{"no colon", basic("s3"), 401, 401, 401, 401},
		{"not UTF-8", basic("\xff:\xfe"), 401, 401, 401, 401},
		{"not base64", "Basic malformed_token", 401, 401, 401, 401},
		{"no value", "Basic", 401, 401, 401, 401},
		{"bearer", "Bearer token", 401, 401, 401, 401},
		{"digest", `Digest username="x"`, 401, 401, 401, 401},
	} {
		for _, s := range []struct {
			name   string
			server *webhook.Server
			want   int
		}{{"with", with, tt.with}, {"without", without, tt.without}, {"lenient", lenient, tt.lenient}, {"repairing", repairing, tt.repairing}} {
			var header []string
			if tt.header != "" {
				header = []string{"Authorization", tt.header}
			}
			res := do(s.server, http.MethodPost, hookPath, event(1, 1), header...)
			if res.Code != s.want {
				t.Errorf("%s, %s: %d, want %d", tt.name, s.name, res.Code, s.want)
			}
			if (res.Code == 401) != (res.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("%s, %s: WWW-Authenticate = %q", tt.name, s.name, res.Header().Get("WWW-Authenticate"))
			}
		}
	}
	twice := []string{"Authorization", basic(":" + secret), "Authorization", basic(":other")}
	if got := send(with, event(2, 2), twice...); got != 401 {
		t.Errorf("two headers: %d, want 401", got)
	}
}

// Nothing is looked at before the sender is known, and nothing of it is kept.
func TestAuthenticationComesFirst(t *testing.T) {
	t.Parallel()
	parsed := false
	s := serve(t, webhook.Config{Secret: "x", Parse: func([]byte) (webhook.Envelope, error) {
		parsed = true
		return webhook.Envelope{}, nil
	}})
	for _, r := range []struct{ method, path, body string }{
		{http.MethodPost, hookPath, strings.Repeat("x", 10<<20)},
		{http.MethodGet, hookPath, ""},
		{http.MethodPost, "/integration/other", ""},
	} {
		if got := do(s, r.method, r.path, r.body).Code; got != 401 {
			t.Errorf("%s %s: %d, want 401", r.method, r.path, got)
		}
	}
	if parsed || s.Stats().Depth != 0 {
		t.Error("a body was looked at")
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/some/prefix/"} {
		s := serve(t, webhook.Config{Prefix: prefix})
		p := strings.TrimSuffix(prefix, "/")
		for _, tt := range []struct {
			method, path string
			want         int
			body         string
		}{
			{"POST", p + "/integration/webhook", 200, `{"status":"ok"}`},
			{"POST", p + "/integration/webhook/", 200, `{"status":"ok"}`},
			{"POST", p + "/integration/webhook/acme/other", 200, `{"status":"ok"}`},
			{"POST", p + "//integration/webhook", 200, `{"status":"ok"}`},
			{"POST", p + "/integration/webhooks", 400, ""},
			{"POST", p + "/integration/other", 400, ""},
			{"POST", p + "/integration", 400, ""},
			{"POST", p + "/integration/", 400, ""},
			{"GET", p + "/integration/webhook", 400, ""},
			{"HEAD", p + "/integration/webhook", 400, ""},
			{"OPTIONS", p + "/integration/webhook", 400, ""},
			{"BREW", p + "/integration/webhook", 400, ""},
			{"GET", p + "/health/live", 200, `{"status":"healthy","check":"live"}`},
			{"GET", p + "/health/ready", 200, `{"status":"healthy","check":"ready"}`},
			{"GET", p + "/metrics", 200, "ado_port_hooks_depth"},
			{"GET", p + "/metrics/", 200, "ado_port_hooks_depth"},
			{"GET", "/docs", 200, "<html"},
			{"GET", "/isHealthy", 200, "healthy"},
			{"POST", "/resync", 404, ""},
			{"POST", "/docs", 405, `{"detail":"Method Not Allowed"}`},
			{"GET", "/nothing", 404, `{"detail":"Not Found"}`},
			{"POST", "/integrationx", 404, ""},
		} {
			res := do(s, tt.method, tt.path, event(len(tt.path), 1))
			if res.Code != tt.want || !strings.Contains(res.Body.String(), tt.body) {
				t.Errorf("%s %s = %d %.80q, want %d %q", tt.method, tt.path, res.Code, res.Body.String(), tt.want, tt.body)
			}
			h := res.Header()
			if len(h.Get("X-Request-ID")) != 36 || h.Get("X-Process-Time") == "" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: headers %v", tt.method, tt.path, res.Header())
			}
		}
	}
}

// POST /resync wants the password, and is not there where there is none.
func TestResync(t *testing.T) {
	t.Parallel()
	n := 0
	s := serve(t, webhook.Config{Secret: "x", Lenient: true, Resync: func() { n++ }})
	for _, tt := range []struct {
		header, method string
		want           int
	}{{"", "POST", 401}, {basic(":y"), "POST", 401}, {basic(":x"), "POST", 202}, {basic(":x"), "POST", 202}, {basic(":x"), "GET", 405}} {
		var h []string
		if tt.header != "" {
			h = []string{"Authorization", tt.header}
		}
		if got := do(s, tt.method, "/resync", "", h...).Code; got != tt.want {
			t.Errorf("%s %q: %d, want %d", tt.method, tt.header, got, tt.want)
		}
	}
	if n != 2 {
		t.Errorf("%d resyncs, want 2", n)
	}
	if got := do(serve(t, webhook.Config{Secret: "x"}), "POST", "/resync", "").Code; got != 404 {
		t.Errorf("without a function: %d, want 404", got)
	}
	log, lines := capture()
	if got := do(serve(t, webhook.Config{Log: log, Resync: func() { n++ }}), "POST", "/resync", "").Code; got != 404 || n != 2 {
		t.Errorf("without a password: %d, want 404", got)
	}
	if !strings.Contains(lines(), "POST /resync") {
		t.Errorf("nothing says why: %s", lines())
	}
}

// Metrics with a listener of their own leave the main one.
func TestMetricsListener(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, webhook.Config{Prefix: "p", MetricsListener: l})
	if got := do(s, "GET", "/p/metrics", "").Code; got != 404 {
		t.Errorf("on the main listener: %d, want 404", got)
	}
	for path, want := range map[string]int{"/p/metrics": 200, "/p/health/live": 404, "/p/integration/webhook": 404} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != want || (want == 200) != strings.Contains(string(body), "ado_port_hooks_depth") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %.80s", path, res.StatusCode, body)
		}
	}
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	s := serve(t, webhook.Config{})
	for name, body := range map[string]string{
		"empty": "", "text": "hello", "cut": event(1, 1)[:20], "list": "[]", "null": "null", "number": "5", "deep": strings.Repeat("[", 1<<20),
		"no type": `{"publisherId":"tfs","resource":{}}`, "no resource": `{"eventType":"x","publisherId":"tfs"}`,
		"no publisher": `{"eventType":"x","resource":{}}`, "binary": "\x00\xff\xfe", "10 MiB": strings.Repeat("x", 10<<20),
		"a byte too many": `{"eventType":"x","publisherId":"tfs","resource":{"id":1,"t":"` + strings.Repeat("x", 8<<20) + `"}}`,
		"long type":       `{"eventType":"` + strings.Repeat("x", 5000) + `","publisherId":"tfs","resource":{"id":1}}`,
	} {
		if got := send(s, body); got != 400 {
			t.Errorf("%s: %d, want 400", name, got)
		}
	}
	if st := s.Stats(); st.Depth != 0 || st.Rejected["size"] != 2 || st.Rejected["payload"] != 12 {
		t.Errorf("Stats = %+v", st)
	}
	big := `{"eventType":"x","publisherId":"tfs","resource":{"id":1,"t":"` + strings.Repeat("x", 8<<20-100) + `"}}`
	if got := send(s, big); got != 200 {
		t.Errorf("just below the limit: %d", got)
	}
}

// Large and refused bodies over a real connection: the sender reads the answer.
func TestLargeBodyOverNetwork(t *testing.T) {
	t.Parallel()
	s := serve(t, webhook.Config{Secret: "x"})
	for header, want := range map[string]int{basic(":x"): 400, basic(":y"): 401} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+s.Addr().String()+hookPath, io.LimitReader(zeros{}, 10<<20))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header) // chunked: the length is not announced
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			if want == 401 {
				continue // the connection may be reset once the answer is out
			}
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%d, want %d", res.StatusCode, want)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestFullSpool(t *testing.T) {
	t.Parallel()
	s := serve(t, webhook.Config{Directory: t.TempDir(), Settings: webhook.Settings{SpoolMaxDeliveries: 1}})
	if got := send(s, event(1, 1)); got != 200 {
		t.Errorf("first = %d", got)
	}
	res := do(s, "POST", hookPath, event(2, 2))
	if res.Code != 503 || res.Header().Get("Retry-After") == "" {
		t.Errorf("second = %d, %v", res.Code, res.Header())
	}
	if got := send(s, event(1, 1)); got != 200 {
		t.Errorf("copy of the first = %d", got)
	}
	s.Start()
	wait(t, "room", func() bool { return s.Stats().Depth == 0 })
	if got := send(s, event(2, 2)); got != 200 {
		t.Errorf("second again = %d", got)
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, lines := capture()
		s := serve(t, webhook.Config{Listener: newPipes(), Log: log, Parse: func(b []byte) (webhook.Envelope, error) {
			if strings.Contains(string(b), "parse") {
				panic("the payload is " + string(b))
			}
			return webhook.Envelope{Key: "k", EventType: "t"}, nil
		}, Handler: handlerFunc(func(_ context.Context, _ string, list []webhook.Delivery) error {
			if list[0].Attempt == 1 {
				panic("the payload is " + string(list[0].Body))
			}
			return nil
		})})
		if got := send(s, "parse hunter2"); got != 503 {
			t.Errorf("POST = %d, want 503", got)
		}
		if got := send(s, "hunter2"); got != 200 {
			t.Errorf("POST = %d, want 200", got)
		}
		s.Start()
		wait(t, "the second try", func() bool { return s.Stats().Handled == 1 })
		if strings.Contains(lines(), "hunter2") {
			t.Errorf("the log quotes a payload: %s", lines())
		}
	})
}

func TestNobodyHandles(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := webhook.New(webhook.Config{Listener: l, Parse: parse})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := send(s, event(1, 1)); got != 503 {
		t.Errorf("POST = %d, want 503", got)
	}
}

// A second process on one directory answers 503 and takes over when the first
// one ends.
func TestPredecessor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		first, err := spool.Open(t.Context(), spool.Config{Directory: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.Accept(t.Context(), webhook.Delivery{Key: "left behind"}, nil); err != nil {
			t.Fatal(err)
		}
		keys := make(chan string, 1)
		s, err := webhook.New(webhook.Config{Listener: newPipes(), Parse: parse, Directory: dir, Handler: handlerFunc(func(_ context.Context, key string, _ []webhook.Delivery) error {
			keys <- key
			return nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		s.Start()
		time.Sleep(10 * time.Second) // the fake clock
		if hook, ready := send(s, event(1, 1)), do(s, "GET", "/health/ready", "").Code; hook != 503 || ready != 200 || !s.Stats().Waiting {
			t.Errorf("hook %d, ready %d; want 503, and 200 or the first one never ends", hook, ready)
		}
		if got := s.Queue().Error; !strings.Contains(got, "belongs to another process") {
			t.Errorf("the queue says %q", got)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if got := <-keys; got != "left behind" {
			t.Errorf("handled %q", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestPredecessorStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		first, err := spool.Open(t.Context(), spool.Config{Directory: dir})
		if err != nil {
			t.Fatal(err)
		}
		s, err := webhook.New(webhook.Config{Listener: newPipes(), Parse: parse, Directory: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context()); !errors.Is(err, spool.ErrLocked) || !strings.Contains(err.Error(), dir) {
			t.Errorf("Run = %v, want ErrLocked with the directory", err)
		}
		if err := first.Close(); err != nil {
			t.Error(err)
		}
	})
}

// While a named directory cannot be used, deliveries are refused and nothing is
// kept elsewhere; the service goes on when it can.
func TestDirectoryThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "afile")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		log, lines := capture()
		var lost atomic.Int32
		s, err := webhook.New(webhook.Config{
			Listener: newPipes(), Parse: parse, Directory: filepath.Join(file, "hooks"), Used: true, Lost: func() { lost.Add(1) }, Log: log,
			Handler: handlerFunc(func(context.Context, string, []webhook.Delivery) error { return nil }),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(time.Minute) // the fake clock
		synctest.Wait()
		if hook, ready, live := send(s, event(1, 1)), do(s, "GET", "/health/ready", "").Code, do(s, "GET", "/health/live", "").Code; hook != 503 || ready != 503 || live != 200 {
			t.Errorf("hook %d, ready %d, live %d", hook, ready, live)
		}
		if n := strings.Count(lines(), "level=ERROR"); n != 1 || !strings.Contains(lines(), "OCEAN__STATE_DIRECTORY") {
			t.Errorf("%d errors in the log, want 1: %s", n, lines())
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if hook, ready := send(s, event(1, 1)), do(s, "GET", "/health/ready", "").Code; hook != 200 || ready != 200 {
			t.Errorf("afterwards: hook %d, ready %d", hook, ready)
		}
		if lost.Load() != 1 {
			t.Errorf("%d losses were told, want 1: there was a spool before", lost.Load())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]webhook.Config{
		"no parse":    {Listener: newPipes()},
		"no listener": {Parse: parse},
		"negative":    {Parse: parse, Listener: newPipes(), Settings: webhook.Settings{Workers: -1}},
	} {
		if _, err := webhook.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// No line of the log and no metric shows a secret, a header or a payload.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	log, lines := capture()
	cfg := webhook.Config{Secret: "hunter2", Log: log, Directory: t.TempDir(), Handler: handlerFunc(
		func(context.Context, string, []webhook.Delivery) error {
			return fmt.Errorf("no: %w", webhook.ErrPermanent)
		},
	)}
	s := serve(t, cfg)
	s.Start()
	good := basic("user-7:hunter2")
	payload := `{"id":"1","eventType":"payload-9","publisherId":"payload-9","resource":{"id":1,"text":"payload-9"}}`
	send(s, strings.ReplaceAll(payload, `"payload-9",`, `"t",`), "Authorization", good)
	send(s, payload[:30], "Authorization", good)
	send(s, payload, "Authorization", basic("user-7:hunter3"))
	do(s, "PUT", "/integration/payload-9?payload-9", payload, "Authorization", good, "X-Header", "payload-9")
	wait(t, "the dead letter", func() bool { return s.Stats().DeadLetters == 1 })
	all := lines() + do(s, "GET", "/metrics", "").Body.String()
	for _, word := range []string{"hunter", "payload-9", "user-7", good[6:]} {
		if strings.Contains(all, word) {
			t.Errorf("%q is shown: %s", word, all)
		}
	}
}

// The status names projects: it asks for the password, and where there is none it is
// shown on the loopback interface only, unless a setting says otherwise.
func TestStatus(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, tt := range []struct {
		name, address, secret string
		show                  *bool
		want, withPassword    int
	}{
		{"loopback", "127.0.0.1:0", "", nil, 200, 200},
		{"loopback, off", "127.0.0.1:0", "", &no, 404, 404},
		{"all interfaces", ":0", "", nil, 404, 404},
		{"all interfaces, on", ":0", "", &yes, 200, 200},
		{"password", ":0", "secret", nil, 401, 200},
		{"password, on", ":0", "secret", &yes, 401, 200},
		{"password, off", ":0", "secret", &no, 404, 404},
		{"password on loopback", "127.0.0.1:0", "secret", nil, 401, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", tt.address)
			if err != nil {
				t.Fatal(err)
			}
			s := serve(t, webhook.Config{
				Listener: l, Secret: tt.secret, ShowStatus: tt.show, Prefix: "p",
				Status: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "projects") }),
			})
			if got := do(s, "GET", "/p/status.json", ""); got.Code != tt.want || strings.Contains(got.Body.String(), "projects") != (tt.want == 200) {
				t.Errorf("answered %d, want %d", got.Code, tt.want)
			}
			if got := do(s, "GET", "/p/status.json", "", "Authorization", basic("anybody:secret")).Code; got != tt.withPassword {
				t.Errorf("with the password answered %d, want %d", got, tt.withPassword)
			}
			for _, route := range []struct{ method, path string }{{"GET", "/p/"}, {"POST", "/p/page/redrive"}} {
				if got := do(s, route.method, route.path, "").Code; got != tt.want {
					t.Errorf("%s %s is answered %d, want %d", route.method, route.path, got, tt.want)
				}
			}
			for _, open := range []string{"/p/metrics", "/p/health/live", "/p/health/ready"} {
				if got := do(s, "GET", open, "").Code; got != 200 {
					t.Errorf("%s asks for something: %d", open, got)
				}
			}
		})
	}
}

// Without a password only those who mean this machine see the status: a name of somebody
// else's that leads here makes a browser's page his.
func TestStatusUnderAnotherName(t *testing.T) {
	t.Parallel()
	s := serve(t, webhook.Config{Status: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "projects") })})
	for host, want := range map[string]int{"localhost:8000": 200, "127.0.0.1": 200, "[::1]:8000": 200, "evil.example": 421, "127.0.0.1.evil.example:80": 421, "": 421} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Host = host
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != want {
			t.Errorf("under the name %q it is answered %d, want %d", host, w.Code, want)
		}
	}
}

func TestMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m webhook.Minutes
		for range 90 {
			m.Add(time.Now(), time.Second)
			m.Add(time.Now(), 3*time.Second)
			time.Sleep(time.Minute)
		}
		all := m.Last()
		if len(all) != 59 || all[0].Events != 2 || all[0].MeanSeconds != 2 || all[0].SlowestSeconds != 3 || !all[58].Start.Equal(time.Now().Truncate(time.Minute).Add(-time.Minute)) {
			t.Errorf("%d minutes, the first %+v", len(all), all[0])
		}
	})
}
