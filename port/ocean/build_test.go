package ocean

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestBuild(t *testing.T) {
	t.Parallel()
	b := newBuild("1.2.3", &debug.BuildInfo{GoVersion: "go1.99", Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"}, {Key: "GOOS", Value: "x"},
	}})
	var out strings.Builder
	if err := b.writeText(&out); err != nil || out.String() != "ado-port 1.2.3\ncommit abc, with changes\ndate   2026-01-02T03:04:05Z\ngo     go1.99\n" {
		t.Errorf("%v: %s", err, &out)
	}
}
