package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// errDamaged means that the file cannot be trusted any more.
var errDamaged = errors.New("the file of the spool is damaged")

const (
	fileName  = "spool.db"
	lockName  = "spool.lock"
	newSuffix = ".new" // of a file that will replace the one of the spool

	// mapBytes of address space are reserved at once, so that a growing file is
	// not mapped anew while deliveries arrive.
	mapBytes = 256 << 20
	// growBytes is by how much the file grows.
	growBytes = 4 << 20
	// shrinkBytes is the size from which a file without content is made anew at
	// the start: bbolt's files never shrink.
	shrinkBytes = 64 << 20
)

var bucketNames = [...][]byte{waiting: []byte("waiting"), dead: []byte("dead")}

// bolt is a store in a file.
type bolt struct {
	db     *bbolt.DB
	path   string
	file   *os.File    // the one of db
	broken atomic.Bool // db must not be used any more, not even to close it
}

// openBolt opens or makes the file. The caller has the lock of the directory and
// has looked at a file that exists with inspectBolt: bbolt, which finds free
// pages in a goroutine of its own, ends the process over a damaged one.
func openBolt(path string) (*bolt, error) {
	_, statErr := os.Stat(path)
	b := &bolt{path: path}
	err := guard(func() error {
		if err := b.open(false); err != nil {
			return err
		}
		b.db.AllocSize = growBytes
		return b.db.Update(func(t *bbolt.Tx) error {
			for _, name := range bucketNames {
				if _, err := t.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err == nil && errors.Is(statErr, os.ErrNotExist) {
		err = syncDir(filepath.Dir(path)) // or the file's name may be lost with the power
	}
	if err != nil {
		_ = b.close()
		return nil, err
	}
	return b, nil
}

// open tells a damaged file from one that cannot be opened.
func (b *bolt) open(readOnly bool) (err error) {
	opt := &bbolt.Options{
		OpenFile: func(path string, flag int, mode os.FileMode) (f *os.File, err error) {
			f, err = os.OpenFile(path, flag|noFollow, mode) //nolint:gosec // the file of the configuration
			b.file = f
			return f, err
		},
		ReadOnly:       readOnly,
		Timeout:        time.Second, // for a process that does not know our lock
		NoFreelistSync: true,        // a list of free pages per commit would be longer than the commit
		FreelistType:   bbolt.FreelistMapType,
		NoStatistics:   true,
	}
	if runtime.GOOS != "windows" && !readOnly { // there the file would be as large at once
		opt.InitialMmapSize = mapBytes
	}
	b.db, err = bbolt.Open(b.path, 0o600, opt)
	var path *os.PathError
	switch {
	case err == nil, errors.As(err, &path):
		return err
	case errors.Is(err, berrors.ErrTimeout):
		return ErrLocked
	}
	return fmt.Errorf("%w: %w", errDamaged, err)
}

// inspectBolt opens a file for reading only. nil: there is none, or nothing in
// it. errDamaged means that the content cannot be read.
func inspectBolt(path string) (*bolt, error) {
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil, nil //nolint:nilnil // as the comment says
	}
	b, lists := &bolt{path: path}, 0
	err := guard(func() error {
		if err := b.open(true); err != nil {
			return err
		}
		return b.db.View(func(t *bbolt.Tx) error {
			return t.ForEach(func(name []byte, list *bbolt.Bucket) error {
				lists++
				if list == nil || lists > len(bucketNames) {
					return fmt.Errorf("%w: %q is no list", errDamaged, name)
				}
				return nil
			})
		})
	})
	if err == nil && lists > 0 {
		return b, nil
	}
	_ = b.close()
	return nil, err
}

// guard turns a panic of fn, also that of an access to a part of the file that
// is not there, into errDamaged. bbolt checks its pages by assertions.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return fn()
}

// syncDir makes the names in a directory durable. Not every system can.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the directory of the configuration
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}

// update leaves a transaction that met damage open: to roll it back, bbolt reads
// the whole file in a goroutine whose panic nobody can catch.
func (b *bolt) update(fn func(tx) error) error {
	if b.broken.Load() {
		return errDamaged
	}
	err := guard(func() error {
		t, err := b.db.Begin(true)
		if err != nil {
			return err
		}
		bt, err := lists(t)
		if err == nil {
			bt[waiting].FillPercent = 1 // ids only grow
			err = fn(bt)
		}
		if err == nil {
			return t.Commit()
		}
		if !errors.Is(err, errDamaged) {
			_ = t.Rollback()
		}
		return err
	})
	if errors.Is(err, errDamaged) {
		b.broken.Store(true)
	}
	return err
}

func (b *bolt) view(fn func(tx) error) error {
	if b.broken.Load() {
		return errDamaged
	}
	return guard(func() error {
		return b.db.View(func(t *bbolt.Tx) error {
			bt, err := lists(t)
			if err != nil {
				return err
			}
			return fn(bt)
		})
	})
}

func lists(t *bbolt.Tx) (*boltTx, error) {
	var bt boltTx
	for i, name := range bucketNames {
		if bt[i] = t.Bucket(name); bt[i] == nil {
			return nil, fmt.Errorf("%w: a list is missing", errDamaged)
		}
	}
	return &bt, nil
}

// close closes the file. Of a broken one the address space stays taken, which
// would keep the lock.
func (b *bolt) close() error {
	if b.db != nil && !b.broken.Load() {
		return guard(b.db.Close)
	}
	if b.file != nil {
		unlockFile(b.file)
		_ = b.file.Close()
	}
	return nil
}

type boltTx [2]*bbolt.Bucket

func idKey(id uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), id) }

func (t *boltTx) next() (uint64, error)          { return t[waiting].NextSequence() }
func (t *boltTx) get(b bucket, id uint64) []byte { return t[b].Get(idKey(id)) }

func (t *boltTx) put(b bucket, id uint64, v []byte) error { return t[b].Put(idKey(id), v) }
func (t *boltTx) delete(b bucket, id uint64) error        { return t[b].Delete(idKey(id)) }

func (t *boltTx) each(b bucket, from uint64, fn func(uint64, []byte) error) error {
	c := t[b].Cursor()
	last := uint64(0)
	for k, v := c.Seek(idKey(from)); k != nil; k, v = c.Next() {
		if len(k) != 8 || v == nil {
			return fmt.Errorf("%w: %x is no key of a record", errDamaged, k)
		}
		id := binary.BigEndian.Uint64(k)
		if id <= last {
			return fmt.Errorf("%w: the order of keys", errDamaged)
		}
		last = id
		if err := fn(id, v); err != nil {
			return unlessStop(err)
		}
	}
	return nil
}
