package records

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ado-port/ado-port/azuredevops/statefile"
)

const (
	// The data file begins with its kind and a random number; the index repeats
	// the number, so that it is not taken for that of another file.
	dataMagic  = "adorec1\n"
	indexMagic = "adorix1\n"
	dataHeader = 16

	indexHeader = 32
	indexEntry  = 20
)

// load opens the data file and learns what is in it: from the index, and what
// came after it was written from the file itself.
func (s *Store) load() error {
	for _, name := range []string{dataFile, indexFile} {
		if err := os.Remove(s.path(name + newSuffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	err := s.openData()
	if err == nil {
		err = s.learn()
	}
	if errors.Is(err, errDamaged) {
		s.log.Warn("the record store is damaged and begins anew", "file", s.path(dataFile), "moved_to", s.path(damagedFile), "err", err)
		s.file.Close()
		if err := os.Rename(s.path(dataFile), s.path(damagedFile)); err != nil {
			return err
		}
		s.end, s.resync, s.index = dataHeader, 1, newTable(0)
		err = s.openData()
	}
	if err != nil || s.end <= s.limits.Bytes {
		return err
	}
	s.log.Info("the record store is bigger than it may be and begins anew", "bytes", s.end, "at_most", s.limits.Bytes)
	s.end, s.index = dataHeader, newTable(0)
	return s.restart()
}

// learn finds out what is in the data file.
func (s *Store) learn() error {
	s.end, s.resync, s.index = dataHeader, 1, newTable(0)
	switch err := s.loadIndex(); {
	case errors.Is(err, errDamaged):
		return err
	case err != nil && !errors.Is(err, os.ErrNotExist):
		s.log.Info("the index of the record store is made anew", "err", err)
	}
	return s.scan()
}

// restart makes the data file a new one with nothing in it.
func (s *Store) restart() error {
	err := os.Remove(s.path(indexFile))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = s.file.Truncate(0)
	}
	if err == nil {
		_, err = s.file.Seek(0, io.SeekStart)
	}
	if err == nil {
		s.id, err = begin(s.file)
	}
	return err
}

var errDamaged = errors.New("it is damaged, or no record store")

// openData opens the data file, or makes one.
func (s *Store) openData() error {
	f, err := os.OpenFile(s.path(dataFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	s.file = f
	err = s.readHeader()
	if errors.Is(err, io.EOF) {
		s.id, err = begin(f)
	}
	return err
}

// readHeader reads the header of the data file; io.EOF means that the file is empty.
func (s *Store) readHeader() error {
	head := make([]byte, dataHeader)
	n, err := s.file.ReadAt(head, 0)
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return io.EOF
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case n < dataHeader || string(head[:8]) != dataMagic:
		return errDamaged
	}
	s.id = binary.LittleEndian.Uint64(head[8:])
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
func (s *Store) loadIndex() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	b, err := os.ReadFile(s.path(indexFile))
	if err != nil {
		return err
	}
	body := len(b) - 4
	switch {
	case body < indexHeader || (body-indexHeader)%indexEntry != 0 || string(b[:8]) != indexMagic,
		binary.LittleEndian.Uint32(b[body:]) != statefile.Checksum(b[:body]):
		return errors.New("it is damaged")
	case binary.LittleEndian.Uint64(b[8:]) != s.id:
		return errors.New("it belongs to another file")
	}
	end := int64(binary.LittleEndian.Uint64(b[16:]))
	if end < dataHeader || end > info.Size() {
		return fmt.Errorf("%w: it has %d bytes, and had %d", errDamaged, info.Size(), end)
	}
	index := newTable((body - indexHeader) / indexEntry)
	for e := b[indexHeader:body]; len(e) > 0; e = e[indexEntry:] {
		index.put(binary.LittleEndian.Uint64(e), slot{
			at: binary.LittleEndian.Uint32(e[8:]), size: binary.LittleEndian.Uint32(e[12:]), used: binary.LittleEndian.Uint32(e[16:]),
		})
	}
	s.index, s.end, s.resync = index, end, max(1, binary.LittleEndian.Uint32(b[24:]))
	return nil
}

// saveIndex replaces the index file. mu is held, and nothing waits.
func (s *Store) saveIndex() error {
	b := make([]byte, indexHeader, indexHeader+indexEntry*s.index.len()+4)
	copy(b, indexMagic)
	binary.LittleEndian.PutUint64(b[8:], s.id)
	binary.LittleEndian.PutUint64(b[16:], uint64(s.end))
	binary.LittleEndian.PutUint32(b[24:], s.resync)
	for short, e := range s.index.all() {
		b = binary.LittleEndian.AppendUint64(b, short)
		b = binary.LittleEndian.AppendUint32(b, e.at)
		b = binary.LittleEndian.AppendUint32(b, e.size)
		b = binary.LittleEndian.AppendUint32(b, e.used)
	}
	b = binary.LittleEndian.AppendUint32(b, statefile.Checksum(b))
	path := s.path(indexFile)
	err := os.WriteFile(path+newSuffix, b, 0o600)
	if err == nil {
		err = os.Rename(path+newSuffix, path)
	}
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	return nil
}

// scan reads the records behind s.end into the index. Half a record at the end, as a
// process leaves it that is killed, is cut off; everything else that is none is damage.
func (s *Store) scan() error {
	info, err := s.file.Stat()
	if err != nil || info.Size() == s.end {
		return err
	}
	s.end, err = statefile.Records(s.file, s.end, min(info.Size(), mostBytes), func(at int64, rec []byte) error {
		short := shortOf(statefile.NameOf(rec))
		if statefile.Erased(rec) {
			s.index.drop(short)
			return nil
		}
		s.index.put(short, slot{at: uint32(at / statefile.Alignment), size: uint32(len(rec)), used: s.resync})
		return nil
	})
	rest := info.Size() - s.end
	if err != nil || rest == 0 {
		return err
	}
	torn, err := statefile.Torn(s.file, s.end, info.Size())
	if err != nil {
		return err
	}
	if !torn {
		return fmt.Errorf("%w behind byte %d", errDamaged, s.end)
	}
	if s.lock == nil {
		return nil
	}
	s.log.Info("half a record at the end of the record store is cut off", "file", s.path(dataFile), "bytes", rest)
	return s.file.Truncate(s.end)
}
