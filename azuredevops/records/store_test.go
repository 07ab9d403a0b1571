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
	"sync"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/records"
)

var roomy = records.Limits{Bytes: 1 << 20}

func open(tb testing.TB, dir string, limits records.Limits) *records.Store {
	tb.Helper()
	m, err := records.Open(dir, limits, nil)
	if err != nil || m == nil {
		tb.Fatalf("Open = %v, %v", m, err)
	}
	tb.Cleanup(func() { m.Close() })
	return m
}

// known is which of some keys are remembered, each with its own value.
func known(tb testing.TB, m *records.Store, keys ...string) string {
	tb.Helper()
	var out []string
	for _, k := range keys {
		v, ok := m.Get(k)
		if ok && string(v) != valueOf(k) {
			tb.Errorf("Get(%q) = %q", k, v)
		}
		if ok {
			out = append(out, k)
		}
	}
	return strings.Join(out, " ")
}

func valueOf(key string) string { return strings.Repeat(key+" ", 100) }

func put(m *records.Store, keys ...string) {
	for _, k := range keys {
		m.Put(k, []byte(valueOf(k)))
	}
}

func end(tb testing.TB, m *records.Store, complete bool) {
	tb.Helper()
	if err := m.EndResync(complete); err != nil {
		tb.Fatal(err)
	}
}

func TestValues(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir, roomy)
	noise := make([]byte, 5000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	values := map[string][]byte{"empty": {}, "short": []byte("x"), "long": bytes.Repeat([]byte(`{"a":1},`), 20000), "noise": noise}
	check := func(m *records.Store, when string) {
		t.Helper()
		for k, want := range values {
			if got, ok := m.Get(k); !ok || !bytes.Equal(got, want) {
				t.Errorf("%s: Get(%q) = %d bytes, %v, want %d", when, k, len(got), ok, len(want))
			}
		}
		if v, ok := m.Get("other"); ok {
			t.Errorf("%s: Get of what was not put = %q", when, v)
		}
	}
	m.Put("short", []byte("y"))
	for k, v := range values {
		m.Put(k, v)
	}
	check(m, "before writing")
	end(t, m, true)
	check(m, "written")
	if s := m.Stats(); s.Entries != 4 || s.Bytes > 10000 {
		t.Errorf("stats = %+v", s)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, ok := m.Get("short"); ok {
		t.Error("a closed memory remembers")
	}
	m.Put("short", nil)
	check(open(t, dir, roomy), "opened again")
}

// Without a directory, bytes or the right to write nothing is remembered, and
// nothing fails.
func TestOff(t *testing.T) {
	dir := t.TempDir()
	for name, o := range map[string]struct {
		dir    string
		limits records.Limits
		fails  bool
	}{
		"no directory": {"", roomy, false}, "no bytes": {dir, records.Limits{}, false}, "gone": {filepath.Join(dir, "gone"), roomy, true},
	} {
		m, err := records.Open(o.dir, o.limits, slog.New(slog.DiscardHandler))
		if m != nil || !m.Off() || (err != nil) != o.fails {
			t.Errorf("%s: Open = %v, %v", name, m, err)
		}
		put(m, "a")
		if known(t, m, "a") != "" || m.EndResync(true) != nil || m.Close() != nil || m.Stats() != (records.Stats{}) {
			t.Errorf("%s: the nil memory remembers", name)
		}
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir, roomy)
	if other, err := records.Open(dir, roomy, nil); other != nil || !errors.Is(err, records.ErrTaken) {
		t.Errorf("a second Open = %v, %v", other, err)
	}
	m.Close()
	open(t, dir, roomy)
}

// A process that is killed leaves what was written so far.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir, roomy)
	put(m, "a", "b")
	end(t, m, true)
	for i := range 30 {
		m.Put(fmt.Sprint("noise", i), []byte(strings.Repeat(fmt.Sprint(i*i*i), 1000)))
	}
	copied := t.TempDir() // as the files lie there now
	for _, f := range []string{"records", "records.index"} {
		b, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, f), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := known(t, open(t, copied, roomy), "a", "b"); got != "a b" {
		t.Errorf("known = %q", got)
	}
}

