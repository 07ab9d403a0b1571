package azuredevops

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// An export is a file of JSON lines: a head for each listing of an organization, and
// behind it what the listing has.
type (
	exportHead struct {
		Listing      string    `json:"listing"` // its key
		Files        []string  `json:"files,omitempty"`
		Organization string    `json:"organization"` // its key
		ReadAt       time.Time `json:"readAt"`
	}
	exportLine struct {
		Record  json.RawMessage    `json:"record,omitempty"`
		Scope   exportScope        `json:"scope"`
		Files   map[string]*string `json:"files,omitempty"`
		Missing []string           `json:"missing,omitempty"`
		Unread  string             `json:"unread,omitempty"` // why what is in Scope is not known
	}
	exportScope struct {
		Project     string `json:"project,omitempty"`
		ProjectName string `json:"projectName,omitempty"`
		Repository  string `json:"repository,omitempty"`
		ID          string `json:"id,omitempty"`
	}
)

// ErrNothingStored is returned by Export when there is nothing of what is asked for.
var ErrNothingStored = errors.New("the record store has nothing of that: a complete resync puts it there")

// Export writes what the store has of some kinds, or of all, as JSON lines.
func Export(ctx context.Context, clients []*Client, kinds []string, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	found := false
	for _, c := range clients {
		stored := c.Stored()
		s := c.SnapshotOf(Reading{Since: earliest(stored), Only: true})
		var heads []exportHead
		var listings []*Listing
		for _, name := range slices.Sorted(maps.Keys(stored)) {
			key, files, _ := strings.Cut(name, "\x00")
			kind, selector, _ := strings.Cut(key, " ")
			l, _, err := Bind(kind, json.RawMessage(selector))
			if err != nil || len(kinds) > 0 && !slices.Contains(kinds, kind) {
				continue // a kind of another version
			}
			h := exportHead{Listing: key, Organization: c.Key(), ReadAt: stored[name]}
			if files != "" {
				h.Files = strings.Split(files, "\x00")
			}
			heads, listings = append(heads, h), append(listings, l)
			s.Expect(l, ListOptions{Files: h.Files})
		}
		for i, l := range listings {
			found = true
			if err := exportListing(ctx, out, heads[i], l, s); err != nil {
				return err
			}
		}
	}
	if !found {
		return ErrNothingStored
	}
	return out.Flush()
}

func exportListing(ctx context.Context, out io.Writer, head exportHead, l *Listing, s *Snapshot) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(head); err != nil {
		return err
	}
	for rec, err := range l.Records(ctx, s, ListOptions{Files: head.Files, Now: head.ReadAt}) {
		line := exportLine{Record: rec.JSON, Files: rec.Files}
		at := rec.Scope
		if err != nil {
			e, ok := errors.AsType[*ScopeError](err)
			if !ok || ctx.Err() != nil {
				return err
			}
			at, line.Unread = e.Scope, e.Err.Error()
		}
		for _, why := range rec.Missing {
			line.Missing = append(line.Missing, why.Error())
		}
		line.Scope = exportScope{at.Project, at.ProjectName, at.Repository, at.ID}
		if err := enc.Encode(&line); err != nil {
			return err
		}
	}
	return nil
}

// earliest is when the oldest of some listings was read.
func earliest(stored map[string]time.Time) (at time.Time) {
	for _, t := range stored {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

// Exported are the records of a file that Export has written.
type Exported struct {
	path string
	at   map[string]int64 // where a listing begins
}

// OpenExport reads where in a file the listings are.
func OpenExport(path string) (*Exported, error) {
	f, err := os.Open(path) //nolint:gosec // a file that was named on the command line
	if err != nil {
		return nil, err
	}
	defer f.Close()
	e := &Exported{path: path, at: map[string]int64{}}
	offset := int64(0)
	for line, err := range lines(f) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		offset += int64(len(line)) + 1
		if !bytes.HasPrefix(line, []byte(`{"listing":`)) {
			continue
		}
		var h exportHead
		if err := json.Unmarshal(line, &h); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		e.at[exportedAs(h.Organization, h.Listing, h.Files)] = offset
	}
	if len(e.at) == 0 {
		return nil, fmt.Errorf("%s: want the output of ado-port export: a line with \"listing\" and behind it its records", path)
	}
	return e, nil
}

func exportedAs(organization, listing string, files []string) string {
	return strings.Join(append([]string{organization, listing}, slices.Sorted(slices.Values(files))...), "\x00")
}

// maxExportLine bounds one record.
const maxExportLine = 64 << 20

// lines are the lines of a file, each valid until the next.
func lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := bufio.NewScanner(r)
		in.Buffer(make([]byte, 64<<10), maxExportLine)
		in.Split(func(data []byte, end bool) (int, []byte, error) {
			if i := bytes.IndexByte(data, '\n'); i >= 0 {
				return i + 1, data[:i], nil
			}
			if end && len(data) > 0 {
				return len(data), data, nil
			}
			return 0, nil, nil
		})
		for in.Scan() {
			if !yield(in.Bytes(), nil) {
				return
			}
		}
		if err := in.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// Has says whether the file has a listing.
func (e *Exported) Has(c *Client, l *Listing, files []string) bool {
	_, ok := e.at[exportedAs(c.Key(), l.Key, files)]
	return ok
}

// Records are those of a listing that the file has, as [Listing.Records] yields them.
func (e *Exported) Records(c *Client, l *Listing, files []string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		org := Scope{Organization: c.Key()}
		f, err := os.Open(e.path)
		if err == nil {
			defer f.Close()
			_, err = f.Seek(e.at[exportedAs(c.Key(), l.Key, files)], io.SeekStart)
		}
		if err != nil {
			yield(Record{}, unknown(org, err))
			return
		}
		for line, err := range lines(f) {
			if err != nil {
				yield(Record{}, unknown(org, err))
				return
			}
			if bytes.HasPrefix(line, []byte(`{"listing":`)) {
				return
			}
			rec, err := parseExported(line, org)
			if !yield(rec, err) {
				return
			}
		}
	}
}

// parseExported reads the line of a record, or of what is not known.
func parseExported(line []byte, org Scope) (Record, error) {
	if !rawjson.Valid(line) {
		return Record{}, unknown(org, fmt.Errorf("%w: a line of the file is no JSON", ErrMalformed))
	}
	var x exportLine
	if err := json.Unmarshal(line, &x); err != nil {
		return Record{}, unknown(org, fmt.Errorf("%w: %w", ErrMalformed, err))
	}
	at := Scope{Organization: org.Organization, Project: x.Scope.Project, ProjectName: x.Scope.ProjectName, Repository: x.Scope.Repository, ID: x.Scope.ID}
	switch {
	case x.Unread != "":
		return Record{}, unknown(at, errors.New(x.Unread))
	case len(x.Record) == 0 || x.Record[0] != '{':
		return Record{}, unknown(org, fmt.Errorf("%w: a line of the file has no record", ErrMalformed))
	}
	rec := Record{JSON: x.Record, Scope: at, Files: x.Files}
	for _, why := range x.Missing {
		rec.Missing = append(rec.Missing, errors.New(why))
	}
	return rec, nil
}
