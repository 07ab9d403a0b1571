package statefile_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/statefile"
)

// A file of records gives back what was put into it, record by record and from any of
// them on.
func TestRecords(t *testing.T) {
	t.Parallel()
	var p statefile.Packer
	var file []byte
	var places []int64
	values := []string{"", "short", strings.Repeat("long ", 100)}
	for i, v := range values {
		places = append(places, int64(len(file)))
		file = append(file, statefile.Pad(p.Record(statefile.Name{byte(i)}, []byte(v)))...)
	}
	f := bytes.NewReader(file)
	n := 0
	end, err := statefile.Records(f, 0, int64(len(file)), func(at int64, rec []byte) error {
		value, other, ok := statefile.Value(rec, statefile.Name{byte(n)})
		if at != places[n] || string(value) != values[n] || other || !ok {
			t.Errorf("at %d: %.20q, %v, %v, want %.20q", at, value, other, ok, values[n])
		}
		alone, err := statefile.ReadRecord(f, at)
		if !bytes.Equal(alone, rec) || err != nil {
			t.Errorf("ReadRecord(%d) = %d bytes, %v, want %d", at, len(alone), err, len(rec))
		}
		if _, other, ok := statefile.Value(rec, statefile.Name{9}); ok || !other {
			t.Errorf("at %d: a value of another name", at)
		}
		n++
		return nil
	})
	if err != nil || end != int64(len(file)) || n != len(values) {
		t.Errorf("Records = %d, %v after %d, want %d", end, err, n, len(file))
	}
	if _, err := statefile.ReadRecord(f, int64(len(file))); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if _, err := statefile.ReadRecord(f, int64(len(file))-8); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("close to the end: %v", err)
	}
	last := places[len(places)-1]
	for n := last + 1; n < int64(len(file))-statefile.Alignment; n++ {
		if torn, err := statefile.Torn(bytes.NewReader(file[:n]), last, n); !torn || err != nil {
			t.Errorf("the first %d bytes of %d: torn %v, %v", n, len(file), torn, err)
		}
	}
	file[last+40] ^= 1
	if torn, err := statefile.Torn(bytes.NewReader(file), last, int64(len(file))); torn || err != nil {
		t.Errorf("a damaged record: torn %v, %v", torn, err)
	}
}

func FuzzRecords(f *testing.F) {
	var p statefile.Packer
	rec := bytes.Clone(statefile.Pad(p.Record(statefile.Name{1}, []byte(strings.Repeat("long ", 100)))))
	f.Add(rec)
	f.Add(slices.Concat(rec, statefile.Erasure(statefile.Name{2})))
	f.Add(slices.Concat(rec, rec[:40]))
	f.Fuzz(func(t *testing.T, b []byte) {
		file := bytes.NewReader(b)
		end, err := statefile.Records(file, 0, int64(len(b)), func(_ int64, rec []byte) error {
			_, _, _ = statefile.Value(rec, statefile.NameOf(rec))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if _, err := statefile.Torn(file, end, int64(len(b))); err != nil && end < int64(len(b)) {
			t.Error(err)
		}
		if len(b) < statefile.RecordHeader {
			return
		}
		rec, err := statefile.ReadRecord(file, 0)
		if err != nil {
			return
		}
		rec = bytes.Clone(rec)
		copy(rec, sum(rec)) // so that what follows is looked at
		_, _, _ = statefile.Value(rec, statefile.NameOf(rec))
	})
}

// sum is the checksum of a record as it stands there.
func sum(rec []byte) []byte {
	s := statefile.Checksum(rec[4:])
	return []byte{byte(s), byte(s >> 8), byte(s >> 16), byte(s >> 24)}
}
