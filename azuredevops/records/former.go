package records

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// What earlier builds kept lies in a folder of its own: the same records, deflated.
const (
	formerDirectory = "memory"
	formerMagic     = "adomem1\n"
)

// takeOver makes a store of what an earlier version has left, once. Its files stay
// until the first complete resync, so that one can go back.
func takeOver(state, dir string, log *slog.Logger) error {
	if _, err := os.Stat(filepath.Join(dir, dataFile)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	former, err := os.Open(filepath.Join(state, formerDirectory, formerDirectory)) //nolint:gosec // a fixed name in the state directory
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer former.Close()
	head := make([]byte, len(formerMagic))
	if _, err := io.ReadFull(former, head); err != nil || string(head) != formerMagic {
		log.Warn("what an earlier version remembered is damaged and is read again", "file", former.Name())
		return nil
	}
	path := filepath.Join(dir, dataFile)
	f, err := os.OpenFile(path+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // a fixed name in the state directory
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.MultiReader(strings.NewReader(dataMagic), former))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path+newSuffix, path)
	}
	return err
}

// dropFormer removes what an earlier version has left.
func (s *Store) dropFormer() {
	_ = os.RemoveAll(filepath.Join(filepath.Dir(s.dir), formerDirectory))
}
