package ocean

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestBuild(t *testing.T) {
	t.Parallel()
	info := &debug.BuildInfo{GoVersion: "go1.99", Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"}, {Key: "GOOS", Value: "x"},
	}}
	for want, told := range map[string]Build{
		"ado-port 1.2.3\ncommit abc, with changes\ndate   2026-01-02T03:04:05Z\ngo     go1.99\n": {Version: "1.2.3"},
		"ado-port 1.2.3\ncommit def\ndate   unknown\ngo     go1.99\n":                            {Version: "1.2.3", Commit: "def"},
	} {
		var out strings.Builder
		if err := newBuild(told, info).writeText(&out); err != nil || out.String() != want {
			t.Errorf("%v: %s", err, &out)
		}
	}
}
