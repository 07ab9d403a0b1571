package resync

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/port"
)

// An origin says which record an entity was made of. An entity can have several.
type origin struct {
	Kind  string
	Scope azuredevops.Scope
	Ref   port.Ref
}

func (o *origin) key() key { return keyOf(o.Ref.Blueprint, o.Ref.Identifier) }

// line identifies the origin itself.
func (o *origin) line() key {
	s := &o.Scope
	return keyOf(o.Kind, s.Organization, s.Project, s.Repository, s.ID, o.Ref.Blueprint, o.Ref.Identifier)
}

const (
	originsFile   = "origins"
	originsHeader = "ado-port origins 1\n"
)

// An originWriter writes the origins of a resync to a new file, which replaces
// the one of the resync before when it is complete. Where there is no state
// directory it does nothing. The file is safe to lose: deletion then needs
// complete listings (design rule 2.2).
type originWriter struct {
	path string
	mu   sync.Mutex
	file *os.File
	w    *bufio.Writer
	err  error
	buf  []byte
}

func newOriginWriter(dir string, log *slog.Logger) *originWriter {
	o := &originWriter{}
	if dir == "" {
		return o
	}
	f, err := os.CreateTemp(dir, originsFile+"-*")
	if err != nil {
		log.Warn("origins of entities are not remembered: deletion needs complete listings", "err", err)
		return o
	}
	o.path, o.file, o.w = filepath.Join(dir, originsFile), f, bufio.NewWriterSize(f, 64<<10)
	_, o.err = o.w.WriteString(originsHeader)
	return o
}

func (o *originWriter) add(og origin) {
	if o.file == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return
	}
	o.buf = og.append(o.buf[:0])
	_, o.err = o.w.Write(o.buf)
}

// append adds the origin as it stands in the file.
func (o *origin) append(b []byte) []byte {
	for _, s := range [...]string{o.Kind, o.Scope.Organization, o.Scope.Project, o.Scope.Repository, o.Scope.ID, o.Ref.Blueprint, o.Ref.Identifier} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// commit makes the new file the current one. keep decides which origins of the
// old file are still worth knowing: those of parts that were not read this time.
func (o *originWriter) commit(keep func(*origin) bool) error {
	if o.file == nil {
		return nil
	}
	if err := o.carry(keep); err != nil {
		o.discard()
		return err
	}
	err := o.w.Flush()
	if err == nil {
		err = o.file.Sync()
	}
	if err2 := o.file.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Rename(o.file.Name(), o.path)
	}
	if err != nil {
		_ = os.Remove(o.file.Name())
	}
	o.file = nil
	return err
}

// carry copies origins of the old file that the new one does not have yet.
func (o *originWriter) carry(keep func(*origin) bool) error {
	old := map[key]origin{}
	err := readOrigins(o.path, func(og *origin) {
		if keep(og) {
			old[og.line()] = *og
		}
	})
	if err != nil || len(old) == 0 {
		return err
	}
	if err := o.w.Flush(); err != nil {
		return err
	}
	if err := readOrigins(o.file.Name(), func(og *origin) { delete(old, og.line()) }); err != nil {
		return err
	}
	for _, og := range old {
		o.add(og)
	}
	return o.err
}

// discard drops the new file; the old one stays.
func (o *originWriter) discard() {
	if o.file != nil {
		_ = o.file.Close()
		_ = os.Remove(o.file.Name())
		o.file = nil
	}
}

// readOrigins calls visit for every origin of a file. A file that is not there
// holds none; one that is damaged is an error after what could be read.
func readOrigins(path string, visit func(*origin)) error {
	f, err := os.Open(path) //nolint:gosec // our own state file
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return parseOrigins(f, visit)
}

// maxOriginField bounds a text of the file in bytes: a larger length is damage.
const maxOriginField = 1 << 16

func parseOrigins(f io.Reader, visit func(*origin)) error {
	return parseOriginsAt(f, func(o *origin, _ int64) { visit(o) })
}

// parseOriginsAt also says where in the file each origin begins.
func parseOriginsAt(f io.Reader, visit func(o *origin, offset int64)) error {
	r := &countingReader{r: bufio.NewReaderSize(f, 64<<10)}
	head := make([]byte, len(originsHeader))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != originsHeader {
		return errors.New("origins: not a file of this version")
	}
	for {
		at := r.n
		o, err := readOrigin(r)
		if errors.Is(err, io.EOF) && r.n == at {
			return nil
		}
		if err != nil {
			return fmt.Errorf("origins: damaged: %w", err)
		}
		visit(o, at)
	}
}

// readOrigin reads one origin; io.EOF before its first byte means the end.
func readOrigin(r byteReader) (*origin, error) {
	var field [7]string
	for i := range field {
		n, err := binary.ReadUvarint(r)
		if err != nil {
			return nil, err
		}
		if n > maxOriginField {
			return nil, io.ErrUnexpectedEOF
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		field[i] = string(b)
	}
	return &origin{
		Kind:  field[0],
		Scope: azuredevops.Scope{Organization: field[1], Project: field[2], Repository: field[3], ID: field[4]},
		Ref:   port.Ref{Blueprint: field[5], Identifier: field[6]},
	}, nil
}

type byteReader interface {
	io.Reader
	io.ByteReader
}

// A countingReader knows how many bytes were taken from it.
type countingReader struct {
	r *bufio.Reader
	n int64
}

func (c *countingReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
