package rest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestBuffers(t *testing.T) {
	for n := 1; n < 20<<20; n += 1 + n/7 {
		c := classOf(n)
		if c < numClasses && (sizeOf(c) < n || n > minBuffer && sizeOf(c) > n*5/4+4) {
			t.Fatalf("%d bytes: class %d of %d", n, c, sizeOf(c))
		}
	}
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
	if _, err := pool.read(strings.NewReader(""), maxBodyBytes+1, room); !errors.Is(err, errOversized) {
		t.Error("a body above the bound was announced and read")
	}
}
