package status

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/azuredevops/statefile"
)

// A State is where the process keeps what survives it.
type State struct {
	Kind      string `json:"kind"` // disk or memory
	Directory string `json:"directory,omitempty"`
	// Usable is whether a file can be written there now.
	Usable bool   `json:"usable"`
	Error  string `json:"error,omitempty"`
}

const (
	onDisk   = "disk"
	inMemory = "memory"
	// probeEvery bounds how often the directory is tried.
	probeEvery = 10 * time.Second
)

// watchState registers the metrics of a state directory ("": there is none) and
// returns what /status.json shows of it. A file system tells that it is full only
// to those who write, so a small file is written and removed.
func watchState(reg prometheus.Registerer, dir string) func() State {
	var mu sync.Mutex
	var last State
	var looked time.Time
	look := func() State {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); looked.IsZero() || now.Sub(looked) >= probeEvery {
			last, looked = probe(dir), now
		}
		return last
	}
	gauge := func(name, help string, of func(State) bool) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, func() float64 {
			if of(look()) {
				return 1
			}
			return 0
		})
	}
	reg.MustRegister(
		gauge("state_on_disk", "1 when what has to survive a restart is kept in a directory, 0 when it is lost with the process.", func(s State) bool { return s.Kind == onDisk }),
		gauge("state_usable", "0 when nothing can be written to the state directory, because it is full or gone, else 1.", func(s State) bool { return s.Usable }),
	)
	return look
}

func probe(dir string) State {
	if dir == "" {
		return State{Kind: inMemory, Usable: true}
	}
	s := State{Kind: onDisk, Directory: dir, Usable: true}
	if _, err := statefile.Probe(dir); err != nil {
		s.Usable, s.Error = false, err.Error()
	}
	return s
}
