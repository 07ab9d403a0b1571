// Package statefile writes the files of the state directory: each as a whole or not
// at all, whatever happens meanwhile, and for its owner only. It has the form of what
// is in the big ones, too: records with a checksum.
//
// A file is written beside the one that it replaces, under its name and a number
// behind a dash. What a killed process leaves of it is removed at the next start.
package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// A File takes the place of another one when it is complete.
type File struct {
	*os.File
	path string
}

// Create begins a file that will be at a path.
func Create(path string) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*")
	if err != nil {
		return nil, err
	}
	return &File{f, path}, nil
}

// Commit puts the file in its place. On an error what is there stays.
func (f *File) Commit() error {
	err := errors.Join(f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Discard removes the file; what is in its place stays.
func (f *File) Discard() {
	_ = f.Close()
	_ = os.Remove(f.Name()) // at the next start, then
}

// Replace writes a file as a whole.
func Replace(path string, text []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		f.Discard()
		return err
	}
	return f.Commit()
}

// probeBytes is more than file systems keep beside the content.
const probeBytes = 4096

// Probe says whether files can be written in a directory: a full disk lets us create
// one, not fill it. It returns what the file system made of the one that was tried.
func Probe(dir string) (fs.FileInfo, error) {
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return nil, err
	}
	_, err = f.Write(make([]byte, probeBytes))
	info, serr := f.Stat()
	return info, errors.Join(err, serr, f.Close(), os.Remove(f.Name()))
}
