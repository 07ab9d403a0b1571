package records

import (
	"bufio"
	"errors"
	"os"

	"github.com/ado-port/ado-port/azuredevops/statefile"
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
func (s *Store) plan() (keep func(slot) bool, worth bool) {
	age, share, least := uint32(oldResyncs), int64(worthShare), min(worthBytes, s.limits.Bytes/2)
	if s.full {
		age, share, least = 1, 2*worthShare, 1
	}
	keep = func(e slot) bool { return e.used+age >= s.resync }
	kept := int64(dataHeader)
	for _, e := range s.index.all() {
		if keep(e) {
			kept += statefile.Padded(int(e.size))
		}
	}
	free := s.end - kept
	return keep, free >= s.end/share && free >= least
}

// compact writes what is kept into a new file that takes the place of the old
// one; after damage that is nothing. mu and gate are held; on an error nothing has
// changed.
func (s *Store) compact(keep func(slot) bool) (err error) {
	path := s.path(dataFile)
	f, err := os.OpenFile(path+newSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // a fixed name in the directory of the store
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
	index, end := newTable(s.index.len()), int64(dataHeader)
	reached, err := statefile.Records(s.file, dataHeader, s.end, func(at int64, rec []byte) error {
		short := shortOf(statefile.NameOf(rec))
		e, ok := s.index.get(short)
		if !ok || e.offset() != at || !keep(e) {
			return nil
		}
		e.at = uint32(end / statefile.Alignment)
		index.put(short, e)
		end += statefile.Padded(len(rec))
		_, err := w.Write(statefile.Pad(rec))
		return err
	})
	if err == nil {
		err = errors.Join(w.Flush(), f.Sync())
	}
	if err == nil && reached < s.end {
		s.log.Warn("the record store is damaged and begins anew", "file", path, "offset", reached)
		s.clear()
		return errors.Join(f.Close(), os.Remove(path+newSuffix))
	}
	if err == nil {
		err = os.Rename(path+newSuffix, path)
	}
	if err != nil {
		return err
	}
	s.log.Debug("the record store was written anew", "bytes_before", s.end, "bytes", end, "entries_before", s.index.len(), "entries", index.len())
	s.file.Close()
	s.file, s.id, s.index, s.end = f, id, index, end
	return nil
}
