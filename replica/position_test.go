package replica_test

import (
	"testing"

	"github.com/ado-port/ado-port/replica"
)

// A place in a log is what it is written as.
func FuzzParsePosition(f *testing.F) {
	for _, text := range []string{"0-0", "1764400000000-3", "18446744073709551615-18446744073709551615", "", "-", "1", "1-", "x-1", "1--1", "99999999999999999999-1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := replica.ParsePosition(text)
		if err != nil {
			return
		}
		if again, err := replica.ParsePosition(p.String()); err != nil || again != p {
			t.Errorf("%q is %v, which is %v, %v", text, p, again, err)
		}
	})
}
