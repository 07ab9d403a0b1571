package ocean

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Sources are the texts that settings come from, strongest first: Overrides,
// Environ, DotEnv, YAML, Fallbacks. The zero value is valid.
type Sources struct {
	// Overrides are what the command line replaces, by canonical name:
	// OCEAN__EVENT_LISTENER__TYPE=ONCE for --once.
	Overrides map[string]string
	// Environ is the process environment.
	Environ map[string]string
	// DotEnv is the text of `.env`, YAML that of `config.yaml`; nil when absent.
	DotEnv, YAML []byte
	// Fallbacks are command-line values that the environment beats, by
	// canonical name: APPLICATION__PORT for --port.
	Fallbacks map[string]string
}

// maxFile bounds `.env` and `config.yaml` in bytes: both are written by hand.
const maxFile = 1 << 20

// ReadSources reads `.env` and `config.yaml` from the directory in which the
// process was started. A file that is absent is empty; one that exists and
// cannot be read is an error.
func ReadSources(dir string, environ map[string]string) (Sources, error) {
	src := Sources{Environ: environ}
	var errs [2]error
	src.DotEnv, errs[0] = readFile(filepath.Join(dir, ".env"))
	src.YAML, errs[1] = readFile(filepath.Join(dir, "config.yaml"))
	return src, errors.Join(errs[:]...)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil && info.IsDir(): // a directory called .env is common in other tools' trees, and no setting
		return nil, nil
	case err == nil && info.Size() > maxFile:
		return nil, fmt.Errorf("read configuration: %s is larger than %d bytes", path, maxFile)
	}
	b, err := os.ReadFile(path) //nolint:gosec // one of two fixed names in the working directory
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return b, nil
}
