package content_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ado-port/ado-port/azuredevops/content"
)

func TestFiles(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		yes, no string // paths, separated by blanks
		wants   string
	}{
		{"README.md", "/README.md", "/readme.md /a/README.md", "/"},
		{"/docs/./guide.md/", "/docs/guide.md", "/guide.md", "/docs"},
		{"src/@types/x+y!.ts", "/src/@types/x+y!.ts", "/src/types/x.ts", "/src/@types"},
		{"*.md", "/README.md /a.MD /.md", "/docs/a.md", "/"},
		{"docs/*.md", "/docs/a.MD", "/Docs/a.md /docs/x/a.md", "/docs"},
		{"**/*.YAML", "/a.yaml /x/y/.b.yaml", "/a.yml", "/**"},
		{"src/*/Chart.yaml", "/src/a/chart.yaml", "/src/Chart.yaml /src/a/b/Chart.yaml", "/src/**"},
		{"docs/**", "/docs/a /docs/a/b", "/a", "/docs/**"},
		{"a/**/b/*.c", "/a/b/x.c /a/y/z/b/x.c", "/a/x.c", "/a/**"},
		{"src/?ain.[a-g]o", "/src/main.go /src/Rain.GO", "/src/main.ho", "/src"},
		{"[!a]*.txt", "/b.txt", "/a.txt", "/"},
		{"{a,b}/*.{yml,yaml}", "/a/x.yml /b/y.YAML", "/c/x.yml /a/x.json", "/a /a /b /b"},
		{"x{1,{2,3}}.md", "/x1.md /x2.md /X3.md", "/x4.md", "/ / /"},
		{"{only}/x{}.md", "/{only}/x{}.md", "/only/x.md", "/{only}"},
		{"{only}/*.md", "/{only}/x.md", "/only/x.md", "/{only}"},
		{`what\?.md`, "/what?.md", "/whats.md", "/"},
		{`a\*/*.md`, "/a*/x.md", "/ab/x.md", "/a*"},
		{"open[.md", "/open[.md", "/open.md", "/"},
		{"a**b.txt", "/axxb.txt", "/a/b.txt", "/**"},
	} {
		f, err := content.NewFiles([]string{tt.pattern})
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		for path := range strings.FieldsSeq(tt.yes) {
			if ok, _ := f.Match(path); !ok {
				t.Errorf("%s does not match %s", tt.pattern, path)
			}
		}
		for path := range strings.FieldsSeq(tt.no) {
			if ok, _ := f.Match(path); ok {
				t.Errorf("%s matches %s", tt.pattern, path)
			}
		}
		var wants []string
		for _, w := range f.Places() {
			s := w.Path
			if w.Deep {
				s += "/**"
			}
			wants = append(wants, max(s, "/"))
		}
		if got := strings.Join(wants, " "); got != tt.wants {
			t.Errorf("%s wants %s, not %s", tt.pattern, got, tt.wants)
		}
	}
}

// Whatever a pattern says, what it matches is where it looks.
func FuzzFiles(f *testing.F) {
	for _, s := range []string{"**/*.md", "{a,b}/[x-z]*", `\{a\}/[`, "a/{b,c/**}/d", "{,}", "[]]", `[\]x]`, "{a,{b,{c,d}}}", "É*"} {
		f.Add(s, "/a/b.md")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		filter, err := content.NewFiles([]string{pattern})
		if err != nil || strings.Contains(path, "//") || !strings.HasPrefix(path, "/") {
			return
		}
		ok, _ := filter.Match(path)
		covered := false
		for _, w := range filter.Places() {
			covered = covered || w.Covers(content.Place{Path: content.Parent(path)})
		}
		if ok && !covered {
			t.Fatalf("%q matches %q, but does not look there", pattern, path)
		}
	})
}

func FuzzFolder(f *testing.F) {
	for _, s := range []string{"*", "/", "src/*/docs", "[^a]/", `a\{b}/[`, "[]]", "a//b", "***"} {
		f.Add(s, "/src/api/docs")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(path) {
			return // neither a selector nor an answer can be that
		}
		folder := content.NewFolder(pattern)
		if path = content.CleanPath(path); folder.Match(path) && path != "" && !strings.Contains(pattern, ".") &&
			!folder.Place.Covers(content.Place{Path: content.Parent(path)}) {
			t.Fatalf("%q matches %q, but does not look there", pattern, path)
		}
	})
}
