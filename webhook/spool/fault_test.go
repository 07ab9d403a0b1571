package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errDiskFull = errors.New("no space left on device")

// faulty is a store whose disk can be full, or that loses the answer: it has
// written and says that it has not.
type faulty struct {
	store
	full, lostAnswer atomic.Bool
}

func (f *faulty) update(fn func(tx) error) error {
	if f.full.Load() {
		return errDiskFull
	}
	err := f.store.update(fn)
	if f.lostAnswer.Load() {
		return errDiskFull
	}
	return err
}

func faultySpool(t *testing.T) (*Spool, *faulty) {
	t.Helper()
	s, err := Open(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{store: s.store}
	s.store = f
	return s, f
}

// While the disk is full, deliveries are refused, and what is done meanwhile is
// written down later. Refused ones are no duplicates when they are sent again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := faultySpool(t)
		first, second := Delivery{Key: "a", EventID: "1"}, Delivery{Key: "a", EventID: "2"}
		if _, err := s.Accept(t.Context(), first, nil); err != nil {
			t.Fatal(err)
		}
		c, err := s.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.full.Store(true)
		s.Finish(c, nil)
		for range 3 {
			if _, err := s.Accept(t.Context(), second, nil); !errors.Is(err, errDiskFull) {
				t.Errorf("Accept = %v, want %v", err, errDiskFull)
			}
		}
		time.Sleep(time.Minute) // the fake clock
		if st := s.Stats(); s.Failing() == nil || st.Depth != 0 {
			t.Errorf("Stats = %+v, %v", st, s.Failing())
		}
		f.full.Store(false)
		time.Sleep(2 * time.Second)
		err = f.view(func(t tx) error {
			return t.each(waiting, 0, func(uint64, []byte) error { return errors.New("a record is left") })
		})
		if err != nil || s.Failing() != nil {
			t.Errorf("after the disk has room again: %v, %v", err, s.Failing())
		}
		if dup, err := s.Accept(t.Context(), second, nil); dup || err != nil {
			t.Errorf("Accept = %v, %v", dup, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A copy of a delivery that is just being stored has the fate of the first.
func TestCopyOfOneBeingStored(t *testing.T) {
	t.Parallel()
	for _, fail := range []bool{false, true} {
		s, f := faultySpool(t)
		f.full.Store(fail)
		var wg sync.WaitGroup
		var good, bad, copies atomic.Int32
		for range 50 {
			wg.Go(func() {
				dup, err := s.Accept(t.Context(), Delivery{Key: "a", EventID: "1"}, nil)
				switch {
				case err != nil:
					bad.Add(1)
				case dup:
					copies.Add(1)
				default:
					good.Add(1)
				}
			})
		}
		wg.Wait()
		if fail && bad.Load() != 50 || !fail && (good.Load() != 1 || copies.Load() != 49) {
			t.Errorf("fail %v: %d stored, %d copies, %d refused", fail, good.Load(), copies.Load(), bad.Load())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A commit whose success is not known: the sender sends again, and the delivery
// is there, at least once.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	s, f := faultySpool(t)
	f.lostAnswer.Store(true)
	d := Delivery{Key: "a", EventID: "1"}
	if _, err := s.Accept(t.Context(), d, nil); err == nil {
		t.Error("no error")
	}
	f.lostAnswer.Store(false)
	if dup, err := s.Accept(t.Context(), d, nil); dup || err != nil {
		t.Errorf("again: %v, %v", dup, err)
	}
	if c, err := s.Take(t.Context()); err != nil || len(c.Deliveries) != 1 {
		t.Errorf("Take = %v, %v", c, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A sender that goes away while the disk is slow does not take the delivery
// with it, and is told what happened when it sends again.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	s, _ := faultySpool(t)
	s.storeMu.Lock()
	inner := s.store
	goOn := make(chan struct{})
	s.store = &slow{inner, goOn}
	s.storeMu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := Delivery{Key: "a", EventID: "1"}
	if _, err := s.Accept(ctx, d, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Accept = %v, want Canceled", err)
	}
	close(goOn)
	if dup, err := s.Accept(t.Context(), d, nil); !dup || err != nil {
		t.Errorf("again: %v, %v", dup, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

type slow struct {
	store
	goOn chan struct{}
}

func (s *slow) update(fn func(tx) error) error {
	<-s.goOn
	return s.store.update(fn)
}

// A file that is damaged while it is in use is moved aside; the service goes on
// with a new one.
func TestDamageInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var lines strings.Builder
		s, err := Open(t.Context(), Config{Directory: dir, Log: slog.New(slog.NewTextHandler(&lines, nil))})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			if _, err := s.Accept(t.Context(), Delivery{Key: fmt.Sprint(i), Body: []byte(strings.Repeat("x", 100))}, nil); err != nil {
				t.Fatal(err)
			}
		}
		c, err := s.Take(t.Context()) // counts no more afterwards
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fileName)
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, info.Size()-8192), 8192); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if _, err := s.Accept(t.Context(), Delivery{Key: "next"}, nil); !errors.Is(err, errDamaged) {
			t.Errorf("Accept = %v, want errDamaged", err)
		}
		if _, err := s.Accept(t.Context(), Delivery{Key: "next"}, nil); err != nil {
			t.Errorf("Accept = %v", err)
		}
		s.Finish(c, nil)
		if c, err = s.Take(t.Context()); err != nil || c.Key != "next" {
			t.Errorf("Take = %+v, %v", c, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) != 1 || !strings.Contains(lines.String(), aside[0]) {
			t.Errorf("moved aside: %v; log %s", aside, lines.String())
		}
	})
}

// A disk that works again is noticed although nothing is to be stored: who is
// not ready is not asked.
func TestRecoveryIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := faultySpool(t)
		f.full.Store(true)
		if _, err := s.Accept(t.Context(), Delivery{Key: "a"}, nil); err == nil {
			t.Error("no error")
		}
		time.Sleep(time.Minute) // the fake clock
		if s.Failing() == nil {
			t.Error("the disk is full")
		}
		f.full.Store(false)
		time.Sleep(2 * time.Second)
		if err := s.Failing(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What can be read of a file that is damaged in use is handed out again.
func TestRescueInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lost atomic.Int32
		s, err := Open(t.Context(), Config{Directory: t.TempDir(), Lost: func() { lost.Add(1) }})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			if _, err := s.Accept(t.Context(), Delivery{Key: fmt.Sprint(i), Body: []byte("x")}, nil); err != nil {
				t.Fatal(err)
			}
		}
		b, _ := s.store.(*bolt)
		b.broken.Store(true)
		if _, err := s.Accept(t.Context(), Delivery{Key: "next"}, nil); !errors.Is(err, errDamaged) {
			t.Errorf("Accept = %v, want errDamaged", err)
		}
		if _, err := s.Accept(t.Context(), Delivery{Key: "next"}, nil); err != nil {
			t.Errorf("Accept = %v", err)
		}
		if st := s.Stats(); st.Depth != 51 || lost.Load() != 0 {
			t.Errorf("%d wait, want 51; %d losses", st.Depth, lost.Load())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
