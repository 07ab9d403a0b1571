package origins

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops/statefile"
)

// The journal has what live events have changed since the resync that left the file:
// records like those of the file, with its number, and without an end, because each
// event adds one.
const (
	journalFile   = "origins-live"
	journalHeader = "ado-port origins-live 2\n"
	plainHeader   = "ado-port origins-live 1\n" // of version 1: changes behind each other
)

// errOther is a journal that says what has changed since another resync: one that a
// killed process had not replaced yet, or that was put here.
var errOther = errors.New("the journal of origins is not that of this file")

// A journal is written by one process.
type journal struct {
	f    *os.File
	seal sealer
}

// add adds changes with one call, so that a process that is killed leaves a part of them
// at most.
func (j *journal) add(changes iter.Seq[change]) error {
	var out bytes.Buffer
	j.seal.changes(&out, changes)
	_, err := j.f.Write(out.Bytes())
	return err
}

// changes writes changes as records, none of which ends amid a change.
func (s *sealer) changes(out *bytes.Buffer, changes iter.Seq[change]) {
	s.w = out // which takes everything
	var text []byte
	for c := range changes {
		if text = c.appendJournal(text); len(text) >= blockBytes {
			_ = s.record(text)
			text = text[:0]
		}
	}
	if len(text) > 0 {
		_ = s.record(text)
	}
}

// rewriteJournal makes a journal of what is held, for the file with a number.
func (b *Book) rewriteJournal(number uint64) error {
	if b.journal != nil {
		_ = b.journal.f.Close()
		b.journal = nil
	}
	path := filepath.Join(b.dir, journalFile)
	next := &journal{seal: sealer{file: number}}
	var out bytes.Buffer
	out.WriteString(journalHeader)
	next.seal.changes(&out, maps.Values(b.live))
	err := statefile.Replace(path, out.Bytes())
	if err == nil {
		next.f, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // our own state file
	}
	if err != nil {
		b.spoilJournal()
		return err
	}
	b.journal = next
	return nil
}

// spoilJournal ends the use of a journal that cannot be written any more. What is left
// of it must not look complete to the next process.
func (b *Book) spoilJournal() {
	if b.journal != nil {
		_ = b.journal.f.Close()
		b.journal = nil
	}
	path := filepath.Join(b.dir, journalFile)
	if os.Truncate(path, 0) != nil {
		_ = os.Rename(path, path+".damaged")
	}
}

// dropOld removes a journal of the time when this process was alone.
func (b *Book) dropOld() { _ = os.Remove(filepath.Join(b.dir, journalFile)) }

// Forget removes the journal where nobody follows events: the file has all of it.
func (o *Writer) Forget() error {
	if o.path == "" {
		return nil
	}
	dir := filepath.Dir(o.path)
	for _, path := range []string{filepath.Join(dir, journalFile), mark(dir)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (o *change) appendJournal(b []byte) []byte {
	mark := byte('+')
	if o.gone {
		mark = '-'
	}
	return o.append(append(b, mark))
}

// A basis says on which file a journal stands, and whether a part of a record was left
// out at its end.
type basis struct {
	empty, torn bool // empty: it stands on any file
	file        uint64
}

func (b basis) fits(file uint64) bool { return b.empty || b.file == file }

// readJournal visits what live events have changed since the last resync.
func readJournal(dir string, visit func(change)) (basis, error) {
	f, err := os.Open(filepath.Join(dir, journalFile)) //nolint:gosec // our own state file
	if errors.Is(err, os.ErrNotExist) {
		return basis{empty: true}, nil
	}
	if err != nil {
		return basis{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return basis{}, err
	}
	return parseJournal(f, info.Size(), visit)
}

// parseJournal reads a journal of either version. Half a record at its end was written by
// a process that was killed before it wrote to Port what it noted, and is as good as none.
func parseJournal(f io.ReaderAt, size int64, visit func(change)) (basis, error) {
	on := basis{empty: true}
	head := make([]byte, len(journalHeader))
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return on, err
	}
	switch is := string(head[:n]); {
	case strings.HasPrefix(is, plainHeader):
		err := parseChanges(bufio.NewReader(io.NewSectionReader(f, int64(n), size)), func(c change) {
			on.empty = false
			visit(c)
		})
		return on, err
	case is != journalHeader:
		return on, errors.New("journal of origins: not a file of this version")
	}
	records := uint64(0)
	end, err := statefile.Records(f, int64(n), size, func(_ int64, rec []byte) error {
		if records == 0 {
			on = basis{file: fileOf(rec)}
		}
		text, _, ok := statefile.Value(rec, placeOf(on.file, records))
		if !ok {
			return fmt.Errorf("journal of origins: %w in record %d", errDamaged, records)
		}
		records++
		return parseChanges(bytes.NewReader(text), visit)
	})
	if err != nil || end == size {
		return on, err
	}
	on.torn, err = statefile.Torn(f, end, size)
	if err == nil && !on.torn {
		err = fmt.Errorf("journal of origins: %w behind byte %d", errDamaged, end)
	}
	return on, err
}

// parseChanges reads changes as they stand in a record of a journal, and in what
// processes tell each other.
func parseChanges(r byteReader, visit func(change)) error {
	var organization lastKey
	for {
		mark, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		o, err := read(r, &organization)
		if err != nil || mark != '+' && mark != '-' {
			return fmt.Errorf("journal of origins: damaged: %w", errors.Join(err, io.ErrUnexpectedEOF))
		}
		visit(change{Origin: *o, gone: mark == '-', at: time.Now()})
	}
}
