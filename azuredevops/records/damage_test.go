package records_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/records"
)

// lines are values that a store keeps in several forms: short, packed and empty.
func lines(m *records.Store, version string) map[string]string {
	out := map[string]string{}
	for i := range 3 {
		key := fmt.Sprint("key", i)
		out[key] = strings.Repeat(version+key, 1+20*i)
		m.Put(key, []byte(out[key]))
	}
	return out
}

// What was put last for a key is there or nothing is, whichever byte of the files is
// another one, and whether the process was killed or closed the store.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{true, false} {
		dir := t.TempDir()
		m := open(t, dir, roomy)
		lines(m, "first")
		if closed { // the index does not have the second values
			end(t, m, true)
		}
		want := lines(m, "second")
		m.Drop("key0")
		m.Put("key2", nil)
		want["key0"], want["key2"] = "none", ""
		if closed {
			m.Close()
		}
		for _, name := range []string{"records", "records.index"} {
			whole, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				continue // there is no index
			}
			for part := range 4 {
				t.Run(fmt.Sprint(closed, name, part), func(t *testing.T) {
					t.Parallel()
					state := t.TempDir()
					damaged := func(what string, file []byte, more bool) {
						copyStore(t, dir, filepath.Join(state, "records"))
						edit(t, filepath.Join(state, "records", name), func([]byte) []byte { return file })
						readThrough(t, what, state, want, more)
					}
					for at := part; at < len(whole); at += 4 {
						b := bytes.Clone(whole)
						b[at] ^= 1 << (at / 4 % 8)
						damaged(fmt.Sprintf("byte %d", at), b, at%16 == part)
					}
					for n := part; n < len(whole) && closed; n += 12 { // a store whose process was killed cannot tell that it was longer
						damaged(fmt.Sprintf("the first %d bytes", n), whole[:n], false)
					}
				})
			}
		}
	}
}

// copyStore copies the files of a store as they lie there now.
func copyStore(t *testing.T, dir, to string) string {
	t.Helper()
	if err := errors.Join(os.RemoveAll(to), os.Mkdir(to, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"records", "records.index"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return to
}

// readThrough opens a store and wants no value but the right one; with more it also
// opens it for reading only, lets a resync end, and opens it again.
func readThrough(t *testing.T, what, state string, want map[string]string, more bool) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	check := func(m *records.Store) {
		for key, want := range want {
			if got, ok := m.Get(key); ok && (string(got) != want || want == "none") {
				t.Errorf("%s: Get(%s) = %.20q, want %.20q or nothing", what, key, got, want)
			}
		}
	}
	if more {
		if only, err := records.ReadIn(state, log); err == nil {
			check(only)
			only.Close()
		}
	}
	for again := range 2 {
		if again > 0 && !more {
			return
		}
		m := records.OpenIn(state, 1<<20, log)
		if m == nil {
			t.Fatalf("%s: not opened", what)
		}
		check(m)
		m.Put("more", []byte("x"))
		if more {
			end(t, m, true)
		}
		check(m)
		m.Close()
	}
}

// Where a new value does not fit, the old one is gone all the same, also for the next
// process; small ones fit for longer.
func TestFullForgetsTheOldValue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	limits := records.Limits{Bytes: 256 << 10}
	m := open(t, dir, limits)
	m.Put("state", []byte("before"))
	noise := make([]byte, 6000)
	random := rand.NewChaCha8([32]byte{})
	fill := func() (n int) {
		for ; ; n++ {
			_, _ = random.Read(noise)
			if !m.Put(fmt.Sprint("noise", n), noise) {
				return n
			}
		}
	}
	if n := fill(); n < 30 {
		t.Fatalf("full after %d values", n)
	}
	if m.Put("noise3", noise) || m.Put("noise4", make([]byte, 17<<20)) {
		t.Error("a value fits that cannot")
	}
	if !m.Put("state", []byte("after")) {
		t.Error("a small value does not fit")
	}
	check := func(m *records.Store, when string) {
		t.Helper()
		for key, want := range map[string]bool{"noise2": true, "noise3": false, "noise4": false} {
			if _, ok := m.Get(key); ok != want {
				t.Errorf("%s: %s is there: %v, want %v", when, key, ok, want)
			}
		}
		if v, _ := m.Get("state"); string(v) != "after" {
			t.Errorf("%s: state = %q", when, v)
		}
	}
	check(m, "full")
	again := open(t, copyStore(t, dir, filepath.Join(t.TempDir(), "copy")), limits)
	check(again, "opened after a kill")
	for i := range 10_000 { // what it takes to fill the room for small values
		if !again.Put(fmt.Sprint("small", i), []byte("x")) {
			break
		}
		if i == 9_999 {
			t.Error("small values have no bound")
		}
	}
	if again.Put("noise2", noise) {
		t.Error("a value fits that cannot")
	}
	if _, ok := again.Get("noise2"); ok {
		t.Error("an old value is there that could not be replaced")
	}
	// Whether or not resyncs are complete, a full store makes room for what is used.
	most := 0
	for range 3 {
		most = max(most, fill())
		end(t, m, false)
	}
	if most < 30 {
		t.Errorf("a store stays full: %d values fit", most)
	}
}

