package spool_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/webhook/spool"
)

func TestDuplicates(t *testing.T) {
	t.Parallel()
	type step struct {
		id, sub, resource string
		wait              time.Duration
		want              bool
	}
	for name, steps := range map[string][]step{
		"resend": {
			{id: "1", sub: "A", resource: "x"},
			{id: "1", sub: "A", resource: "x", want: true},
			{id: "1", sub: "B", resource: "y", want: true, wait: 10 * time.Minute},
			{id: "1", sub: "A", resource: "x", wait: time.Hour},
		},
		"one event to three subscriptions": {
			{id: "1", sub: "A", resource: "x"},
			{id: "2", sub: "B", resource: "x", want: true},
			{id: "3", sub: "C", resource: "x", want: true},
			{id: "2", sub: "B", resource: "x", want: true}, // a resend of a copy
		},
		"two events that look alike": {
			{id: "1", sub: "A", resource: "x"},
			{id: "2", sub: "A", resource: "x"},
		},
		"two events that look alike to two subscriptions": {
			{id: "1", sub: "A", resource: "x"},
			{id: "2", sub: "B", resource: "x", want: true},
			{id: "3", sub: "A", resource: "x"},
			{id: "4", sub: "B", resource: "x", want: true},
		},
		"late copy": {
			{id: "1", sub: "A", resource: "x"},
			{id: "2", sub: "B", resource: "x", wait: time.Minute},
		},
		"without ids": {
			{resource: "x"},
			{resource: "x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := open(t, spool.Config{})
				for i, st := range steps {
					time.Sleep(st.wait) // the fake clock
					d := spool.Delivery{Key: "k", EventType: "t", EventID: st.id, SubscriptionID: st.sub}
					got, err := s.Accept(t.Context(), d, []byte(st.resource))
					if err != nil || got != st.want {
						t.Errorf("step %d: duplicate = %v, %v, want %v", i, got, err, st.want)
					}
				}
			})
		})
	}
}

// The same id under another key or of another type is another event.
func TestIDsAreOfKeyAndType(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Config{})
	for _, d := range []spool.Delivery{{Key: "a", EventType: "t"}, {Key: "b", EventType: "t"}, {Key: "a", EventType: "u"}, {Key: "at", EventType: ""}} {
		d.EventID = "1"
		if dup, err := s.Accept(t.Context(), d, nil); dup || err != nil {
			t.Errorf("%+v: %v, %v", d, dup, err)
		}
	}
}

// What waits is known after a restart, too.
func TestDuplicateAfterRestart(t *testing.T) {
	t.Parallel()
	dir := filled(t, 3)
	s := open(t, spool.Config{Directory: dir})
	if dup, err := s.Accept(t.Context(), delivery("k1", 1), nil); !dup || err != nil {
		t.Errorf("duplicate = %v, %v", dup, err)
	}
}

// The window forgets the oldest when it is full, so its memory is bounded.
func TestWindowIsBounded(t *testing.T) {
	t.Parallel()
	w := spool.NewWindow()
	now := time.Unix(1700000000, 0)
	for i := range 80_000 {
		d := spool.Delivery{Key: "k", EventType: "t", EventID: fmt.Sprint(i), SubscriptionID: "A"}
		if w.See(d, fmt.Append(nil, i), now.Add(time.Duration(i)*time.Millisecond)) {
			t.Fatalf("%d is no copy", i)
		}
		if n := w.Len(); n > 1<<16 {
			t.Fatalf("%d entries", n)
		}
	}
	if !w.See(spool.Delivery{Key: "k", EventType: "t", EventID: "79000"}, nil, now.Add(80*time.Second)) {
		t.Error("a recent one is forgotten")
	}
}
