package ocean

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops/statefile"
)

// stateVariable names the state directory.
const stateVariable = "OCEAN__STATE_DIRECTORY"

// ErrState is a state directory that was named and cannot be used.
var ErrState = errors.New("the state directory cannot be used")

// StateDirectory returns the directory for what survives a restart.
//
// A directory that OCEAN__STATE_DIRECTORY names (configured) is the one that is
// used. When it cannot be, the error is ErrState and names the variable and the
// remedy, and asking again later may find it mended: nothing moves to
// another place, where the next start would not look.
//
// Otherwise it is the first of $XDG_STATE_HOME/ado-port,
// $HOME/.local/state/ado-port and /tmp/ocean/ado-port that can be used; one in
// which deliveries may be waiting comes before the others. When there is none,
// dir is empty after one warning, and everything is kept in memory.
func StateDirectory(configured string, environ map[string]string, log *slog.Logger) (dir string, err error) {
	if configured == "" {
		return unnamedState(stateCandidates(environ, "/tmp"), log), nil
	}
	if err := prepare(configured, false, log); err != nil {
		return "", fmt.Errorf("%s: %w: %w", stateVariable, ErrState, err)
	}
	return configured, nil
}

func stateCandidates(environ map[string]string, tmp string) []string {
	const program = "ado-port"
	var out []string
	// Relative paths in these variables are invalid (XDG Base Directory
	// Specification).
	if d := environ["XDG_STATE_HOME"]; filepath.IsAbs(d) {
		out = append(out, filepath.Join(d, program))
	}
	if d := environ["HOME"]; filepath.IsAbs(d) {
		out = append(out, filepath.Join(d, ".local", "state", program))
	}
	// The chart port-labs/port-ocean mounts a volume at /tmp/ocean.
	return append(out, filepath.Join(tmp, "ocean", program))
}

// stateOrder puts those in which deliveries may be waiting first.
func stateOrder(candidates []string) []string {
	slices.SortStableFunc(candidates, func(a, b string) int { return boolOrder(holdsSpool(b)) - boolOrder(holdsSpool(a)) })
	return candidates
}

// unnamedState returns the first candidate that can be used.
func unnamedState(candidates []string, log *slog.Logger) string {
	candidates = stateOrder(candidates)
	var errs []error
	chosen := ""
	for _, dir := range candidates {
		waiting := holdsSpool(dir)
		if chosen == "" {
			err := prepare(dir, true, log)
			if err == nil {
				chosen = dir
				continue
			}
			errs = append(errs, err)
		}
		if waiting {
			log.Warn("deliveries may be waiting in a directory that is not used; name it with "+stateVariable+" or remove it", "path", dir, "err", errors.Join(errs...))
		}
	}
	if chosen == "" {
		log.Warn("no directory is writable: what is known is lost at the next restart; set "+stateVariable, "err", errors.Join(errs...))
	}
	return chosen
}

// holdsSpool reports whether deliveries may be waiting in a directory.
func holdsSpool(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "hooks", "spool.db"))
	return err == nil && info.Size() > 0
}

// stateFolders and stateFiles are what this program keeps in the state directory.
var (
	stateFolders = []string{"hooks", "records", "memory"} // the last one of an earlier version
	stateFiles   = []string{"origins", "origins-live", "gitops", "mapping.json", "completed.json", "hooks-state.json", "hooks-alive", "hooks-removed"}
)

// prepare makes a directory ready for use, or says why it cannot be used and what
// to do. own says that it belongs to this program alone, as those below a home
// directory do; a named one may be a volume with an owner of its own.
func prepare(dir string, own bool, log *slog.Logger) error {
	before, err := os.Lstat(dir)
	existed := err == nil
	if existed && own && before.Mode()&os.ModeSymlink != 0 {
		return linkError(dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w; make it a directory that this process may write", err)
	}
	user, err := writable(dir)
	if err != nil {
		return fmt.Errorf("%w; let this process write there", err)
	}
	if err := trusted(dir, own, user); err != nil {
		return err
	}
	parent := dir
	if own || !existed {
		closeToOthers(dir)
		parent = filepath.Dir(dir)
	}
	for _, name := range stateFolders {
		closeToOthers(filepath.Join(dir, name))
	}
	if info, err := os.Stat(parent); err == nil && info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0 && !isMount(parent) {
		log.Warn("every user may replace the state directory; take the permission away (chmod o-w) or make the directory sticky (chmod +t)", "path", parent)
	}
	return nil
}

// trusted refuses a directory into which somebody else may have put something.
func trusted(dir string, own bool, user uint32) error {
	if own {
		if err := foreign(dir, user); err != nil {
			return err
		}
	}
	for _, name := range slices.Concat(stateFolders, stateFiles) {
		if err := foreign(filepath.Join(dir, name), user); err != nil {
			return err
		}
	}
	return nil
}

func linkError(path string) error {
	return fmt.Errorf("%s is a symbolic link; replace it by what it leads to, or set %s", path, stateVariable)
}

// foreign refuses a folder or file of ours that somebody else has put there.
func foreign(path string, user uint32) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSymlink != 0:
		return linkError(path)
	}
	if owner := ownerOf(info); owner != user {
		return fmt.Errorf("%s belongs to another user (%d, this process is %d); give it to this user (chown -R %d), remove it, or set %s",
			path, owner, user, user, stateVariable)
	}
	return nil
}

// closeToOthers takes the permissions of others away. Some file systems have none
// to take, which is no reason not to use them.
func closeToOthers(dir string) {
	if info, err := os.Lstat(dir); err == nil && info.IsDir() && info.Mode().Perm()&0o077 != 0 {
		_ = os.Chmod(dir, 0o700) //nolint:gosec // a directory needs to be entered
	}
}

// writable creates a file in a directory and returns who owns it: on shares that
// keep no owners it is not this process.
func writable(dir string) (user uint32, err error) {
	info, err := statefile.Probe(dir)
	if err != nil {
		return 0, err
	}
	return ownerOf(info), nil
}

// temporary are the names of files that are written beside the one that they
// replace, or that hold what does not fit into memory for a while.
var temporary = regexp.MustCompile(`^(?:\.writable-|waiting-|(?:` + strings.ReplaceAll(strings.Join(stateFiles, "|"), ".", `\.`) + `)[-.])[0-9]+$`)

// SweepState removes the temporary files that a killed process has left in the
// state directory; "" is none. Call it before anything is written there.
func SweepState(dir string, log *slog.Logger) {
	if dir == "" {
		return
	}
	entries, err := os.ReadDir(dir)
	errs := []error{err}
	for _, e := range entries {
		if e.Type().IsRegular() && temporary.MatchString(e.Name()) {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		log.Warn("temporary files of an earlier process are left", "err", err)
	}
}

// stateRetry is the time between two looks at a state directory that cannot be used.
const stateRetry = 2 * time.Second

// AwaitState returns when the named directory can be used, and at the end of ctx:
// another place is not where the next start would look.
func AwaitState(ctx context.Context, configured string, environ map[string]string, log *slog.Logger) {
	tick := time.NewTicker(stateRetry)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if _, err := StateDirectory(configured, environ, log); err == nil {
			return
		}
	}
}
