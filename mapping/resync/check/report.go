package check

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// What a check found.
const (
	StateOK      = "ok"
	StateWarning = "warning" // it works, or nobody can tell from here
	StateFailed  = "failed"
)

// A Finding is the result of one check.
type Finding struct {
	Check   string `json:"check"`
	Subject string `json:"subject,omitempty"` // organization, kind or blueprint
	State   string `json:"state"`
	Text    string `json:"text"`
	Remedy  string `json:"remedy,omitempty"`
}

// A report writes findings.
type report struct {
	out    io.Writer
	opt    Options
	all    []Finding
	failed int
	err    error // of the writer
}

// add writes a finding, unless all are written at the end.
func (r *report) add(f Finding) {
	r.all = append(r.all, f)
	if f.State == StateFailed {
		r.failed++
	}
	if !r.opt.JSON && r.err == nil {
		_, r.err = io.WriteString(r.out, r.text(f))
	}
}

// The widths of the first columns, and the colors of the states.
const (
	stateWidth = 9
	checkWidth = 15
	noColor    = "\x1b[0m"
)

var marks = map[string]struct{ mark, color string }{
	StateOK: {"✓ ", "\x1b[32m"}, StateWarning: {"! ", "\x1b[33m"}, StateFailed: {"✗ ", "\x1b[31m"},
}

// text is a finding for people.
func (r *report) text(f Finding) string {
	state, width := f.State, stateWidth
	if r.opt.Colors {
		m := marks[f.State]
		state, width = m.color+m.mark+f.State+noColor, stateWidth+2
	}
	var b strings.Builder
	shown := f.State
	if r.opt.Colors {
		shown = "  " + shown
	}
	fmt.Fprintf(&b, "%s%*s%-*s", state, width-len(shown), "", checkWidth, f.Check)
	if f.Subject != "" {
		b.WriteString(f.Subject + ": ")
	}
	b.WriteString(f.Text + "\n")
	if f.Remedy != "" {
		fmt.Fprintf(&b, "%*s%s\n", width, "", "→ "+f.Remedy)
	}
	return b.String()
}

// end writes what is left.
func (r *report) end() error {
	if !r.opt.JSON {
		return r.err
	}
	enc := json.NewEncoder(r.out)
	enc.SetIndent("", "  ")
	return enc.Encode(r.all)
}
