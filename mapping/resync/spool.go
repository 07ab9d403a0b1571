package resync

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ado-port/ado-port/port"
)

// An item is one mapped entity on its way to Port.
type item struct {
	port.Entity
	source  *source // the resource and project it came from
	partial bool    // made of a record with missing enrichments: must not replace an existing entity
}

func (it *item) key() key { return keyOf(it.Blueprint, it.Identifier) }

// A spool holds items in order until it is their turn. It keeps the first ones
// in memory and the rest in a temporary file, so that waiting costs disk and not
// memory. One goroutine appends, then one goroutine drains: it is not safe for
// concurrent use.
type spool struct {
	dir    string // for the file; empty: memory only
	limit  int    // bytes kept in memory
	memory []item
	bytes  int
	file   *os.File
	w      *bufio.Writer
	onDisk int
	names  map[*source]uint32
	order  []*source
}

// spoolOverhead approximates what an item costs besides its texts, in bytes.
const spoolOverhead = 160

func newSpool(dir string, limit int) *spool {
	return &spool{dir: dir, limit: limit}
}

// add appends an item. The error is that of the file; the item is kept in memory then.
func (s *spool) add(it item) error {
	if s.file == nil && (s.bytes < s.limit || s.dir == "") {
		s.keep(it)
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "waiting-*")
		if err != nil {
			s.dir = ""
			s.keep(it)
			return fmt.Errorf("entities wait in memory because no file can hold them: %w", err)
		}
		_ = os.Remove(f.Name()) // the open file stays usable and vanishes with the process
		s.file, s.w, s.names = f, bufio.NewWriterSize(f, 64<<10), map[*source]uint32{}
	}
	s.onDisk++
	return s.write(it)
}

func (s *spool) keep(it item) {
	s.memory = append(s.memory, it)
	s.bytes += len(it.Body) + len(it.Identifier) + spoolOverhead
}

func (s *spool) len() int { return len(s.memory) + s.onDisk }

func (s *spool) write(it item) error {
	n, ok := s.names[it.source]
	if !ok {
		n = uint32(len(s.order))
		s.names[it.source] = n
		s.order = append(s.order, it.source)
	}
	var flags uint64
	if it.Search {
		flags |= 1
	}
	if it.partial {
		flags |= 2
	}
	head := make([]byte, 0, 64)
	head = binary.AppendUvarint(head, uint64(n))
	head = binary.AppendUvarint(head, flags)
	head = binary.AppendUvarint(head, uint64(len(it.Blueprint)))
	head = append(head, it.Blueprint...)
	head = binary.AppendUvarint(head, uint64(len(it.Identifier)))
	head = append(head, it.Identifier...)
	head = binary.AppendUvarint(head, uint64(len(it.Body)))
	if _, err := s.w.Write(head); err != nil {
		return err
	}
	_, err := s.w.Write(it.Body)
	return err
}

// drain hands every item to yield in order and forgets it. It stops at the
// first error, yield's included.
func (s *spool) drain(yield func(item) error) error {
	defer s.close()
	for i, it := range s.memory {
		s.memory[i] = item{}
		if err := yield(it); err != nil {
			return err
		}
	}
	s.memory, s.bytes = nil, 0
	if s.file == nil {
		return nil
	}
	if err := s.w.Flush(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(s.file, 64<<10)
	for range s.onDisk {
		it, err := s.read(r)
		if err != nil {
			return fmt.Errorf("reading waiting entities: %w", err)
		}
		if err := yield(it); err != nil {
			return err
		}
	}
	return nil
}

func (s *spool) read(r *bufio.Reader) (item, error) {
	var it item
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return it, err
	}
	if n >= uint64(len(s.order)) {
		return it, errors.New("damaged file")
	}
	it.source = s.order[n]
	flags, err := binary.ReadUvarint(r)
	if err != nil {
		return it, err
	}
	it.Search, it.partial = flags&1 != 0, flags&2 != 0
	var part [3][]byte
	for i := range part {
		size, err := binary.ReadUvarint(r)
		if err != nil {
			return it, err
		}
		part[i] = make([]byte, size)
		if _, err := io.ReadFull(r, part[i]); err != nil {
			return it, err
		}
	}
	it.Blueprint, it.Identifier, it.Body = string(part[0]), string(part[1]), part[2]
	return it, nil
}

// close removes the file. The spool is empty afterwards.
func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
	s.memory, s.file, s.onDisk = nil, nil, 0
}
