package check

import (
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestClockAhead(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		date  string
		want  time.Duration
		known bool
	}{
		{"", 0, false},
		{"yesterday", 0, false},
		{"Sun, 01 Mar 2026 12:00:00 GMT", 0, true},
		{"Sun, 01 Mar 2026 12:00:02 GMT", 0, true}, // on the way
		{"Sun, 01 Mar 2026 12:10:03 GMT", 10 * time.Minute, true},
		{"Sun, 01 Mar 2026 11:49:59 GMT", -10 * time.Minute, true},
	} {
		got, known := clockAhead(tt.date, begun, begun.Add(3*time.Second))
		if got != tt.want || known != tt.known {
			t.Errorf("clockAhead(%q) = %v, %v, want %v, %v", tt.date, got, known, tt.want, tt.known)
		}
	}
}

func TestOtherRegion(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://api.getport.io/": regionUS, "https://api.us.getport.io": regionEU, "https://port.example.com": regionUS,
	} {
		if got := otherRegion(address); !strings.HasPrefix(got, "OCEAN__PORT__BASE_URL") || !strings.Contains(got, want) {
			t.Errorf("otherRegion(%q) = %q, want %q in it", address, got, want)
		}
	}
}

// As Port's validator, which changes scalars where nothing is lost.
func TestFits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value, kind string
		want        bool
	}{
		{`"a"`, "string", true},
		{`1`, "string", true},
		{`{}`, "string", false},
		{`["a"]`, "string", false},
		{`"12"`, "number", true},
		{`"a"`, "number", false},
		{`true`, "number", true},
		{`"true"`, "boolean", true},
		{`"no"`, "boolean", false},
		{`2`, "boolean", false},
		{`"a"`, "array", true},
		{`{}`, "array", false},
		{`"a"`, "object", false},
		{`"a"`, "of tomorrow", true},
	} {
		if got := fits(gjson.Parse(tt.value), tt.kind); got != tt.want {
			t.Errorf("fits(%s, %s) = %v, want %v", tt.value, tt.kind, got, tt.want)
		}
	}
}

func TestPrivate(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "10.0.0.1": true, "::1": true, "ocean": true, "ocean.default.svc.cluster.local": true,
		"ocean.example.com": false, "192.0.2.1": false,
	} {
		if got := private(host); got != want {
			t.Errorf("private(%q) = %v, want %v", host, got, want)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	f := Finding{Check: "kind", Subject: "release", State: StateFailed, Text: "no", Remedy: "mend it"}
	for _, tt := range []struct {
		colors bool
		want   string
	}{
		{false, "failed   kind           release: no\n         → mend it\n"},
		{true, "\x1b[31m✗ failed\x1b[0m   kind           release: no\n           → mend it\n"},
	} {
		if got := (&report{opt: Options{Colors: tt.colors}}).text(f); got != tt.want {
			t.Errorf("text = %q, want %q", got, tt.want)
		}
	}
}
