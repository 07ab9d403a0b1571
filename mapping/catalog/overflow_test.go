package catalog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ado-port/ado-port/port"
)

// A fakeSource counts nothing.
type fakeSource string

func (*fakeSource) Members() []string        { return nil }
func (*fakeSource) Count(Outcome, int)       {}
func (*fakeSource) Origin() (string, string) { return "", "" }

func testLayers(n int) []Layer {
	sources := []*fakeSource{new(fakeSource("first")), new(fakeSource("second"))}
	out := make([]Layer, n)
	for i := range out {
		out[i] = Layer{
			Entity:  port.Entity{Blueprint: "b", Identifier: fmt.Sprint("id", i), Body: fmt.Appendf(nil, `{"identifier":"id%d","properties":{"t":"äöü\u0000"}}`, i), Search: i%3 == 0},
			Source:  sources[i%2],
			Partial: i%5 == 0,
		}
	}
	return out
}

func drained(t *testing.T, s *Overflow) []Layer {
	t.Helper()
	var out []Layer
	if err := s.Drain(func(it Layer) error { out = append(out, it); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOverflowKeepsOrderAndContent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		dir   string
		limit int
	}{
		{"memory", "", 1},
		{"memory with room", t.TempDir(), 1 << 20},
		{"file", t.TempDir(), 0},
		{"both", t.TempDir(), 2000},
		{"no such directory", "/nowhere/at/all", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := NewOverflow(tt.dir, tt.limit)
			want := testLayers(50)
			for _, it := range want {
				_ = s.Add(it) // an error says that memory is used instead
			}
			if s.Len() != len(want) {
				t.Errorf("len = %d, want %d", s.Len(), len(want))
			}
			got := drained(t, s)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(Layer{}), cmp.Comparer(func(a, b *fakeSource) bool { return a == b })); diff != "" {
				t.Errorf("drained (-want +got):\n%s", diff)
			}
			if s.Len() != 0 {
				t.Errorf("len after drain = %d, want 0", s.Len())
			}
		})
	}
}

func TestOverflowSaysThatNoFileCanHoldIt(t *testing.T) {
	t.Parallel()
	s := NewOverflow("/nowhere/at/all", 0)
	if err := s.Add(testLayers(1)[0]); err == nil {
		t.Error("add without a usable directory: no error, want one that says so")
	}
	if err := s.Add(testLayers(1)[0]); err != nil {
		t.Errorf("second add = %v, want silence", err)
	}
}

func TestOverflowDrainStopsAtAnError(t *testing.T) {
	t.Parallel()
	s := NewOverflow(t.TempDir(), 0)
	for _, it := range testLayers(3) {
		if err := s.Add(it); err != nil {
			t.Fatal(err)
		}
	}
	stop := errors.New("stop")
	n := 0
	if err := s.Drain(func(Layer) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("drain = %v after %d items, want %v after 1", err, n, stop)
	}
}

// A file that ends early, or that is not ours, is an error and not fewer entities.
func FuzzOverflow(f *testing.F) {
	f.Add([]byte{}, uint8(1))
	f.Add([]byte("\x00\x01\x01b\x01i\x02{}"), uint8(1))
	f.Add([]byte("\x00\x01\x01b\x01i\x02{"), uint8(1))
	f.Add([]byte("\x05"), uint8(2))
	f.Add([]byte("\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), uint8(1))
	f.Fuzz(func(t *testing.T, content []byte, n uint8) {
		o := &Overflow{order: []Source{new(fakeSource("only"))}, size: uint64(len(content))}
		r := bufio.NewReader(bytes.NewReader(content))
		for range n {
			l, err := o.read(r)
			if err != nil {
				return
			}
			if len(l.Blueprint)+len(l.Identifier)+len(l.Body) > len(content) {
				t.Errorf("%d bytes hold %q %q %q", len(content), l.Blueprint, l.Identifier, l.Body)
			}
		}
	})
}

func TestTruncatedOverflowIsAnError(t *testing.T) {
	t.Parallel()
	whole := func() *Overflow {
		s := NewOverflow(t.TempDir(), 0)
		for _, l := range testLayers(3) {
			if err := s.Add(l); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.w.Flush(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := whole()
	end, err := s.file.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	for size := range end {
		s := whole()
		if err := s.file.Truncate(size); err != nil {
			t.Fatal(err)
		}
		if err := s.Drain(func(Layer) error { return nil }); err == nil {
			t.Errorf("%d of %d bytes: no error", size, end)
		}
	}
}
