package rest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBuffers(t *testing.T) {
	var pool buffers
	room := func(int) error { return nil }
	for _, size := range []int{0, 1, 5000, 1 << 20, 17 << 20} {
		for _, known := range []int64{-1, int64(size)} {
			want := bytes.Repeat([]byte("x"), size)
			got, err := pool.read(bytes.NewReader(want), known, room)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("read of %d bytes: %d, %v", size, len(got), err)
			}
			pool.put(got)
		}
	}
	if pool.size > mostFree {
		t.Errorf("%d bytes are kept", pool.size)
	}
	buf := pool.get(1000)
	pool.put(buf)
	if again := pool.get(900); &again[:1][0] != &buf[:1][0] {
		t.Error("a buffer was not used again")
	}
	if _, err := pool.read(strings.NewReader(""), maxBodyBytes+1, room); !errors.Is(err, errOversized) {
		t.Error("a body above the bound was announced and read")
	}
}

func TestBuffersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool buffers
		pool.put(make([]byte, 1000))
		time.Sleep(2 * freeFor)
		synctest.Wait()
		if pool.size > 0 || pool.free != nil {
			t.Errorf("%d bytes are kept", pool.size)
		}
	})
}
