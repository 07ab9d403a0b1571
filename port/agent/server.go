package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// health says when invocations could be received for the last time.
type health struct{ last atomic.Int64 }

func (h *health) well() { h.last.Store(time.Now().UnixNano()) }

// healthy is how long nothing may be received before the agent is not ready.
const healthy = 10 * time.Minute

func (h *health) ready() bool {
	last := h.last.Load()
	return last > 0 && time.Since(time.Unix(0, last)) < healthy
}

// A Status is what /status.json shows.
type Status struct {
	Streamer string `json:"streamer"`
	// Durable says that runs under way survive the process.
	Durable    bool `json:"durable"`
	InFlight   int  `json:"inFlight"`
	Unreported int  `json:"unreported"`
	Dead       int  `json:"dead"`
	// Runs are those that have not ended.
	Runs []RunStatus `json:"runs"`
}

// A RunStatus is one run that has not ended.
type RunStatus struct {
	Run   string    `json:"run,omitempty"`
	Queue string    `json:"queue"`
	State string    `json:"state"`
	Since time.Time `json:"since"`
}

// maxShown bounds the runs of a Status.
const maxShown = 200

func (a *Agent) status() Status {
	s := Status{Streamer: a.Config.Streamer, Durable: a.ledger.durable(), Runs: []RunStatus{}}
	if a.pool != nil {
		s.InFlight = a.pool.size()
	}
	for _, n := range a.ledger.unfinished() {
		if n.State == answered {
			s.Unreported++
		}
		if n.State == dead {
			s.Dead++
		}
		if len(s.Runs) < maxShown {
			s.Runs = append(s.Runs, RunStatus{Run: n.Run, Queue: string(n.Queue), State: string(n.State), Since: n.Since})
		}
	}
	return s
}

// serve answers probes until ctx is done. A port that is taken is no error: the
// charts of port-agent have no probes.
func (a *Agent) serve(ctx context.Context) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(a.Config.ListenPort))
	if err != nil {
		a.Log.WarnContext(ctx, "health and metrics are not served: the port is taken", "variable", "APPLICATION__PORT", "err", err)
		return
	}
	const headerWait = 10 * time.Second
	s := &http.Server{Handler: a.routes(), ReadHeaderTimeout: headerWait}
	stopped := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stopped()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		a.Log.WarnContext(ctx, "health and metrics are not served any more", "err", err)
	}
}

func (a *Agent) routes() http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, code int, v any) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v) // the client is gone
	}
	mux.HandleFunc("GET /health/live", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "healthy", "check": "live"})
	})
	mux.HandleFunc("GET /health/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !a.health.ready() {
			answer(w, http.StatusServiceUnavailable, map[string]string{"status": "unhealthy", "check": "ready"})
			return
		}
		answer(w, http.StatusOK, map[string]string{"status": "healthy", "check": "ready"})
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /status.json", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]Status{"agent": a.status()})
	})
	mux.HandleFunc("POST /redrive", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, map[string]int{"revived": a.revive(r.Context())})
	})
	return mux
}
