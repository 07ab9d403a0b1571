package memory

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// pack deflates a text, nearly as well as compress/flate, with buffers of a quarter
// of a megabyte that all calls share in place of a state of its own.
func pack(text []byte) []byte {
	var out bytes.Buffer
	_ = flate.StatelessDeflate(&out, text, true, nil) // a buffer takes everything
	return bytes.Clone(out.Bytes())
}

// unpackers are recycled: each takes 40 kB.
var unpackers sync.Pool

// unpack is the text of which pack made packed, size bytes long.
func unpack(packed []byte, size int) ([]byte, error) {
	r, ok := unpackers.Get().(io.Reader)
	if !ok {
		r = flate.NewReader(nil)
	}
	defer unpackers.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err != nil { //nolint:forcetypeassert // flate promises it
		return nil, err
	}
	text := make([]byte, size)
	_, err := io.ReadFull(r, text)
	return text, err
}
