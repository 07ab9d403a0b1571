package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ownFolder makes a folder that only this user may enter, or takes over one that
// exists and is ours.
func ownFolder(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err == nil || !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := own(dir); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no folder: move it away", dir)
	case info.Mode().Perm() == 0o700:
		return nil
	}
	// Volumes with modes of their own refuse.
	if err := os.Chmod(dir, 0o700); err != nil && !errors.Is(err, os.ErrPermission) { //nolint:gosec // it is a folder
		return err
	}
	return nil
}

// own refuses what somebody else has put in the place of our file or folder:
// through a link or an open door of his we would write, or read, what he likes.
// What the administrator owns is good: volumes of some systems look like that.
func own(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link: remove it, or set OCEAN__STATE_DIRECTORY to where it leads", path)
	case !info.IsDir() && !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a file nor a folder: remove it", path)
	}
	if uid, ok := owner(info); ok && uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d and this process runs as %d: give it to this user, or set OCEAN__STATE_DIRECTORY to another directory", path, uid, os.Geteuid())
	}
	return nil
}
