package catalog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// An Overflow holds layers in order until it is their turn. It keeps the first
// ones in memory and the rest in a temporary file, so that waiting costs disk and
// not memory. One goroutine adds, then one goroutine drains: it is not safe for
// concurrent use.
type Overflow struct {
	dir    string // for the file; empty: memory only
	limit  int    // bytes kept in memory
	memory []Layer
	bytes  int
	file   *os.File
	w      *bufio.Writer
	onDisk int
	size   uint64 // bytes on disk
	names  map[Source]uint32
	order  []Source
}

// layerOverhead approximates what a layer costs besides its texts, in bytes.
const layerOverhead = 160

// NewOverflow keeps up to limit bytes in memory and the rest in dir; without a
// directory it keeps everything in memory.
func NewOverflow(dir string, limit int) *Overflow {
	return &Overflow{dir: dir, limit: limit}
}

// Add appends a layer. The error is that of the file; the layer is kept in memory then.
func (o *Overflow) Add(l Layer) error {
	if o.file == nil && (o.bytes < o.limit || o.dir == "") {
		o.keep(l)
		return nil
	}
	if o.file == nil {
		f, err := os.CreateTemp(o.dir, "waiting-*")
		if err != nil {
			o.dir = ""
			o.keep(l)
			return fmt.Errorf("entities wait in memory because no file can hold them: %w", err)
		}
		_ = os.Remove(f.Name()) // the open file stays usable and vanishes with the process
		o.file, o.w, o.names = f, bufio.NewWriterSize(f, 16<<10), map[Source]uint32{}
	}
	o.onDisk++
	return o.write(l)
}

func (o *Overflow) keep(l Layer) {
	o.memory = append(o.memory, l)
	o.bytes += len(l.Body) + len(l.Identifier) + layerOverhead
}

// Len counts the layers that wait.
func (o *Overflow) Len() int { return len(o.memory) + o.onDisk }

func (o *Overflow) write(l Layer) error {
	n, ok := o.names[l.Source]
	if !ok {
		n = uint32(len(o.order))
		o.names[l.Source] = n
		o.order = append(o.order, l.Source)
	}
	var flags uint64
	if l.Search {
		flags |= 1
	}
	if l.Partial {
		flags |= 2
	}
	head := make([]byte, 0, 64)
	head = binary.AppendUvarint(head, uint64(n))
	head = binary.AppendUvarint(head, flags)
	head = binary.AppendUvarint(head, uint64(len(l.Blueprint)))
	head = append(head, l.Blueprint...)
	head = binary.AppendUvarint(head, uint64(len(l.Identifier)))
	head = append(head, l.Identifier...)
	head = binary.AppendUvarint(head, uint64(len(l.Body)))
	o.size += uint64(len(head) + len(l.Body))
	if _, err := o.w.Write(head); err != nil {
		return err
	}
	_, err := o.w.Write(l.Body)
	return err
}

// Drain hands every layer to yield in order and forgets l. It stops at the
// first error, yield's included.
func (o *Overflow) Drain(yield func(Layer) error) error {
	defer o.close()
	for i, l := range o.memory {
		o.memory[i] = Layer{}
		if err := yield(l); err != nil {
			return err
		}
	}
	o.memory, o.bytes = nil, 0
	if o.file == nil {
		return nil
	}
	if err := o.w.Flush(); err != nil {
		return err
	}
	if _, err := o.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(o.file, 16<<10)
	for range o.onDisk {
		l, err := o.read(r)
		if err != nil {
			return fmt.Errorf("reading waiting entities: %w", err)
		}
		if err := yield(l); err != nil {
			return err
		}
	}
	return nil
}

func (o *Overflow) read(r *bufio.Reader) (Layer, error) {
	var l Layer
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return l, err
	}
	if n >= uint64(len(o.order)) {
		return l, errors.New("damaged file")
	}
	l.Source = o.order[n]
	flags, err := binary.ReadUvarint(r)
	if err != nil {
		return l, err
	}
	l.Search, l.Partial = flags&1 != 0, flags&2 != 0
	var part [3][]byte
	for i := range part {
		size, err := binary.ReadUvarint(r)
		if err != nil {
			return l, err
		}
		if size > o.size {
			return l, errors.New("damaged file")
		}
		part[i] = make([]byte, size)
		if _, err := io.ReadFull(r, part[i]); err != nil {
			return l, err
		}
	}
	l.Blueprint, l.Identifier, l.Body = string(part[0]), string(part[1]), part[2]
	return l, nil
}

// close removes the file. The overflow is empty afterwards.
func (o *Overflow) close() {
	if o.file != nil {
		_ = o.file.Close()
	}
	o.memory, o.file, o.onDisk = nil, nil, 0
}
