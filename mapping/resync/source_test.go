package resync_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/resync"
)

// A reader answers with a document, or fails, and counts.
type reader struct {
	doc   string
	err   error
	asked int
}

func (r *reader) read(ctx context.Context) (json.RawMessage, error) {
	r.asked++
	if r.err == context.DeadlineExceeded { //nolint:errorlint // it is said so by the test
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return json.RawMessage(r.doc), r.err
}

// blocks counts the blocks of a mapping, -1 for none.
func blocks(m *mapping.Mapping, err error) int {
	if err != nil || m == nil {
		return -1
	}
	return len(m.Resources)
}

var (
	oneBlock  = doc(repositories)
	twoBlocks = doc(repositories, projects)
	errAway   = errors.New("port is away")
)

const broken = `{"resources":`

func TestFreshMapping(t *testing.T) {
	t.Parallel()
	r := &reader{doc: oneBlock}
	s := resync.NewSource(resync.SourceConfig{Read: r.read, TTL: time.Hour})
	changes := 0
	s.OnChange(func() { changes++ })
	step := func(what string, want, asked, changed int) {
		t.Helper()
		if got := blocks(s.Fresh(t.Context())); got != want || r.asked != asked || changes != changed {
			t.Errorf("%s: %d blocks, asked %d times, %d changes; want %d, %d, %d", what, got, r.asked, changes, want, asked, changed)
		}
	}
	step("the first one", 1, 1, 0)
	step("the same again", 1, 2, 0)
	s.Use(t.Context(), json.RawMessage(twoBlocks))
	r.doc = twoBlocks
	step("what was just read", 2, 2, 1)
	step("that was once", 2, 3, 1)
	s.Use(t.Context(), json.RawMessage(broken))
	step("not what cannot be used", 2, 4, 1)
	r.doc = broken
	step("what cannot be used is an error", -1, 5, 1)
	r.err = errAway
	step("port is away", -1, 6, 1)
	if m, err := s.Current(t.Context()); blocks(m, err) != 2 {
		t.Errorf("the known mapping is lost: %v, %v", m, err)
	}
}

func TestCheckMapping(t *testing.T) {
	t.Parallel()
	s := resync.NewSource(resync.SourceConfig{})
	if err := s.Check([]byte(oneBlock)); err != nil {
		t.Error(err)
	}
	if err := s.Check([]byte(broken)); err == nil || !strings.Contains(err.Error(), "the mapping cannot be used") {
		t.Errorf("Check = %v", err)
	}
}

func TestCurrentMapping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reader{doc: oneBlock}
		s := resync.NewSource(resync.SourceConfig{Read: r.read, TTL: time.Minute})
		step := func(what string, want, asked int) {
			t.Helper()
			if got := blocks(s.Current(t.Context())); got != want || r.asked != asked {
				t.Errorf("%s: %d blocks, asked %d times; want %d, %d", what, got, r.asked, want, asked)
			}
		}
		step("the first one", 1, 1)
		r.doc = twoBlocks
		time.Sleep(59 * time.Second)
		step("still current", 1, 1)
		time.Sleep(time.Second)
		step("after its time", 2, 2)
		time.Sleep(time.Minute)
		r.doc = broken
		step("one that cannot be used", 2, 3)
		r.err = errAway
		step("port is away", 2, 4)
		r.err = context.DeadlineExceeded
		begun := time.Now()
		step("port does not answer", 2, 5)
		if waited := time.Since(begun); waited > 10*time.Second {
			t.Errorf("a known mapping waited %s", waited)
		}
		r.doc, r.err = oneBlock, nil
		step("port is back", 1, 6)
	})
}

// A process that starts while Port is away uses the last document of the one before.
func TestMappingOfAnEarlierProcess(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, dir string) (state string)
		want    int
	}{
		"none": {func(_ *testing.T, dir string) string { return dir }, -1},
		"kept": {func(t *testing.T, dir string) string {
			t.Helper()
			keep(t, dir)
			return dir
		}, 2},
		"no directory": {func(*testing.T, string) string { return "" }, -1},
		"damaged": {func(t *testing.T, dir string) string {
			t.Helper()
			keep(t, dir)
			if err := os.Truncate(filepath.Join(dir, "mapping.json"), 10); err != nil {
				t.Fatal(err)
			}
			return dir
		}, -1},
		"not a file": {func(t *testing.T, dir string) string {
			t.Helper()
			if err := os.Mkdir(filepath.Join(dir, "mapping.json"), 0o700); err != nil {
				t.Fatal(err)
			}
			return dir
		}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &reader{err: errAway}
			s := resync.NewSource(resync.SourceConfig{Read: r.read, StateDirectory: tt.prepare(t, t.TempDir())})
			m, err := s.Current(t.Context())
			if got := blocks(m, err); got != tt.want {
				t.Errorf("%d blocks, %v; want %d", got, err, tt.want)
			}
			if _, err := s.Fresh(t.Context()); !errors.Is(err, errAway) {
				t.Errorf("a resync began with an old mapping: %v", err)
			}
		})
	}
}

// keep has a process before remember two blocks, after one.
func keep(t *testing.T, dir string) {
	t.Helper()
	r := &reader{doc: oneBlock}
	s := resync.NewSource(resync.SourceConfig{Read: r.read, StateDirectory: dir})
	for _, r.doc = range []string{oneBlock, twoBlocks} {
		if _, err := s.Current(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("%v, %v; want one file", files, err)
	}
}

func TestMappingThatCannotBeKept(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r := &reader{doc: oneBlock}
	dir := filepath.Join(t.TempDir(), "nowhere")
	s := resync.NewSource(resync.SourceConfig{Read: r.read, StateDirectory: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if m, err := s.Fresh(t.Context()); blocks(m, err) != 1 {
		t.Errorf("Fresh = %v, %v", m, err)
	}
	if !strings.Contains(log.String(), "not kept") {
		t.Errorf("nothing says so: %s", &log)
	}
}
