package redis

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/ado-port/ado-port/replica/replicatest"
)

// The client repeats a call whose answer was lost.
func TestExhumeIsRepeated(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	opt, err := goredis.ParseURL(s.URL().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(opt)
	t.Cleanup(func() { _ = c.Close() })
	call := func(call string) int {
		t.Helper()
		n, err := exhume.Run(t.Context(), c, nil, "p:", "7", 3, "record", call).Int()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := call("a"); n != 0 {
		t.Errorf("none: %d", n)
	}
	s.Do("HSET p:dead 7 letter")
	s.Do("ZADD p:dead:order 7 7")
	first, again, other := call("b"), call("b"), call("c")
	if waiting := s.Do("XLEN p:part:3"); first != 1 || again != 1 || other != 0 || waiting != ":1" {
		t.Errorf("answers %d, %d, %d; %s wait", first, again, other, waiting)
	}
}
