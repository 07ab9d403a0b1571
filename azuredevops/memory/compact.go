package memory

import (
	"bufio"
	"errors"
	"os"
)

const (
	// oldResyncs is how many complete resyncs an unused value is kept.
	oldResyncs = 2
	// worthShare is the part of the file that has to become free, and worthBytes
	// what it has to be at least: writing it anew is no matter of course.
	worthShare = 4
	worthBytes = 64 << 10
)

// plan decides what is kept, and whether it is worth writing the file anew. A
// memory that is full keeps only what the last complete resync used. mu is held.
func (m *Memory) plan() (keep func(slot) bool, worth bool) {
	age, share, least := uint32(oldResyncs), int64(worthShare), min(worthBytes, m.limits.Bytes/2)
	if m.full {
		age, share, least = 1, 2*worthShare, 1
	}
	keep = func(s slot) bool { return s.used+age >= m.resync }
	kept := int64(dataHeader)
	for _, s := range m.index.all() {
		if keep(s) {
			kept += padded(int(s.size))
		}
	}
	free := m.end - kept
	return keep, free >= m.end/share && free >= least
}

// compact writes what is kept into a new file that takes the place of the old
// one. A damaged record is left behind with what comes after it. mu and gate are
// held; on an error nothing has changed.
func (m *Memory) compact(keep func(slot) bool) (err error) {
	path := m.path(dataFile)
	f, err := os.OpenFile(path+newSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // a fixed name in the directory of the memory
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(path+newSuffix))
		}
	}()
	w := bufio.NewWriterSize(f, 256<<10)
	id, err := begin(w)
	if err != nil {
		return err
	}
	index, end := newTable(m.index.len()), int64(dataHeader)
	err = records(m.file, dataHeader, m.end, func(at int64, rec []byte) error {
		short := name(rec[8:24]).short()
		s, ok := m.index.get(short)
		if !ok || s.offset() != at || !keep(s) {
			return nil
		}
		s.at = uint32(end / alignment)
		index.put(short, s)
		end += padded(len(rec))
		_, err := w.Write(rec)
		if err == nil {
			_, err = w.Write(padding[:padded(len(rec))-int64(len(rec))])
		}
		return err
	})
	if err == nil {
		err = errors.Join(w.Flush(), f.Sync())
	}
	if err == nil {
		err = os.Rename(path+newSuffix, path)
	}
	if err != nil {
		return err
	}
	m.log.Debug("the memory was written anew", "bytes_before", m.end, "bytes", end, "entries_before", m.index.len(), "entries", index.len())
	m.file.Close()
	m.file, m.id, m.index, m.end = f, id, index, end
	return nil
}
