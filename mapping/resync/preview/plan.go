package preview

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
)

// PlanOptions are those of the command plan. The first part are its flags.
type PlanOptions struct {
	Mapping  string   // file; empty: the mapping in Port
	Kinds    []string // the only ones; nil: all
	Detailed bool     // also what stays as it is
	JSON     bool     // a line per entity, instead of text
	Stored   Stored   // what is used in place of Azure DevOps

	// Resync is as for a resync, without the parts of which a plan has its own.
	Resync    resync.Config
	Source    *resync.Source // of the mapping in Port, and of how a file is used
	Directory string         // of relative names of files
	Strict    bool           // what could not be read is an error
	Color     bool
}

// Register adds the flags.
func (o *PlanOptions) Register(fs *flag.FlagSet) {
	fs.StringVar(&o.Mapping, "mapping", "", "`file` with a mapping, YAML or JSON (default: the mapping in Port)")
	o.Stored.register(fs)
	fs.BoolVar(&o.Detailed, "detailed", false, "also show what stays as it is")
	fs.Func("kind", "only this `kind`, such as repository; may be given several times", func(kind string) error {
		o.Kinds = append(o.Kinds, kind)
		return nil
	})
}

// A Verdict is what a plan came to, other than nothing. It is no fault.
type Verdict int

// Verdicts, as exit codes.
const (
	Changes Verdict = 2
	TooMany Verdict = 3 // deletions, which are held back
)

// Error is empty: the plan itself has said everything.
func (v Verdict) Error() string { return "" }

// ExitCode is that of the program.
func (v Verdict) ExitCode() int { return int(v) }

// errIncomplete says that the plan does not know everything.
var errIncomplete = errors.New("not everything could be read")

// result is a plan that is ready.
type result struct {
	lines     []*catalog.Planned
	unchanged int
	count     map[catalog.Intent]int
	complete  bool
	problems  []string // why it is not complete
	leftOut   []string // members of the mapping that are not used
	refusals  []catalog.Refusal
	remapped  []string // blueprints from which the mapping takes entities away
}

// Plan shows what a resync would do, and writes nothing. The error is a Verdict when
// it would do something.
func Plan(ctx context.Context, o PlanOptions, out io.Writer) error {
	m, err := o.mapping(ctx)
	if err != nil {
		return err
	}
	plan := catalog.NewPlan(o.Detailed)
	cfg := o.Resync
	cfg.Stored = o.Stored.On
	if cfg.Exported, err = o.Stored.open(o.Directory); err != nil {
		return err
	}
	cfg.Plan, cfg.Kinds, cfg.TempDirectory = plan, o.Kinds, os.TempDir()
	cfg.Catalog = catalog.New(catalog.Config{Port: cfg.Port, TempDirectory: cfg.TempDirectory, Log: cfg.Log})
	cfg.Mapping = func(context.Context) (*mapping.Mapping, error) { return m, nil }
	cfg.Log = slog.New(slog.DiscardHandler) // the plan says it
	r, err := resync.New(cfg)
	if err != nil {
		return err
	}
	sum, err := r.Full(ctx, "plan")
	if err != nil {
		return err
	}
	res := newResult(plan, sum)
	if err := o.write(out, res); err != nil {
		return err
	}
	switch {
	case o.Strict && !res.complete:
		return errIncomplete
	case sum.Held() > 0:
		return TooMany
	case res.count[catalog.ToCreate]+res.count[catalog.ToChange]+res.count[catalog.ToDelete] > 0:
		return Changes
	}
	return nil
}

// mapping is the one that is tried.
func (o *PlanOptions) mapping(ctx context.Context) (*mapping.Mapping, error) {
	read := o.Source.Fresh
	if o.Mapping != "" {
		read = func(context.Context) (*mapping.Mapping, error) {
			path := o.Mapping
			if !filepath.IsAbs(path) {
				path = filepath.Join(o.Directory, path)
			}
			return o.Source.ReadFile(path)
		}
	}
	m, err := read(ctx)
	if err != nil {
		return nil, err
	}
	for _, kind := range o.Kinds {
		if all := m.Kinds(); !slices.Contains(all, kind) {
			slices.Sort(all)
			return nil, fmt.Errorf("the mapping has no block for the kind %q: want one of %s", kind, strings.Join(slices.Compact(all), ", "))
		}
	}
	return m, nil
}

func newResult(plan *catalog.Plan, sum *resync.Summary) *result {
	r := &result{count: map[catalog.Intent]int{}, remapped: sum.Remapped, leftOut: sum.LeftOut, refusals: sum.Refused}
	r.lines, r.unchanged = plan.Lines()
	for _, n := range r.lines {
		r.count[n.Intent]++
	}
	for _, u := range sum.Unread {
		r.problems = append(r.problems, fmt.Sprintf("%s: %s", u.Scope, u.Reason))
	}
	r.problems = append(append(r.problems, sum.Problems...), sum.Rejected...)
	if err := plan.Err(); err != nil {
		why := strings.Split(err.Error(), "\n")
		slices.Sort(why)
		r.problems = append(r.problems, slices.Compact(why)...)
	}
	r.complete = len(r.problems) == 0
	return r
}

func (o *PlanOptions) write(out io.Writer, r *result) error {
	if o.JSON {
		return r.writeJSON(out)
	}
	_, err := io.WriteString(out, r.text(o.Color))
	return err
}

// summary is the last line of the JSON form.
type summary struct {
	Create    int      `json:"create"`
	Change    int      `json:"change"`
	Delete    int      `json:"delete"`
	Keep      int      `json:"keep"`
	Refuse    int      `json:"refuse"`
	Unchanged int      `json:"unchanged"`
	Complete  bool     `json:"complete"`
	Problems  []string `json:"problems,omitempty"`
	// LeftOut are members of the mapping that do not compile: what Port holds for them
	// stays.
	LeftOut []string `json:"leftOut,omitempty"`
	// Refusals are all reasons of Port, also for what it does not hold.
	Refusals []catalog.Refusal `json:"refusals,omitempty"`
}

func (r *result) writeJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, n := range r.lines {
		if err := enc.Encode(n); err != nil {
			return err
		}
	}
	c := r.count
	return enc.Encode(map[string]summary{"summary": {
		c[catalog.ToCreate], c[catalog.ToChange], c[catalog.ToDelete], c[catalog.ToKeep], c[catalog.ToRefuse], r.unchanged, r.complete, r.problems, r.leftOut, r.refusals,
	}})
}
