package ocean_test

import (
	"testing"

	"github.com/ado-port/ado-port/port/ocean"
)

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	src := ocean.Sources{Environ: required()}
	for b.Loop() {
		if _, _, err := ocean.Load[config](src); err != nil {
			b.Fatal(err)
		}
	}
}
