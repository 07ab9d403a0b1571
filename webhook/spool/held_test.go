package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// held makes a directory in which n deliveries wait, and has it.
func held(t *testing.T, n int, cfg Config) *Held {
	t.Helper()
	if cfg.Directory == "" {
		cfg.Directory = t.TempDir()
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := s.Accept(t.Context(), Delivery{Key: fmt.Sprint(i), EventID: "e"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := Hold(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		h.Release()
	})
	return h
}

// opened opens the file, in which there has to be so much.
func opened(t *testing.T, h *Held, waiting, dead int) {
	t.Helper()
	if w, d, err := h.Open(t.Context()); w != waiting || d != dead || err != nil {
		t.Fatalf("Open = %d, %d, %v, want %d and %d", w, d, err, waiting, dead)
	}
}

// next is Next, as text.
func next(t *testing.T, h *Held) (page []Leftover, text string) {
	t.Helper()
	page, err := h.Next()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i := range page {
		if page[i].Dead {
			fmt.Fprintf(&b, "dead: %s ", ReadDead(0, page[i].Text).Reason)
			continue
		}
		d, err := readRecord(0, page[i].Text)
		if err != nil || d.Key != page[i].Key {
			t.Errorf("record %+v of %q, %v", d, page[i].Key, err)
		}
		b.WriteString(d.Key + " ")
	}
	return page, b.String()
}

// A damaged record becomes a dead letter, and nothing that waits stands behind it.
func TestLeftoversOfWhichOneIsDamaged(t *testing.T) {
	t.Parallel()
	h := held(t, 3, Config{})
	opened(t, h, 3, 0)
	err := h.s.store.update(func(t tx) error {
		if err := bury(t, burial{id: 3, reason: "old"}, &result{}); err != nil {
			return err
		}
		return t.put(waiting, 1, []byte("this is no record"))
	})
	if err != nil {
		t.Fatal(err)
	}
	opened(t, h, 2, 1)
	var got []string
	for {
		page, text := next(t, h)
		if len(page) == 0 {
			break
		}
		got = append(got, text)
		if err := h.Delete(page); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 3 || got[0] != "1 " || !strings.HasPrefix(got[1], "dead: the record is damaged") || got[2] != "dead: old " {
		t.Errorf("leftovers %q", got)
	}
	opened(t, h, 0, 0)
}

// A page has a bound, and what was not deleted comes again.
func TestLeftoversInPages(t *testing.T) {
	t.Parallel()
	h := held(t, nextCount+1, Config{})
	opened(t, h, nextCount+1, 0)
	page, text := next(t, h)
	if again, same := next(t, h); len(page) != nextCount || len(again) != nextCount || same != text {
		t.Errorf("pages of %d and %d", len(page), len(again))
	}
	if err := h.Delete(page); err != nil {
		t.Fatal(err)
	}
	if page, _ := next(t, h); len(page) != 1 || page[0].Key != fmt.Sprint(nextCount) {
		t.Errorf("then %+v", page)
	}
}

// A file that is damaged in use is rescued when it is opened again.
func TestLeftoversOfADamagedFile(t *testing.T) {
	t.Parallel()
	var lost atomic.Int32
	h := held(t, 5, Config{Lost: func() { lost.Add(1) }})
	opened(t, h, 5, 0)
	page, _ := next(t, h)
	b, _ := h.s.store.(*bolt)
	b.broken.Store(true)
	if err := h.Delete(page); !errors.Is(err, ErrDamaged) {
		t.Errorf("Delete = %v", err)
	}
	opened(t, h, 5, 0)
	if aside, _ := filepath.Glob(h.s.path() + ".damaged-*"); len(aside) != 1 || lost.Load() != 0 {
		t.Errorf("moved aside: %v; %d losses", aside, lost.Load())
	}
	if _, text := next(t, h); text != "0 1 2 3 4 " {
		t.Errorf("leftovers %s", text)
	}
}

// What somebody else has put there is not read; the directory can be used all the same.
func TestLeftoversOfSomebodyElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), filepath.Join(dir, fileName)); err != nil {
		t.Skip(err)
	}
	h, err := Hold(Config{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if _, _, err := h.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("Open: %v", err)
	}
}

// A large file is small when nothing is left in it, and still a file: one that is missing
// would be a loss.
func TestLeftoversOfALargeFile(t *testing.T) {
	t.Parallel()
	h := held(t, 1, Config{})
	if err := os.Truncate(h.s.path(), shrinkBytes); err != nil { // as after a long queue
		t.Fatal(err)
	}
	opened(t, h, 1, 0)
	page, _ := next(t, h)
	if err := h.Delete(page); err != nil {
		t.Fatal(err)
	}
	next(t, h)
	h.Close()
	if info, err := os.Stat(h.s.path()); err != nil || info.Size() == 0 || info.Size() > 16<<20 {
		t.Errorf("the file: %v, %v", info, err)
	}
	opened(t, h, 0, 0)
}
