package azuredevops

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// packed are bytes that are kept for a whole resync. Long lists of repositories are
// so repetitive that packing shrinks them to a tenth.
type packed struct {
	b    []byte
	size int // unpacked, 0 when b is as it was
}

const (
	packAbove = 16 << 10
	// packSmallAbove is for what is kept of each of many parents.
	packSmallAbove = 2 << 10
)

func pack(b []byte, above int) *packed {
	var out bytes.Buffer
	if len(b) <= above || flate.StatelessDeflate(&out, b, true, nil) != nil {
		return &packed{b: bytes.Clone(b)}
	}
	return &packed{b: bytes.Clone(out.Bytes()), size: len(b)}
}

// unpackers are recycled: each takes 40 kB.
var unpackers sync.Pool

// unpack returns memory of its own, or what must not be written to.
func (p *packed) unpack() ([]byte, error) {
	if p.size == 0 {
		return p.b, nil
	}
	r, ok := unpackers.Get().(io.Reader)
	if !ok {
		r = flate.NewReader(nil)
	}
	defer unpackers.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(p.b), nil); err != nil { //nolint:forcetypeassert // flate promises it
		return nil, err
	}
	out := make([]byte, p.size)
	_, err := io.ReadFull(r, out)
	return out, err
}

// kept is what the packed bytes take.
func (p *packed) kept() int {
	if p == nil {
		return 0
	}
	return len(p.b)
}
