// Package origins remembers which records made which entities. A deletion is
// proven by it: an entity may go when the parts of Azure DevOps that it came from
// were read completely and no record makes it any more. All of it is safe to lose:
// then a deletion needs complete listings.
package origins

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
	"github.com/ado-port/ado-port/azuredevops/statefile"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
)

// An Origin says which record an entity was made of. An entity can have several.
type Origin struct {
	Kind  string
	Scope azuredevops.Scope
	Ref   port.Ref
}

// Entity is the key of the entity.
func (o *Origin) Entity() catalog.Key { return catalog.EntityKey(o.Ref) }

// Line identifies the origin itself.
func (o *Origin) Line() catalog.Key {
	s := &o.Scope
	return catalog.KeyOf(o.Kind, s.Organization, s.Project, s.Repository, s.ID, o.Ref.Blueprint, o.Ref.Identifier)
}

const fileName = "origins"

// A Writer writes the origins of a resync to a new file, which replaces
// the one of the resync before when it is complete. Where there is no state
// directory it does nothing.
type Writer struct {
	path string
	mu   sync.Mutex
	file *statefile.File // nil: nothing is written
	seal *sealer
	w    *bufio.Writer // to seal
	err  error
	buf  []byte
	book *Book // that live events use; nil: a journal has what they have changed
	none error // why there is no file although there should be one
}

// NewWriter begins a new file in a state directory; empty: there is none.
func NewWriter(dir string, log *slog.Logger) *Writer {
	if dir == "" {
		return &Writer{}
	}
	o, err := create(dir)
	if err != nil {
		log.Warn("origins of entities are not remembered: deletion needs complete listings", "err", err)
		return &Writer{none: err}
	}
	return o
}

func create(dir string) (*Writer, error) {
	o := &Writer{path: filepath.Join(dir, fileName)}
	var err error
	if o.file, err = statefile.Create(o.path); err != nil {
		return nil, err
	}
	o.seal, o.err = seal(o.file)
	o.w = bufio.NewWriterSize(o.seal, blockBytes)
	_, _ = o.w.WriteString(header) // finish says what went wrong
	return o, nil
}

// Remembered is a Writer that writes nothing: it knows what the resync before has
// left in a state directory; empty: nothing.
func Remembered(dir string) *Writer {
	if dir == "" {
		return &Writer{}
	}
	return &Writer{path: filepath.Join(dir, fileName)}
}

