package ocean

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// StateDirectory returns the directory for what survives a restart: the first
// of OCEAN__STATE_DIRECTORY (configured), $XDG_STATE_HOME/ado-port,
// $HOME/.local/state/ado-port and /tmp/ocean/ado-port that can be created and
// written (design 6; charts guarantee the last one). When there is none it is
// empty, after one warning; so is the warning when the configured one could
// not be used.
func StateDirectory(configured string, environ map[string]string, log *slog.Logger) string {
	return firstWritable(configured, stateCandidates(configured, environ, "/tmp"), log)
}

func stateCandidates(configured string, environ map[string]string, tmp string) []string {
	const program = "ado-port"
	var out []string
	if configured != "" {
		out = append(out, configured)
	}
	// Relative paths in these variables are invalid (XDG Base Directory
	// Specification).
	if d := environ["XDG_STATE_HOME"]; filepath.IsAbs(d) {
		out = append(out, filepath.Join(d, program))
	}
	if d := environ["HOME"]; filepath.IsAbs(d) {
		out = append(out, filepath.Join(d, ".local", "state", program))
	}
	return append(out, filepath.Join(tmp, "ocean", program))
}

func firstWritable(configured string, candidates []string, log *slog.Logger) string {
	var first error
	for _, dir := range candidates {
		err := writable(dir)
		if err == nil {
			if configured != "" && dir != configured {
				log.Warn("OCEAN__STATE_DIRECTORY cannot be used", "err", first, "instead", dir)
			}
			return dir
		}
		if first == nil {
			first = err
		}
	}
	log.Warn("no directory is writable: what is known is lost at the next restart; set OCEAN__STATE_DIRECTORY", "err", first)
	return ""
}

// writable creates the directory and a file in it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	_, err = f.WriteString("x") // a full disk lets us create, not write
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if rerr := os.Remove(f.Name()); err == nil {
		err = rerr
	}
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	return nil
}