func edit(t *testing.T, path string, change func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b = change(b); b == nil {
		err = os.Remove(path)
	} else {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDamage(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte {
			b[(len(b)+at)%len(b)] ^= 1
			return b
		}
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	gone := func([]byte) []byte { return nil }
	same := func(b []byte) []byte { return b }
	foreign := func([]byte) []byte { return []byte("something else of a reasonable length") }
	cases := []struct {
		name        string
		data, index func([]byte) []byte
		want, log   string
		moved       bool
	}{
		{"none", same, same, "a b c", "", false},
		{"no index", same, gone, "a b c", "", false},
		{"a damaged index", same, flip(-9), "a b c", "made anew", false},
		{"a foreign index", same, foreign, "a b c", "made anew", false},
		{"the index of another file", same, flip(8), "a b c", "made anew", false},
		{"a cut off end", cut(1), same, "", "begins anew", true},
		{"half a record and no index", cut(30), gone, "a b", "cut off", false},
		{"more at the end", func(b []byte) []byte { return append(b, strings.Repeat("garbage", 99)...) }, same, "", "begins anew", true},
		{"half a record more", func(b []byte) []byte { return append(b, b[16:56]...) }, same, "a b c", "cut off", false},
		{"a damaged record", flip(50), same, "", "begins anew", false},
		{"a damaged record and no index", flip(50), gone, "", "begins anew", true},
		{"a damaged length and no index", flip(16 + 6), gone, "", "begins anew", true},
		{"a damaged last record and no index", flip(-20), gone, "", "begins anew", true},
		{"a damaged header", flip(2), same, "", "begins anew", true},
		{"a foreign file", foreign, same, "", "begins anew", true},
		{"a file of nothing", func(b []byte) []byte { return make([]byte, len(b)) }, same, "", "begins anew", true},
		{"an empty file", func([]byte) []byte { return []byte{} }, same, "", "made anew", false},
		{"no file", gone, same, "", "made anew", false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			m := open(t, dir, roomy)
			put(m, "a", "b", "c")
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			edit(t, filepath.Join(dir, "records"), tc.data)
			edit(t, filepath.Join(dir, "records.index"), tc.index)
			var log bytes.Buffer
			m, err := records.Open(dir, roomy, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if got := known(t, m, "a", "b", "c"); got != tc.want {
				t.Errorf("known = %q, want %q", got, tc.want)
			}
			if !strings.Contains(log.String(), tc.log) || tc.log == "" && log.Len() > 0 {
				t.Errorf("log = %s, want %q", log.String(), tc.log)
			}
			if _, err := os.Stat(filepath.Join(dir, "records.damaged")); (err == nil) != tc.moved {
				t.Errorf("moved aside: %v, want %v", err == nil, tc.moved)
			}
			put(m, "a", "b", "c")
			end(t, m, true)
			if got := known(t, m, "a", "b", "c"); got != "a b c" {
				t.Errorf("known after putting it again = %q", got)
			}
		})
	}
}

// What the last two complete resyncs did not use goes when the file is written
// anew; incomplete ones do not count.
func TestUnused(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir, records.Limits{Bytes: 4 << 20})
	big := make([]byte, 200000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(big)
	put(m, "used", "unused")
	m.Put("big", big)
	size := func() int64 { return m.Stats().Bytes }
	full := size()
	for i, complete := range []bool{true, false, false, true} {
		if end(t, m, complete); known(t, m, "used") == "" || size() != full {
			t.Fatalf("resync %d: %d bytes of %d, used is known: %q", i, size(), full, known(t, m, "used"))
		}
		if i == 1 { // the count survives the process
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			m = open(t, dir, roomy)
		}
	}
	end(t, m, true)
	if got := known(t, m, "used", "unused", "big"); got != "used" || size() >= full/10 {
		t.Errorf("known = %q in %d bytes of %d", got, size(), full)
	}
	put(m, "new")
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if got := known(t, open(t, dir, roomy), "used", "unused", "new"); got != "used new" {
		t.Errorf("known after opening the new file = %q", got)
	}
}

func TestBounds(t *testing.T) {
	dir := t.TempDir()
	limits := records.Limits{Bytes: 40 << 10, Entries: 100}
	m := open(t, dir, limits)
	m.Put("too big", make([]byte, 17<<20))
	noise := make([]byte, limits.Bytes/16)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	m.Put("too big when packed", noise)
	if s := m.Stats(); s.Entries > 0 {
		t.Errorf("%d entries, none fits", s.Entries)
	}
	var first, second []string
	for i := range 500 {
		first, second = append(first, fmt.Sprint("first", i)), append(second, fmt.Sprint("second", i))
	}
	put(m, first...)
	check := func(when string) {
		t.Helper()
		info, err := os.Stat(filepath.Join(dir, "records"))
		if err != nil {
			t.Fatal(err)
		}
		if s := m.Stats(); s.Entries > limits.Entries || s.Bytes > limits.Bytes || info.Size() > limits.Bytes {
			t.Errorf("%s: %+v, %d bytes on disk", when, s, info.Size())
		}
	}
	end(t, m, true)
	check("full")
	if s := m.Stats(); s.Entries != limits.Entries {
		t.Errorf("%d entries, want %d", s.Entries, limits.Entries)
	}
	// A full memory makes room for what is used now.
	known(t, m, first[:10]...)
	put(m, second...)
	end(t, m, true)
	put(m, second...)
	check("changed")
	if got := known(t, m, second[:50]...); !strings.HasPrefix(got, "second0 ") {
		t.Errorf("known of the second = %q", got)
	}
	if got := known(t, m, first[:10]...); got != strings.Join(first[:10], " ") {
		t.Errorf("known of the first = %q", got)
	}
	m.Close()
	limits = records.Limits{Bytes: 4 << 10, Entries: 10}
	m = open(t, dir, limits) // a smaller setting
	check("smaller")
}

func TestConcurrent(t *testing.T) {
	m := open(t, t.TempDir(), records.Limits{Bytes: 1 << 20})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 300 {
				k := fmt.Sprint((w*37 + i*i) % 500)
				if known(t, m, k) == "" {
					put(m, k)
				}
			}
		})
	}
	for range 5 {
		end(t, m, true)
	}
	wg.Wait()
}