func TestClear(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := open(t, dir, roomy)
	put(m, "a", "b", "c")
	end(t, m, true)
	m.Clear()
	put(m, "c")
	m.Sync()
	for when, m := range map[string]*records.Store{"now": m, "after a kill": open(t, copyStore(t, dir, filepath.Join(t.TempDir(), "copy")), roomy)} {
		if got := known(t, m, "a", "b", "c"); got != "c" {
			t.Errorf("%s: known = %q, want what was put since", when, got)
		}
	}
	var none *records.Store
	none.Clear()
	none.Sync()
	none.Drop("a")
}

// A store can be read while another process has it: as it was when it was opened.
func TestReadIn(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	if m, err := records.ReadIn(state, log); m != nil || err == nil {
		t.Errorf("ReadIn of nothing = %v, %v", m, err)
	}
	service := records.OpenIn(state, 1<<20, log)
	put(service, "a", "b")
	only, err := records.ReadIn(state, log)
	if err != nil {
		t.Fatal(err)
	}
	defer only.Close()
	put(service, "c")
	put(only, "d")
	only.Drop("a")
	if err := only.EndResync(true); err != nil {
		t.Error(err)
	}
	for range 3 { // the service writes its file anew
		end(t, service, true)
		known(t, service, "a", "c")
	}
	if got := known(t, only, "a", "b", "c", "d"); got != "a b" {
		t.Errorf("known = %q, want what was there", got)
	}
	service.Close()
	if got := known(t, only, "a", "b", "c", "d"); got != "a b" {
		t.Errorf("known without the service = %q", got)
	}
}

// What an earlier build has left is taken over once, and stays until a resync is complete.
func TestFormer(t *testing.T) {
	t.Parallel()
	former := func(t *testing.T, state string, change func([]byte) []byte) string {
		m := records.OpenIn(state, 1<<20, slog.New(slog.DiscardHandler))
		put(m, "a", "b")
		m.Close()
		at := filepath.Join(state, "memory")
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(at, "memory")
		if err := os.Rename(filepath.Join(state, "records", "records"), path); err != nil {
			t.Fatal(err)
		}
		edit(t, path, func(b []byte) []byte { return change(append([]byte("adomem1\n"), b[8:]...)) })
		if err := os.RemoveAll(filepath.Join(state, "records")); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tt := range map[string]struct {
		change    func([]byte) []byte
		want, log string
	}{
		"whole":   {func(b []byte) []byte { return b }, "a b", ""},
		"half":    {func(b []byte) []byte { return b[:len(b)-30] }, "a", "cut off"},
		"damaged": {func(b []byte) []byte { b[70] ^= 4; return b }, "", "begins anew"},
		"foreign": {func(b []byte) []byte { return b[1:] }, "", "damaged"},
		"empty":   {func([]byte) []byte { return []byte{} }, "", "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := t.TempDir()
			path := former(t, state, tt.change)
			var log bytes.Buffer
			m := records.OpenIn(state, 1<<20, slog.New(slog.NewTextHandler(&log, nil)))
			if got := known(t, m, "a", "b"); got != tt.want || !strings.Contains(log.String(), tt.log) {
				t.Errorf("known = %q, log %s; want %q, %q", got, log.String(), tt.want, tt.log)
			}
			put(m, "c")
			end(t, m, false)
			if _, err := os.Stat(path); err != nil {
				t.Errorf("after a resync that was not complete: %v", err)
			}
			m.Close()
			m = records.OpenIn(state, 1<<20, slog.New(slog.DiscardHandler))
			defer m.Close()
			if got := known(t, m, "c"); got != "c" {
				t.Error("it was taken over twice")
			}
			end(t, m, true)
			if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
				t.Errorf("after a complete resync: %v", err)
			}
		})
	}
}
