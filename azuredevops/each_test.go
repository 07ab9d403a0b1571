package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

func TestEachKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		twice := func(ctx context.Context, i int) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				_ = rest.Sleep(ctx, time.Duration(100-i)*time.Millisecond) // the last ones are ready first
				now.Add(-1)
				if yield(fmt.Sprint(i, "a"), nil) {
					yield("", fmt.Errorf("%d b", i))
				}
			}
		}
		var got []string
		for s, err := range each(5, numbered(0, 20), twice)(t.Context()) {
			if err != nil {
				s = err.Error()
			}
			got = append(got, s)
		}
		for i := range 20 {
			if want := []string{fmt.Sprint(i, "a"), fmt.Sprintf("%d b", i)}; !slices.Equal(got[2*i:2*i+2], want) {
				t.Errorf("results %d = %v, want %v", i, got[2*i:2*i+2], want)
			}
		}
		if most.Load() != 5 {
			t.Errorf("%d workers at once, want 5", most.Load())
		}
	})
}

// However slow the caller is, no more than width results are ahead of it.
func TestEachIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		work := one(func(_ context.Context, i int) (int, error) { made.Add(1); return i, nil })
		n := 0
		for range each(3, numbered(0, 50), work)(t.Context()) {
			n++
			synctest.Wait()
			if ahead := int(made.Load()) - n; ahead > 3 {
				t.Fatalf("%d results ahead of the caller, want at most 3", ahead)
			}
		}
		if n != 50 {
			t.Errorf("%d results", n)
		}
	})
}

func TestEachStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int32
		block := func(ctx context.Context, i int) (int, error) {
			running.Add(1)
			defer running.Add(-1)
			if i > 1 {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return i, nil
		}
		nested := each(4, each(4, numbered(0, 100), one(block)), one(block))
		for range nested(t.Context()) {
			break
		}
		if n := running.Load(); n != 0 {
			t.Errorf("%d workers after break", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range nested(ctx) {
		}
		if n := running.Load(); n != 0 || ctx.Err() == nil {
			t.Errorf("%d workers after the end of ctx", n)
		}
	})
}

func TestEachPassesErrorsOfParents(t *testing.T) {
	parents := func(context.Context) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			_ = yield(1, nil) && yield(0, errors.New("unknown")) && yield(3, nil)
		}
	}
	var got []string
	for v, err := range each(2, parents, one(func(_ context.Context, i int) (int, error) { return i * 10, nil }))(t.Context()) {
		got = append(got, fmt.Sprint(v, err))
	}
	if want := []string{"10 <nil>", "0 unknown", "30 <nil>"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMemo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemo[int]()
		calls := 0
		fetch := func(ctx context.Context) (int, error) {
			calls++
			return 7, rest.Sleep(ctx, time.Second)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := m.get(short, fetch); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		results := make(chan int, 9)
		for range 9 {
			go func() { v, _ := m.get(t.Context(), fetch); results <- v }()
		}
		for range 9 {
			if v := <-results; v != 7 {
				t.Errorf("value = %d", v)
			}
		}
		if calls != 2 {
			t.Errorf("%d calls, want one for who gave up and one for all others", calls)
		}
		bad := newMemo[int]()
		for range 2 {
			if _, err := bad.get(t.Context(), func(context.Context) (int, error) { calls++; return 0, errLost }); !errors.Is(err, errLost) {
				t.Errorf("err = %v", err)
			}
		}
		if calls != 3 {
			t.Errorf("a failure was not remembered")
		}
	})
}

func TestCacheForgetsTheOldest(t *testing.T) {
	c := cache[int, string]{most: 2*cacheEntry + 10, size: func(s string) int { return len(s) }}
	calls := 0
	get := func(key int) {
		t.Helper()
		if v, err := c.get(t.Context(), key, func(context.Context) (string, error) { calls++; return "12345", nil }); v != "12345" || err != nil {
			t.Errorf("get = %q, %v", v, err)
		}
	}
	for _, key := range []int{1, 2, 1, 2, 3, 2, 1} {
		get(key)
	}
	if calls != 4 {
		t.Errorf("%d calls, want 4: 1, 2, 3, and 1 again", calls)
	}
}
