package origins

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/statefile"
)

// On disk the origins lie in records of statefile: a line that says what the file is,
// then blocks of the text, each packed and with a checksum, and an empty one as the
// end. Every record has the number of the file, and its own. So a book is read as it
// was written, or not at all: an origin that is missing would be as bad as a wrong one,
// because an entity is deleted when all known origins are gone.
//
// The text is what version 1 had as its file, and what processes give to each other:
// a header, and one origin behind the other.
const (
	header       = "ado-port origins 1\n"
	sealedHeader = "ado-port origins 2\n\x00\x00\x00\x00\x00"

	// blockBytes is how much of the text lies in one record: what is read for one origin.
	blockBytes = 32 << 10
)

// errDamaged is not io.ErrUnexpectedEOF, which some take for an end.
var errDamaged = errors.New("damaged")

// placeOf is the name of a record in the file of a number.
func placeOf(file, n uint64) (out statefile.Name) {
	binary.LittleEndian.PutUint64(out[:8], file)
	binary.LittleEndian.PutUint64(out[8:], n)
	return out
}

// fileOf is the number of the file that a record is of.
func fileOf(rec []byte) uint64 {
	place := statefile.NameOf(rec)
	return binary.LittleEndian.Uint64(place[:8])
}

// A sealer writes the records of a file.
type sealer struct {
	w       io.Writer
	packer  statefile.Packer
	file, n uint64
}

// seal begins a file of origins, whose text is what is written to the sealer.
func seal(w io.Writer) (*sealer, error) {
	var number [8]byte
	_, _ = rand.Read(number[:]) // it does not fail
	_, err := io.WriteString(w, sealedHeader)
	return &sealer{w: w, file: binary.LittleEndian.Uint64(number[:])}, err
}

func (s *sealer) Write(text []byte) (written int, err error) {
	for written < len(text) {
		block := text[written:min(len(text), written+blockBytes)]
		if err := s.record(block); err != nil {
			return written, err
		}
		written += len(block)
	}
	return written, nil
}

// Close writes the end.
func (s *sealer) Close() error { return s.record(nil) }

func (s *sealer) record(value []byte) error {
	_, err := s.w.Write(statefile.Pad(s.packer.Record(placeOf(s.file, s.n), value)))
	s.n++
	return err
}

// A text reads the text of a file of origins, of either version.
type text struct {
	f      io.ReaderAt
	plain  io.Reader // of version 1
	open   bool      // the file is being written, and has no end yet
	ended  bool
	file   uint64  // its number; version 1 has 0
	blocks []block // what was read, the end too
	next   block   // where that goes on
	rest   []byte  // of the block that was read last
}

// A block begins at a place of the text, which is one of the file.
type block struct{ text, disk int64 }

// textOf begins to read a file.
func textOf(f io.ReaderAt) (*text, error) {
	head := make([]byte, len(sealedHeader))
	n, err := f.ReadAt(head, 0)
	switch is := string(head[:n]); {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case is == sealedHeader:
		return &text{f: f, next: block{disk: int64(n)}}, nil
	case strings.HasPrefix(is, header):
		return &text{f: f, plain: io.NewSectionReader(f, 0, 1<<62)}, nil
	}
	return nil, errors.New("origins: not a file of this version")
}

// numberIn is the number of the file in a directory, 0 where there is none.
func numberIn(dir string) (uint64, error) {
	f, err := os.Open(filepath.Join(dir, fileName)) //nolint:gosec // our own state file
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	t, err := textOf(f)
	if err == nil && t.plain == nil {
		err = t.advance()
	}
	if err != nil {
		return 0, err
	}
	return t.file, nil
}

func (t *text) Read(p []byte) (int, error) {
	if t.plain != nil {
		return t.plain.Read(p)
	}
	for len(t.rest) == 0 {
		if t.ended {
			return 0, io.EOF
		}
		if err := t.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// advance reads the next block.
func (t *text) advance() error {
	rec, err := statefile.ReadRecord(t.f, t.next.disk)
	if errors.Is(err, io.EOF) && t.open {
		t.ended = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: block %d: %v", errDamaged, len(t.blocks), err) //nolint:errorlint // io.EOF would be taken for the end
	}
	if len(t.blocks) == 0 {
		t.file = fileOf(rec)
	}
	value, err := t.value(rec, len(t.blocks))
	if err != nil {
		return err
	}
	t.blocks = append(t.blocks, t.next)
	t.next = block{text: t.next.text + int64(len(value)), disk: t.next.disk + statefile.Padded(len(rec))}
	if t.rest = value; len(value) > 0 {
		return nil
	}
	t.ended = true
	if n, _ := t.f.ReadAt(make([]byte, 1), t.next.disk); n > 0 {
		return fmt.Errorf("%w: something is behind its end", errDamaged)
	}
	return nil
}

func (t *text) value(rec []byte, n int) ([]byte, error) {
	value, _, ok := statefile.Value(rec, placeOf(t.file, uint64(n)))
	if !ok {
		return nil, fmt.Errorf("%w in block %d", errDamaged, n)
	}
	return value, nil
}

// from reads a text that was read before from some place on. last is the block that was
// read last, and stays that.
func (t *text) from(offset int64, last *cached) (io.Reader, error) {
	if t.plain != nil {
		return io.NewSectionReader(t.f, offset, 1<<62), nil
	}
	n := sort.Search(len(t.blocks), func(i int) bool { return t.blocks[i].text > offset }) - 1
	if n < 0 || n+1 >= len(t.blocks) {
		return nil, errDamaged
	}
	if last.value == nil || last.n != n {
		rec, err := statefile.ReadRecord(t.f, t.blocks[n].disk)
		if err != nil {
			return nil, fmt.Errorf("%w: block %d: %w", errDamaged, n, err)
		}
		value, err := t.value(rec, n)
		if err != nil {
			return nil, err
		}
		*last = cached{n, value}
	}
	skip := offset - t.blocks[n].text
	if skip > int64(len(last.value)) {
		return nil, errDamaged
	}
	return &text{f: t.f, file: t.file, blocks: slices.Clip(t.blocks[:n+1]), next: t.blocks[n+1], rest: last.value[skip:]}, nil
}

// A cached block is one that was unpacked.
type cached struct {
	n     int
	value []byte
}
