package demo

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// A Button makes something go wrong, or ends that.
type Button struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Hint  string `json:"hint"`
	On    bool   `json:"on"`
}

const (
	failingProject = "Payments"
	buttonAzure    = "azure"
	buttonPort     = "port"
)

// labels are what the buttons are called.
var labels = map[string]string{buttonAzure: "Azure DevOps fails for one project", buttonPort: "Port is away"}

// Show is what the page adds: the buttons, and what came of the last changes.
func (d *Demo) Show() any {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	buttons := []Button{
		{buttonAzure, labels[buttonAzure], "Requests about " + failingProject + " are answered 503, and a resync begins: it keeps what it cannot read.", d.on[buttonAzure]},
		{buttonPort, labels[buttonPort], "Port answers 503 to everything: changes wait, and are written when it is back.", d.on[buttonPort]},
	}
	d.mu.Unlock()
	return struct {
		Buttons []Button `json:"buttons"`
		Changes []Change `json:"changes"`
	}{buttons, d.book.changes()}
}

// Presses is Press, or nil where there is nothing to press.
func (d *Demo) Presses() func(name string) error {
	if d == nil {
		return nil
	}
	return d.Press
}

// Press switches a button.
func (d *Demo) Press(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch name {
	case buttonAzure:
		if d.on[name] {
			d.ado.ClearFaults()
		} else {
			d.ado.Fault(azuredevopstest.Status("", http.StatusServiceUnavailable).In(failingProject))
		}
		d.catalog.TriggerResync()
	case buttonPort:
		if d.on[name] {
			d.catalog.ClearFaults()
		} else {
			d.catalog.Fault(porttest.Status("", http.StatusServiceUnavailable))
		}
	default:
		return fmt.Errorf("no button %q", name)
	}
	d.on[name] = !d.on[name]
	d.book.pressed(labels[name], d.on[name])
	return nil
}

// Changed is told what the audit of the service says: an entity was written or deleted
// because of an event.
func (d *Demo) Changed(event, blueprint, identifier string) {
	if d == nil {
		return
	}
	// Port is asked first: it waits for the book while it writes.
	name := d.blueprintName(blueprint)
	d.book.audited(event, port.Ref{Blueprint: blueprint, Identifier: identifier}, name)
}

// blueprintName is the title of a blueprint.
func (d *Demo) blueprintName(id string) string {
	if title := gjson.GetBytes(d.catalog.Blueprints()[id], "title").Str; title != "" {
		return title
	}
	return id
}

// sumUp says at the end what was done.
func (d *Demo) sumUp(out io.Writer) {
	ended := map[string]int{}
	for _, s := range d.catalog.Integration().States {
		ended[gjson.GetBytes(s, "status").Str]++
	}
	waiting := len(d.book.open())
	b := &d.book
	b.mu.Lock()
	defer b.mu.Unlock()
	var resyncs []string
	for _, state := range []string{"completed", "failed", "aborted"} {
		if n := ended[state]; n > 0 {
			resyncs = append(resyncs, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(resyncs) == 0 {
		resyncs = []string{"none ended"}
	}
	fmt.Fprintf(out, "\nIn %s: %d changes in Azure DevOps, for which %d entities were created or changed and %d deleted, the slowest after %d ms; %d changes still waited. Resyncs: %s.\n",
		time.Since(b.begun).Round(time.Second), b.steps, b.changed, b.deleted, b.slowest.Milliseconds(), waiting, strings.Join(resyncs, ", "))
}
