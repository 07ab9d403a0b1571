//go:build !race

package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/ado-port/ado-port/mapping/jq"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/agent"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	secret = "0123456789abcdef0123456789abcdefEXTRA"
	hook   = "http://service.example/hook"
)

// world is what surrounds an agent: Port, a service to call, and a directory.
type world struct {
	t     *testing.T
	port  *porttest.Server
	state string
	env   map[string]string
	files map[string]string // of the working directory

	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	calls  []call
	answer func(n int, c call) (*http.Response, error) // n counts from 1
}

// A call is a request that the service got.
type call struct {
	method, url, body string
	header            http.Header
	ctx               context.Context
}

// wait lets time pass, as long as somebody waits for the answer.
func (c call) wait(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	srv := porttest.NewUnstarted(porttest.Options{ClientSecret: secret, KeepBodies: true})
	t.Cleanup(srv.Close)
	return &world{
		t: t, port: srv, state: t.TempDir(), files: map[string]string{},
		env: map[string]string{
			"PORT_CLIENT_ID": "client-id", "PORT_CLIENT_SECRET": secret, "PORT_API_BASE_URL": "http://port.example", "PORT_ORG_ID": "org",
			"STREAMER_NAME": "POLLING", "POLLING_INTERVAL_SECONDS": "1", "APPLICATION__PORT": "0",
		},
		answer: func(int, call) (*http.Response, error) { return respond(200, `{"ok":true}`), nil },
	}
}

func respond(status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// service is the called service, as a transport.
func (w *world) service(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	c := call{r.Method, r.URL.String(), string(body), r.Header, r.Context()}
	w.mu.Lock()
	w.calls = append(w.calls, c)
	n := len(w.calls)
	w.mu.Unlock()
	res, err := w.answer(n, c)
	if res != nil {
		res.Request = r
	}
	return res, err
}

func (w *world) called() []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]call(nil), w.calls...)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A process is an agent that runs.
type process struct {
	w       *world
	cancel  context.CancelFunc
	done    chan struct{}
	err     error
	log     lockedBuffer
	dead    atomic.Bool // nothing of it reaches anybody
	metrics *prometheus.Registry
	conns   []net.Conn // to brokers
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var errKilled = errors.New("the process is dead")

// alive is a transport of a process until that is dead.
func (p *process) alive(t http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if p.dead.Load() {
			return nil, errKilled
		}
		res, err := t.RoundTrip(r)
		if p.dead.Load() {
			return nil, errKilled
		}
		return res, err
	})
}

// connect dials for a process until that is dead.
func (p *process) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if p.dead.Load() {
		return nil, errKilled
	}
	c, err := p.w.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	p.w.mu.Lock()
	p.conns = append(p.conns, c)
	p.w.mu.Unlock()
	return c, nil
}

// start starts an agent. It ends with the test.
func (w *world) start() *process {
	w.t.Helper()
	dir := w.t.TempDir()
	for name, text := range w.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	cfg, err := agent.Load(dir, w.env)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	p := &process{w: w, cancel: cancel, done: make(chan struct{}), metrics: prometheus.NewRegistry()}
	environ := maps.Clone(w.env)
	opt := agent.Options{
		Config: cfg, ToPort: p.alive(w.port.Transport()), ToServices: p.alive(roundTripper(w.service)), State: w.state, Version: "test",
		Dial:   p.connect,
		Masker: port.NewMasker(), Registry: p.metrics, Evaluator: jq.NewEvaluator(jq.Options{Environ: jq.Environ(environ)}),
		Log: slog.New(slog.NewTextHandler(&p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	go func() {
		defer close(p.done)
		p.err = agent.Run(ctx, opt)
	}()
	return p
}

// stop ends the agent as SIGTERM does.
func (p *process) stop() {
	p.w.t.Helper()
	p.cancel()
	<-p.done
	if p.err != nil {
		p.w.t.Errorf("the agent ended with %v", p.err)
	}
	for _, hidden := range []string{secret, "user-data"} {
		if strings.Contains(p.log.String(), hidden) {
			p.w.t.Errorf("the log shows %q: %s", hidden, p.log.String())
		}
	}
}

// kill ends the agent as SIGKILL does: what it has written is all that the next one
// finds, in another directory.
func (p *process) kill() {
	next := p.w.t.TempDir()
	if err := os.CopyFS(next, os.DirFS(p.w.state)); err != nil {
		p.w.t.Error(err)
	}
	p.dead.Store(true)
	p.w.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.w.mu.Unlock()
	p.w.state = next
	p.cancel()
}

// inTime runs f with a clock that does not have to be waited for.
func inTime(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newWorld(t)) })
}

// later lets time pass.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// action is the definition of a claimed run.
func action(url, more string) string {
	return fmt.Sprintf(`{"type":"WEBHOOK","agent":true,"url":%q,"synchronized":true,"method":"POST","headers":{},"body":{"action":"deploy","input":"user-data"}%s}`, url, more)
}

func (w *world) run(id string) porttest.Run {
	for _, r := range w.port.Runs() {
		if r.ID == id {
			return r
		}
	}
	w.t.Fatalf("there is no run %s", id)
	return porttest.Run{}
}

func scramUser() sasl.Mechanism {
	return scram.Auth{User: "user", Pass: "kafka-password"}.AsSha512Mechanism()
}
