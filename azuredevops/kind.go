package azuredevops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Listing is a kind bound to the selector of a resource. Listings with equal
// keys fetch the same records and are listed once for all resources.
type Listing struct {
	Kind string
	// Key is the kind and the selector options that decide what is fetched, in
	// canonical form. `query` is not among them.
	Key string

	list   func(l *lister) stream[Record]
	within func(l *lister, at *part) stream[Record] // see row.Within; nil: list is narrow enough
	wants  []want                                   // nil: the records have no files
	reads  string
}

// ListOptions are what the mapping wants besides the records.
type ListOptions struct {
	// Files are the paths of `file://` mappings; every record gets them in
	// Record.Files.
	Files []string
	// Since leaves out what has not changed since then, for kinds of which
	// [Incremental] says so; the zero time lists everything. More than what has
	// changed may come, and what is gone does not show.
	Since time.Time
	// Now is what lists that go back for some time count from; the zero time is now.
	// Stored answers are to the question that was asked then.
	Now time.Time
	// Change is what Within lists again when an event asks for it; its scope does
	// not count.
	Change Change
}

// A row declares a kind: S is its selector, without `query`.
type row[S any] struct {
	Name   string
	List   func(l *lister, sel S) stream[Record]
	Events []string // types of service hook events after which records of the kind may differ
	// Within lists a part of a project with fewer calls than List on a narrowed
	// lister; nil, or a nil stream, where that is not possible.
	Within func(l *lister, sel S, at *part) stream[Record]
	Live   live // what live events have to know besides
	// Incremental says that List heeds lister.since.
	Incremental bool
	// Reads is a route that List reads for every project or repository, so that other kinds
	// may use what it says.
	Reads string
	Wants func(sel S) []want // the folders that files of the records are read from, besides those of `file://`
}

// A kind is a row whose selector type is forgotten.
type kind struct {
	bind        func(selector json.RawMessage) (*Listing, []string, error)
	events      []string
	incremental bool
	live        live
}

// kinds is written only while the package is initialized, by the rows of the
// files kind_….go. Nothing else names kinds, but for what events change.
var kinds map[string]kind

// register adds a row; two of one name are a bug that every test meets.
func register[S any](r row[S]) struct{} {
	if kinds == nil {
		kinds = map[string]kind{}
	}
	if _, ok := kinds[r.Name]; ok {
		panic("azuredevops: kind " + r.Name + " declared twice")
	}
	kinds[r.Name] = kind{events: r.Events, incremental: r.Incremental, live: r.Live, bind: func(selector json.RawMessage) (*Listing, []string, error) {
		var sel S
		warnings, err := decodeSelector(selector, &sel)
		if err != nil {
			return nil, warnings, err
		}
		key, err := json.Marshal(sel)
		if err != nil {
			return nil, warnings, err
		}
		out := &Listing{
			Kind: r.Name, Key: r.Name + " " + string(key), reads: r.Reads,
			list: func(l *lister) stream[Record] { return r.List(l, sel) },
		}
		if r.Within != nil {
			out.within = func(l *lister, at *part) stream[Record] { return r.Within(l, sel, at) }
		}
		if r.Wants != nil {
			out.wants = append([]want{}, r.Wants(sel)...)
		}
		return out, warnings, nil
	}}
	return struct{}{}
}

// Kinds are the kinds that can be listed, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Bind decodes and checks the selector of a resource. The error names the path
// below the selector, such as "includedFiles[1]: want a string"; an unknown kind
// is ErrUnknownKind. Unknown keys are no error; they come back as warnings.
func Bind(kind string, selector json.RawMessage) (l *Listing, warnings []string, err error) {
	k, ok := kinds[kind]
	if !ok {
		want := "want one of " + strings.Join(Kinds(), ", ")
		if near := nearest(kind, Kinds()); near != "" {
			want = "did you mean " + near + "?"
		}
		return nil, nil, fmt.Errorf("%w %q: %s", ErrUnknownKind, kind, want)
	}
	return k.bind(selector)
}

// Records lists one organization. It yields on the caller's goroutine, in an
// order that depends on the data only. An error is a *ScopeError and does not
// end the listing; after ctx is done the last error is ctx's.
func (l *Listing) Records(ctx context.Context, s *Snapshot, opt ListOptions) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var none map[string]*string
		if len(opt.Files) > 0 {
			none = make(map[string]*string, len(opt.Files))
			for _, path := range opt.Files {
				none[path] = nil
			}
		}
		s.Expect(l, opt)
		under := &lister{Snapshot: s, kind: l.Kind, files: opt.Files, own: l.wanted(opt), all: s.expected(), since: sinceOf(l.Kind, opt), now: opt.now()}
		org, without := Scope{Organization: s.c.Key()}, false
		for rec, err := range l.list(under)(ctx) {
			if ctx.Err() != nil {
				break
			}
			if err != nil {
				missing := errors.Is(err, ErrNotOffered)
				if missing && without {
					continue // a server without something is one fact, not one for each project
				}
				if se, ok := err.(*ScopeError); !ok || missing && se.Scope != org { //nolint:errorlint // what wraps one has no scope of its own
					err = unknown(org, err)
				}
				without = without || missing
				rec = Record{}
			} else if rec.Files == nil {
				rec.Files = none
			}
			if !yield(rec, err) {
				return
			}
		}
		if ctx.Err() != nil {
			yield(Record{}, ctx.Err())
		}
	}
}

func (opt *ListOptions) now() time.Time {
	if opt.Now.IsZero() {
		return time.Now()
	}
	return opt.Now
}
