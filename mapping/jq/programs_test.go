package jq_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/itchyny/gojq"

	"github.com/ado-port/ado-port/mapping/jq"
)

// TestPrograms runs testdata/programs.tsv: a program and what jq 1.8.2 makes of
// null with it: the first output, "!none", "!error" or "!compile".
func TestPrograms(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/programs.tsv")
	if err != nil {
		t.Fatal(err)
	}
	c := jq.NewCompiler(jq.Options{})
	for line := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n") {
		src, want, _ := strings.Cut(line, "\t")
		if got := outcome(t, c, src, "null"); got != want && !sameNumbers(got, want) {
			t.Errorf("%s = %s, want %s", src, got, want)
		}
	}
}

func outcome(t *testing.T, c *jq.Compiler, src, input string) string {
	t.Helper()
	p, err := c.Compile(src)
	if err != nil {
		return "!compile"
	}
	in, err := jq.Decode([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	v, ok, err := p.Run(t.Context(), p.Value(in), time.Time{})
	var own *jq.Error
	switch {
	case errors.As(err, &own):
		return "!error"
	case err != nil:
		t.Fatalf("%s: %v", src, err)
	case !ok:
		return "!none"
	}
	return string(jq.AppendJSON(nil, v))
}

// sameNumbers compares JSON texts whose numbers may be spelled differently.
func sameNumbers(a, b string) bool {
	va, err1 := jq.Decode([]byte(a))
	vb, err2 := jq.Decode([]byte(b))
	return err1 == nil && err2 == nil && plain(va) == plain(vb)
}

// plain spells numbers as doubles.
func plain(v any) string {
	c := jq.NewCompiler(jq.Options{})
	p, err := c.Compile(`def w: if type == "number" then . * 1 elif type == "object" then map_values(w) elif type == "array" then map(w) else . end; w | tojson`)
	if err != nil {
		panic(err)
	}
	out, _, _ := p.Run(context.Background(), p.Value(v), time.Time{})
	s, _ := out.(string)
	return s
}

// Where gojq and jq agree, so do we: the same programs over a record, order of
// members aside.
func TestAgreesWithGojq(t *testing.T) {
	t.Parallel()
	const input = `{"id":297,"a":"Hello foo-bar","n":null,"t":true,"l":[3,1,2],"o":{"x":1,"y":{"z":[1,2]}},"tags":"one; two","e":""}`
	programs := []string{
		`.id`, `.o.y.z`, `.missing.x`, `.a | ascii_downcase`, `.a + "/" + (.id|tostring)`, `.n // "none"`, `.tags | split("; ")`,
		`.tags | split("; ") | map(ascii_upcase) | join("+")`, `.a | gsub("o"; "0")`, `.a | gsub("[aeiou]"; "*")`, `.a | sub("(?<x>o+)"; "<\(.x)>")`,
		`.a | test("foo")`, `.a | capture("(?<w>\\w+)$").w`, `[.a | scan("[a-z]+")]`, `.a | length`, `.l | sort`, `.l | add`, `.l | map(. * 2)`,
		`.l | min, max`, `[.l[] | select(. > 1)]`, `.l | any(. > 2)`, `.l | index(1)`, `.l[1:]`, `.a[0:5]`, `.o | keys`, `.o | has("x")`, `.o.y.z[-1]`,
		`if .t then "y" else "n" end`, `.t and .n`, `.t or .n`, `.id > 100 and .id < 300`, `.id % 7`, `.id / 2`, `-.id`, `[.id, .a]`, `{id, x: .a}`,
		`.l as [$x, $y] | $x - $y`, `reduce .l[] as $i (0; . + $i)`, `[foreach .l[] as $i (0; . + $i)]`, `[limit(2; .l[])]`, `first(.l[])`,
		`.o | paths | tojson`, `.o | tostream | tojson`, `[.o | .. | numbers]`, `.o | del(.x)`, `.o | .x |= . + 1`, `.o | .y.z[0] = 9`, `.l | del(.[0])`,
		`.o | to_entries | map(.key) | sort`, `.o | with_entries(select(.key == "x"))`, `[.l[] | tostring] | join(",")`, `.a | explode | implode`,
		`.a | @base64 | @base64d`, `.a | @uri`, `[.id, .a] | @csv`, `[.id, .a] | @tsv`, `.a | @sh`, `.o | tojson | fromjson | .x`, `try error("x") catch .`,
		`(.a | tonumber)? // 0`, `.a | ltrimstr("Hello ")`, `.a | startswith("H")`, `"2024-01-15T10:30:00Z" | fromdate`, `1705314600 | todate`,
		`.l | group_by(. % 2) | map(length)`, `.l | unique_by(. % 2) | length`, `[range(3)]`, `label $f | .l[] | if . == 1 then ., break $f else empty end`,
		`def f(x): x + 1; f(.id)`, `[recurse(if . > 2 then empty else . end)] | length`, `.l | contains([1])`, `.l | flatten | length`, `getpath(["o","x"])`,
		`"\(.id): \(.a)"`, `@json "v=\(.l)"`, `.e // "d"`, `.l | IN([3,1,2])`, `splits("x")?`, `[.a | splits(" ")]`, `.l | bsearch(9)`, `.l | transpose?`,
	}
	c := jq.NewCompiler(jq.Options{})
	for _, src := range programs {
		if got, want := outcome(t, c, src, input), gojqOutcome(t, src, input); got != want && !sameSorted(got, want) {
			t.Errorf("%s = %s, gojq gives %s", src, got, want)
		}
	}
}

func gojqOutcome(t *testing.T, src, input string) string {
	t.Helper()
	q, err := gojq.Parse(src)
	if err != nil {
		return "!compile"
	}
	code, err := gojq.Compile(q)
	if err != nil {
		return "!compile"
	}
	v, err := gojq.Parse(input)
	if err != nil {
		t.Fatal(err)
	}
	in, _ := v.Run(nil).Next()
	out, ok := code.RunWithContext(t.Context(), in).Next()
	if !ok {
		return "!none"
	}
	if _, failed := out.(error); failed {
		return "!error"
	}
	text, err := gojq.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func sameSorted(a, b string) bool {
	va, err1 := jq.Decode([]byte(a))
	vb, err2 := jq.Decode([]byte(b))
	if err1 != nil || err2 != nil {
		return false
	}
	c := jq.NewCompiler(jq.Options{})
	p, err := c.Compile(`.[0] == .[1]`)
	if err != nil {
		return false
	}
	same, _, _ := p.Run(context.Background(), p.Value([]any{va, vb}), time.Time{})
	return same == true
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	c := jq.NewCompiler(jq.Options{Environ: []string{"HOME=/root/x", "EMPTY="}})
	for src, want := range map[string]string{
		`env.HOME`: `"/root/x"`, `$ENV.HOME`: `"/root/x"`, `env.OTHER`: `null`, `$ENV | keys`: `["EMPTY","HOME"]`,
	} {
		if got := outcome(t, c, src, "null"); got != want {
			t.Errorf("%s = %s, want %s", src, got, want)
		}
	}
}

// input notes whether all of it was asked for.
type input struct {
	jq.Input
	whole bool
}

func (i *input) Whole() (any, error) {
	i.whole = true
	return i.Input.Whole()
}

func TestInput(t *testing.T) {
	t.Parallel()
	tests := []struct {
		src   string
		paths int
		whole bool
	}{
		{`.a.b`, 1, false},
		{`."a b"["c"]`, 1, false},
		{`.a + .b | tostring`, 2, false},
		{`.a // .b`, 2, false},
		{`if .a == "x" then .b else .a end`, 2, false},
		{`{a, b: [.c]}`, 2, false},
		{`"\(.a)-\(.b)"`, 2, false},
		{`.a as $x | .b | map(. + $x)`, 2, false},
		{`.a?`, 0, true},
		{`.`, 0, true},
		{`. | .a`, 1, false},
		{`.[0]`, 0, true},
		{`keys`, 0, true},
		{`.a | keys`, 1, false},
		{`"x"`, 0, false},
		{`if .a then 1 end`, 1, true},
	}
	c := jq.NewCompiler(jq.Options{})
	for _, tt := range tests {
		p, err := c.Compile(tt.src)
		if err != nil {
			t.Fatal(err)
		}
		in := &input{Input: p.Value(nil)}
		_, _, _ = p.Run(t.Context(), in, time.Time{}) // some fail on null
		if len(p.Paths()) != tt.paths || in.whole != tt.whole {
			t.Errorf("%s: paths %q, whole %v, want %d, %v", tt.src, p.Paths(), in.whole, tt.paths, tt.whole)
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	c := jq.NewCompiler(jq.Options{})
	for src, want := range map[string]bool{
		`.a | test("x")`: false, `.a | test("(ab)\\g<1>")`: true, `.a | gsub("(?P<n>x)"; "")`: true, `now | localtime`: true, `.a | sub("(?<=x)y"; "z")`: false,
	} {
		p, err := c.Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(p.Notes()) > 0; got != want {
			t.Errorf("Notes(%s) = %q", src, p.Notes())
		}
	}
}
