package ocean

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
)

// A Build is what the program was built from.
type Build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`     // of the commit
	Modified bool   `json:"modified,omitempty"` // there were changes beside the commit
	Go       string `json:"go"`
}

// ReadBuild takes what the linker was told. Without a commit it asks the program
// itself: the compiler notes commit and date where it sees the repository.
func ReadBuild(version, commit, date string) Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return newBuild(Build{Version: version, Commit: commit, Date: date}, info)
}

func newBuild(b Build, info *debug.BuildInfo) Build {
	b.Go = info.GoVersion
	if b.Commit != "" {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b Build) writeText(w io.Writer) error {
	modified := ""
	if b.Modified {
		modified = ", with changes"
	}
	_, err := fmt.Fprintf(w, "ado-port %s\ncommit %s%s\ndate   %s\ngo     %s\n", b.Version, cmp.Or(b.Commit, "unknown"), modified, cmp.Or(b.Date, "unknown"), b.Go)
	return err
}

// VersionCommand shows what the program was built from.
func VersionCommand(b Build, out io.Writer) Command {
	return Command{Name: "version", Setup: func(fs *flag.FlagSet) Action {
		var asJSON bool
		OutputFlag(fs, &asJSON)
		return func(context.Context, string) error {
			if asJSON {
				return json.NewEncoder(out).Encode(b)
			}
			return b.writeText(out)
		}
	}}
}
