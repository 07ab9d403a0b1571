package memory

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

const (
	// The data file begins with its kind and a random number; the index repeats
	// the number, so that it is not taken for that of another file.
	dataMagic  = "adomem1\n"
	indexMagic = "adomix1\n"
	dataHeader = 16

	indexHeader = 32
	indexEntry  = 20
)

// load opens the data file and learns what is in it: from the index, and what
// came after it was written from the file itself.
func (m *Memory) load() error {
	for _, name := range []string{dataFile, indexFile} {
		if err := os.Remove(m.path(name + newSuffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	err := m.openData()
	if errors.Is(err, errDamaged) {
		m.log.Warn("the memory is damaged and begins anew", "file", m.path(dataFile), "moved_to", m.path(damagedFile), "err", err)
		m.file.Close()
		if err := os.Rename(m.path(dataFile), m.path(damagedFile)); err != nil {
			return err
		}
		err = m.openData()
	}
	if err != nil {
		return err
	}
	m.end, m.resync, m.index = dataHeader, 1, newTable(0)
	if err := m.loadIndex(); err != nil && !errors.Is(err, os.ErrNotExist) {
		m.log.Info("the index of the memory is made anew", "err", err)
	}
	if err := m.scan(); err != nil || m.end <= m.limits.Bytes {
		return err
	}
	m.log.Info("the memory is bigger than it may be and begins anew", "bytes", m.end, "at_most", m.limits.Bytes)
	m.end, m.index = dataHeader, newTable(0)
	return m.file.Truncate(dataHeader)
}

var errDamaged = errors.New("not a memory")

// openData opens the data file, or makes one.
func (m *Memory) openData() error {
	f, err := os.OpenFile(m.path(dataFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	m.file = f
	head := make([]byte, dataHeader)
	n, err := f.ReadAt(head, 0)
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		m.id, err = begin(f)
		return err
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case n < dataHeader || string(head[:8]) != dataMagic:
		return errDamaged
	}
	m.id = binary.LittleEndian.Uint64(head[8:])
	return nil
}

// begin writes the header of a data file.
func begin(f io.Writer) (id uint64, err error) {
	head := append([]byte(dataMagic), make([]byte, 8)...)
	if _, err := rand.Read(head[8:]); err != nil {
		return 0, err
	}
	_, err = f.Write(head)
	return binary.LittleEndian.Uint64(head[8:]), err
}

// loadIndex reads the index file. On an error nothing has changed.
func (m *Memory) loadIndex() error {
	info, err := m.file.Stat()
	if err != nil {
		return err
	}
	b, err := os.ReadFile(m.path(indexFile))
	if err != nil {
		return err
	}
	body := len(b) - 4
	switch {
	case body < indexHeader || (body-indexHeader)%indexEntry != 0 || string(b[:8]) != indexMagic,
		binary.LittleEndian.Uint32(b[body:]) != crc32.Checksum(b[:body], castagnoli):
		return errDamaged
	case binary.LittleEndian.Uint64(b[8:]) != m.id:
		return errors.New("it belongs to another file")
	}
	end := int64(binary.LittleEndian.Uint64(b[16:]))
	if end < dataHeader || end > info.Size() {
		return fmt.Errorf("the file has %d bytes, not %d", info.Size(), end)
	}
	index := newTable((body - indexHeader) / indexEntry)
	for e := b[indexHeader:body]; len(e) > 0; e = e[indexEntry:] {
		index.put(binary.LittleEndian.Uint64(e), slot{
			at: binary.LittleEndian.Uint32(e[8:]), size: binary.LittleEndian.Uint32(e[12:]), used: binary.LittleEndian.Uint32(e[16:]),
		})
	}
	m.index, m.end, m.resync = index, end, max(1, binary.LittleEndian.Uint32(b[24:]))
	return nil
}

// saveIndex replaces the index file. mu is held, and nothing waits.
func (m *Memory) saveIndex() error {
	b := make([]byte, indexHeader, indexHeader+indexEntry*m.index.len()+4)
	copy(b, indexMagic)
	binary.LittleEndian.PutUint64(b[8:], m.id)
	binary.LittleEndian.PutUint64(b[16:], uint64(m.end))
	binary.LittleEndian.PutUint32(b[24:], m.resync)
	for short, s := range m.index.all() {
		b = binary.LittleEndian.AppendUint64(b, short)
		b = binary.LittleEndian.AppendUint32(b, s.at)
		b = binary.LittleEndian.AppendUint32(b, s.size)
		b = binary.LittleEndian.AppendUint32(b, s.used)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	path := m.path(indexFile)
	err := os.WriteFile(path+newSuffix, b, 0o600)
	if err == nil {
		err = os.Rename(path+newSuffix, path)
	}
	if err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	return nil
}

// scan reads the records behind m.end into the index and cuts off what is not
// one: a process that was killed leaves half a record.
func (m *Memory) scan() error {
	info, err := m.file.Stat()
	if err != nil || info.Size() == m.end {
		return err
	}
	err = records(m.file, m.end, info.Size(), func(at int64, rec []byte) error {
		m.index.put(name(rec[8:24]).short(), slot{at: uint32(at / alignment), size: uint32(len(rec)), used: m.resync})
		m.end = at + padded(len(rec))
		return nil
	})
	switch {
	case err != nil:
		return err
	case info.Size() > m.end:
		m.log.Info("the end of the memory is damaged and cut off", "file", m.path(dataFile), "bytes", info.Size()-m.end)
		return m.file.Truncate(m.end)
	}
	return nil
}

// records visits the whole records of a file from one place to another, up to the
// first that is not whole. rec is valid during the visit. Errors are the visitor's
// and the disk's.
func records(f io.ReaderAt, from, to int64, visit func(at int64, rec []byte) error) error {
	to = min(to, mostBytes)
	r := bufio.NewReaderSize(io.NewSectionReader(f, from, to-from), 256<<10)
	rec := make([]byte, recordHeader)
	for at := from; at+recordHeader <= to; {
		if _, err := io.ReadFull(r, rec[:recordHeader]); err != nil {
			return err
		}
		size := recordHeader + int64(binary.LittleEndian.Uint32(rec[4:]))
		next := at + (size+alignment-1)/alignment*alignment
		if next > to || size > recordHeader+maxValueBytes {
			return nil
		}
		if int64(cap(rec)) < next-at {
			rec = append(make([]byte, 0, next-at), rec[:recordHeader]...)
		}
		rec = rec[:next-at]
		if _, err := io.ReadFull(r, rec[recordHeader:]); err != nil {
			return err
		}
		if !intact(rec[:size]) {
			return nil
		}
		if err := visit(at, rec[:size]); err != nil {
			return err
		}
		at = next
	}
	return nil
}
