package resync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/statefile"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// SourceConfig is what a Source works with.
type SourceConfig struct {
	// Read asks Port for the mapping document.
	Read func(context.Context) (json.RawMessage, error)
	// ItemTimeout bounds the mapping of one record; 0 means the default of
	// mapping.Options.
	ItemTimeout time.Duration
	// Environ are the variables that expressions may read; nil: none.
	Environ func() []string
	// TTL is how long a mapping is current; 0: it is asked for each time.
	TTL time.Duration
	// StateDirectory keeps the last document for a start while Port is away; empty: none.
	StateDirectory string
	Log            *slog.Logger // nil means none
}

// A Source is where the mapping comes from: fresh for a resync, at most some
// minutes old for live events and subscriptions, and while Port is away the last
// one that is known. Safe for concurrent use.
type Source struct {
	cfg SourceConfig

	mu      sync.Mutex
	doc     string
	mapping *mapping.Mapping // what doc says; nil: none is known
	at      time.Time        // when doc was read; zero: it has to be asked for
	unused  bool             // no resync has had it
	changed []func()
}

// lastMapping is the file with the document that was used last.
const lastMapping = "mapping.json"

// mappingWait bounds the question for the mapping where a known one does as well.
const mappingWait = 10 * time.Second

// NewSource makes a Source; it asks nothing.
func NewSource(cfg SourceConfig) *Source {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Source{cfg: cfg}
}

// OnChange has f called whenever another mapping takes the place of a known one.
// It comes before the first question.
func (s *Source) OnChange(f func()) { s.changed = append(s.changed, f) }

// Check says why a document cannot be used.
func (s *Source) Check(doc []byte) error {
	_, err := s.Parse(doc)
	return err
}

// Parse compiles a document as one from Port is.
func (s *Source) Parse(doc []byte) (*mapping.Mapping, error) {
	m, err := mapping.Parse(doc, mapping.Options{
		ItemTimeout: s.cfg.ItemTimeout, Environ: s.cfg.Environ,
		Bind: func(kind string, selector json.RawMessage) ([]string, error) {
			_, warnings, err := azuredevops.Bind(kind, selector)
			return warnings, err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("the mapping cannot be used: %w", err)
	}
	return m, nil
}

// Use takes over a document that has just been read. The next Fresh returns it.
// A document that does not parse is left for Fresh to complain about.
func (s *Source) Use(ctx context.Context, doc json.RawMessage) {
	if _, err := s.take(ctx, doc); err == nil {
		s.mu.Lock()
		s.unused = true
		s.mu.Unlock()
	}
}

// Fresh asks Port for the mapping, unless Use has just brought it.
func (s *Source) Fresh(ctx context.Context) (*mapping.Mapping, error) {
	s.mu.Lock()
	m, unused := s.mapping, s.unused
	s.unused = false
	s.mu.Unlock()
	if unused {
		return m, nil
	}
	doc, err := s.cfg.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the mapping: %w", err)
	}
	return s.take(ctx, doc)
}

// Current is the mapping, at most TTL old, or the last one that is known while
// Port is away or the new one cannot be used.
func (s *Source) Current(ctx context.Context) (*mapping.Mapping, error) {
	s.mu.Lock()
	known, fresh := s.mapping, time.Since(s.at) < s.cfg.TTL
	s.mu.Unlock()
	if known != nil && fresh {
		return known, nil
	}
	asking, cancel := context.WithTimeout(ctx, mappingWait)
	defer cancel()
	doc, err := s.cfg.Read(asking)
	var m *mapping.Mapping
	if err == nil {
		m, err = s.take(ctx, doc)
	}
	switch {
	case err == nil:
		return m, nil
	case known != nil:
		return known, nil
	}
	return s.last(ctx, err)
}

// last is the mapping of an earlier process; cause is why Port's cannot be had.
func (s *Source) last(ctx context.Context, cause error) (*mapping.Mapping, error) {
	if s.cfg.StateDirectory == "" {
		return nil, cause
	}
	doc, err := os.ReadFile(filepath.Join(s.cfg.StateDirectory, lastMapping))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cause
	}
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	return s.take(ctx, doc)
}

// take makes a document the current one.
func (s *Source) take(ctx context.Context, doc json.RawMessage) (*mapping.Mapping, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mapping != nil && string(doc) == s.doc {
		s.at = time.Now()
		return s.mapping, nil
	}
	m, err := s.Parse(doc)
	if err != nil {
		return nil, err
	}
	changed := s.mapping != nil
	s.complain(ctx, m)
	s.doc, s.mapping, s.at = string(doc), m, time.Now()
	s.keep(ctx, doc)
	if changed {
		for _, f := range s.changed {
			f()
		}
	}
	return m, nil
}

// complain says what of a mapping is not used.
func (s *Source) complain(ctx context.Context, m *mapping.Mapping) {
	for _, p := range m.Problems {
		s.cfg.Log.ErrorContext(ctx, "a block of the mapping does not run", "kind", p.Kind, "path", p.Path, "reason", p.Reason)
	}
	for _, p := range m.LeftOut {
		s.cfg.Log.ErrorContext(ctx, "a member of the mapping is left out; what Port holds for it stays", "kind", p.Kind, "path", p.Path, "reason", p.Reason)
	}
	for _, w := range m.Warnings {
		s.cfg.Log.WarnContext(ctx, "a part of the mapping may not do what it is meant to", "warning", w)
	}
}

// keep writes the document for later processes. Without it they wait for Port.
func (s *Source) keep(ctx context.Context, doc []byte) {
	if s.cfg.StateDirectory == "" {
		return
	}
	if err := statefile.Replace(filepath.Join(s.cfg.StateDirectory, lastMapping), doc); err != nil {
		s.cfg.Log.WarnContext(ctx, "the mapping is not kept for a start without Port", "err", err)
	}
}

// ReadFile reads a mapping from a file, YAML or JSON: a document as Port keeps it, or
// the list of its resources alone. It is used as one from Port would be, and does
// not take its place.
func (s *Source) ReadFile(path string) (*mapping.Mapping, error) {
	text, err := os.ReadFile(path) //nolint:gosec // a file that was named on the command line
	if err != nil {
		return nil, err
	}
	doc, err := port.YAMLToJSON(text) // YAML includes JSON
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if doc[0] == '[' {
		doc = append(append([]byte(`{"resources":`), doc...), '}')
	}
	m, err := s.Parse(doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}
