package spool_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/webhook/spool"
)

func stranger(i int) spool.Delivery {
	d := delivery(fmt.Sprint("forged", i), 1)
	d.Stranger = true
	return d
}

// A flood of strangers costs a burst and then a call every three seconds, and known
// keys do not wait for it.
func TestFloodOfStrangers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, spool.Config{Strangers: 1})
		for i := range 500 {
			accept(t, s, stranger(i))
		}
		handled, known := 0, make(chan time.Time, 1)
		for range 4 {
			go func() {
				for {
					c, err := s.Take(t.Context())
					if err != nil {
						return
					}
					if c.Deliveries[0].Stranger {
						handled++ // one at once
					} else {
						known <- time.Now()
					}
					time.Sleep(10 * time.Millisecond) // the fake clock
					s.Finish(c, nil)
				}
			}()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if handled < 29 || handled > 31 {
			t.Errorf("%d strangers in a minute, want a burst of 10 and one every 3 s", handled)
		}
		now := time.Now()
		accept(t, s, delivery("honest", 1))
		if took := (<-known).Sub(now); took > time.Second {
			t.Errorf("an honest delivery waited for %v", took)
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if st := s.Stats(); st.Depth != 0 || handled != 500 {
			t.Errorf("%d strangers handled, %+v", handled, st)
		}
		s.Stop()
	})
}

// One delivery that something speaks for frees the others of its key.
func TestStrangerBecomesKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, spool.Config{Held: true})
		for i := range 100 {
			accept(t, s, stranger(i))
		}
		accept(t, s, delivery("forged99", 2))
		s.Start()
		begun := time.Now()
		for range 11 { // the burst, and the known one
			c := take(t, s)
			if c.Key == "forged99" && len(c.Deliveries) != 2 {
				t.Errorf("%d deliveries, want both", len(c.Deliveries))
			}
			s.Finish(c, nil)
		}
		if took := time.Since(begun); took > 0 || s.Stats().Strangers != 89 {
			t.Errorf("after %v: %+v", took, s.Stats())
		}
	})
}

// Strangers have a small part of the room, and keep what they are over a restart.
func TestStrangersHaveLittleRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := spool.Config{Directory: dir, MaxDeliveries: 80}
	s, err := spool.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		accept(t, s, stranger(i))
	}
	if _, err := s.Accept(t.Context(), stranger(10), nil); !errors.Is(err, spool.ErrFull) {
		t.Errorf("one more: %v, want ErrFull", err)
	}
	accept(t, s, delivery("honest", 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	if n := s.Stats().Strangers; n != 10 {
		t.Errorf("%d strangers after a restart", n)
	}
	byBytes := open(t, spool.Config{MaxBytes: 1200})
	accept(t, byBytes, stranger(1))
	if _, err := byBytes.Accept(t.Context(), stranger(2), nil); !errors.Is(err, spool.ErrFull) {
		t.Errorf("an eighth of the bytes: %v, want ErrFull", err)
	}
}
