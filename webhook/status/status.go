// Package status shows what the process is doing: the document /status.json, the page
// for people, and the metrics of the process as a whole.
//
// It keeps no books. What rooms know they hand in as functions, which are asked
// when somebody looks.
package status

import (
	"encoding/json"
	"maps"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const namespace = "ado_port"

// NewRegistry makes the registry of the process, with what belongs to no room.
func NewRegistry(version, commit, goVersion string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say what the program was built from.",
		ConstLabels: prometheus.Labels{"version": version, "commit": commit, "go": goVersion},
	})
	info.Set(1)
	reg.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Sections are the members of the document. Each is asked for every look; what is null
// as JSON is left out.
type Sections map[string]func() any

// A Document is what /status.json shows.
type Document struct {
	started  time.Time
	sections Sections
}

// New makes the document of a process that starts now. What it shows of the state
// directory (empty: there is none) is in metrics too.
func New(reg prometheus.Registerer, stateDirectory string, sections Sections) *Document {
	look := watchState(reg, stateDirectory)
	all := Sections{"stateDirectory": func() any { return look() }}
	maps.Copy(all, sections)
	return &Document{started: time.Now(), sections: all}
}

// ServeHTTP answers with the document. Numbers of seconds end in Seconds, times
// are those of RFC 3339.
func (d *Document) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	text, err := json.MarshalIndent(d.members(), "", "  ")
	if err != nil {
		http.Error(w, "the status could not be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(append(text, '\n')) // the client is gone
}

func (d *Document) members() map[string]any {
	doc := map[string]any{"started": d.started, "now": time.Now()}
	put(doc, d.sections)
	return doc
}

// put adds what sections know.
func put(doc map[string]any, sections Sections) {
	for name, of := range sections {
		if text, err := json.Marshal(of()); err != nil {
			doc[name] = map[string]string{"error": err.Error()}
		} else if string(text) != "null" {
			doc[name] = json.RawMessage(text)
		}
	}
}