// Add writes an origin.
func (o *Writer) Add(og Origin) {
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
func (o *Origin) append(b []byte) []byte {
	for _, s := range [...]string{o.Kind, o.Scope.Organization, o.Scope.Project, o.Scope.Repository, o.Scope.ID, o.Ref.Blueprint, o.Ref.Identifier} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// Commit makes the new file the current one. keep decides which origins of the
// old file are still worth knowing: those of parts that were not read this time.
// Where all was read a damaged old file is replaced all the same.
func (o *Writer) Commit(all bool, keep func(*Origin) bool) error {
	if o.file == nil {
		return o.none
	}
	if err := o.carry(keep); err != nil && !all {
		o.Discard()
		return err
	}
	return o.finish()
}

// finish makes the new file the current one as it is.
func (o *Writer) finish() error {
	err := errors.Join(o.err, o.w.Flush())
	if err == nil {
		err = o.seal.Close()
	}
	if err != nil {
		o.Discard()
		return err
	}
	err = o.file.Commit()
	o.file = nil
	return err
}

// carry copies origins that are known and that the new file does not have yet.
func (o *Writer) carry(keep func(*Origin) bool) error {
	old := map[catalog.Key]Origin{}
	err := o.known(func(og *Origin) {
		if keep(og) {
			old[og.Line()] = *og
		}
	})
	if err != nil || len(old) == 0 {
		return err
	}
	if err := o.w.Flush(); err != nil {
		return err
	}
	written, err := textOf(o.file)
	if err != nil {
		return err
	}
	written.open = true
	if err := parse(written, func(og *Origin) { delete(old, og.Line()) }); err != nil {
		return err
	}
	for _, og := range old {
		o.Add(og)
	}
	return o.err
}

// known calls visit for every origin of the resync before, and for those that live
// events have found since. Where no resync has ended those are all. When anything is
// damaged, or missing, it is an error, after what could be read.
func (o *Writer) known(visit func(*Origin)) error {
	live := map[catalog.Key]change{}
	f, on, err := o.sources(live)
	if err != nil {
		return err
	}
	var number uint64
	if f != nil {
		defer f.Close()
		t, err := textOf(f)
		if err != nil {
			return err
		}
		err = parse(t, func(og *Origin) {
			delete(live, og.Line())
			visit(og)
		})
		if err != nil {
			return err
		}
		number = t.file
	}
	if !on.fits(number) {
		return errOther
	}
	for _, c := range live {
		if !c.gone {
			visit(&c.Origin)
		}
	}
	return nil
}

// sources opens the file, nil when there is none, and fills live with what live events have
// changed since it was made.
func (o *Writer) sources(live map[catalog.Key]change) (f *os.File, on basis, err error) {
	keep := func(c change) { live[c.Line()] = c }
	if b := o.book; b != nil {
		b.mu.Lock() // so that the book stands on the file that is opened, or on one before it
		defer b.mu.Unlock()
		if b.lost {
			return nil, on, errLost
		}
		for _, c := range b.live {
			keep(c)
		}
		on = basis{empty: true}
	} else if on, err = o.journal(keep); err != nil {
		return nil, on, err
	}
	f, err = os.Open(o.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, on, nil
	}
	if err == nil && o.book != nil && o.book.file == nil {
		_ = f.Close()
		return nil, on, errLost
	}
	return f, on, err
}

// journal reads what live events of another process have changed.
func (o *Writer) journal(visit func(change)) (basis, error) {
	dir := filepath.Dir(o.path)
	if wasShared(dir) {
		return basis{}, errShared
	}
	return readJournal(dir, visit)
}

// Discard drops the new file; the old one stays.
func (o *Writer) Discard() {
	if o.file != nil {
		o.file.Discard()
		o.file = nil
	}
}

// With says whose live events count beside the file, nil: those of the journal. What
// other processes have found is known as far as the book has read it, see Sync.
func (o *Writer) With(b *Book) { o.book = b }

// Previous returns the origins of some entities as the resync before has left
// them, and those that live events have found since; without a state directory there
// are none.
func (o *Writer) Previous(of map[catalog.Key]bool) (map[catalog.Key][]Origin, error) {
	out := make(map[catalog.Key][]Origin, len(of))
	if o.path == "" {
		return out, nil
	}
	err := o.known(func(og *Origin) {
		if k := og.Entity(); of[k] {
			out[k] = append(out[k], *og)
		}
	})
	return out, err
}

// maxField bounds a text of the file in bytes: a larger length is damage.
const maxField = 1 << 16

// parse reads a text of origins. One that is damaged is an error after what could be read.
func parse(r io.Reader, visit func(*Origin)) error {
	return parseAt(r, func(o *Origin, _ int64) { visit(o) })
}

// parseAt also says where in the text each origin begins.
func parseAt(text io.Reader, visit func(o *Origin, offset int64)) error {
	r := &countingReader{r: bufio.NewReaderSize(text, blockBytes)}
	head := make([]byte, len(header))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != header {
		return fmt.Errorf("origins: not a file of this version: %w", errors.Join(err, errDamaged))
	}
	var organization lastKey
	for {
		at := r.n
		o, err := read(r, &organization)
		if errors.Is(err, io.EOF) && r.n == at {
			return nil
		}
		if err != nil {
			return fmt.Errorf("origins: damaged: %w", err)
		}
		visit(o, at)
	}
}

// A lastKey finds the key of an organization in a file in which most lines are about
// the same one. Older versions wrote the address as it was configured.
type lastKey struct{ written, key string }

func (k *lastKey) of(written string) string {
	if k.written != written {
		k.written, k.key = written, azuredevops.OrganizationKey(written)
	}
	return k.key
}

// read reads one origin; io.EOF before its first byte means the end.
func read(r byteReader, organization *lastKey) (*Origin, error) {
	var field [7]string
	for i := range field {
		n, err := binary.ReadUvarint(r)
		if err != nil {
			return nil, err
		}
		if n > maxField {
			return nil, io.ErrUnexpectedEOF
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		field[i] = string(b)
	}
	return &Origin{
		Kind:  field[0],
		Scope: azuredevops.Scope{Organization: organization.of(field[1]), Project: field[2], Repository: field[3], ID: field[4]},
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

// Covers says whether inner lies in outer. Empty fields of outer are wider.
func Covers(outer, inner azuredevops.Scope) bool {
	in := func(o, i string) bool { return o == "" || o == i }
	return in(outer.Organization, inner.Organization) && in(outer.Project, inner.Project) &&
		in(outer.Repository, inner.Repository) && in(outer.ID, inner.ID)
}