// A disk that takes nothing more ends the store, not the program.
func TestDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	dir := t.TempDir()
	m := open(t, dir, roomy)
	put(m, "a")
	end(t, m, true)
	if err := os.Symlink("/dev/full", filepath.Join(dir, "records.index.new")); err != nil {
		t.Fatal(err)
	}
	if err := m.EndResync(true); err == nil {
		t.Error("no error")
	}
	if got := known(t, m, "a"); got != "a" {
		t.Errorf("known = %q", got)
	}
}

func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	m := open(f, dir, roomy)
	put(m, "a", "b")
	m.Close()
	data, _ := os.ReadFile(filepath.Join(dir, "records"))
	index, _ := os.ReadFile(filepath.Join(dir, "records.index"))
	f.Add(data, index)
	f.Add(data[:40], []byte{})
	f.Fuzz(func(t *testing.T, data, index []byte) {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "records"), data, 0o600)
		os.WriteFile(filepath.Join(dir, "records.index"), index, 0o600)
		m := open(t, dir, roomy)
		known(t, m, "a", "b")
		put(m, "c")
		end(t, m, true)
		if got := known(t, m, "c"); got != "c" {
			t.Errorf("known = %q", got)
		}
	})
}

// index is what an entry takes in memory, packed values what they take on disk.
func BenchmarkMemory(b *testing.B) {
	m := open(b, b.TempDir(), records.Limits{Bytes: 1 << 30})
	value := []byte(strings.Repeat(`{"id":"6a1b","type":"Stage","state":"completed","result":"succeeded"},`, 20))
	b.Run("put", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			m.Put(fmt.Sprint(i), value)
		}
	})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			m.Get(fmt.Sprint(i % 1000))
		}
	})
}

// A value is what its parts are together, however many and long they are.
func TestParts(t *testing.T) {
	t.Parallel()
	s, err := records.Open(t.TempDir(), records.Limits{Bytes: 64 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for i, sizes := range [][]int{{}, {0}, {5}, {3000}, {20, 3000}, {20, 30, 3000}, {3000, 20}, {1 << 16, 3000}, {1<<16 - 1, 3000}, {0, 0, 200}} {
		var parts [][]byte
		for j, n := range sizes {
			parts = append(parts, bytes.Repeat([]byte{byte('a' + j)}, n))
		}
		if !s.Put("key", parts...) {
			t.Fatalf("%d: not kept", i)
		}
		if got, ok := s.Get("key"); !ok || !bytes.Equal(got, bytes.Join(parts, nil)) {
			t.Errorf("parts of %v: got %d bytes, %v", sizes, len(got), ok)
		}
	}
}
