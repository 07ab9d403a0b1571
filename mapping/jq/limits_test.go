package jq_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/mapping/jq"
)

// TestLimits runs what could end the process or never end: it fails in time.
func TestLimits(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, src string }{
		{"string", `"x" * 1000000000`},
		{"doubled string", `"x" | until(false; . + .)`},
		{"list", `[range(1e12)]`},
		{"calls", `def f: 1 + f; f`},
		{"recurse", `[recurse(. // 1)] | length`},
		{"deep calls", "def f: " + strings.Repeat("[", 1900) + "f" + strings.Repeat("]", 1900) + "; f"},
		{"deep calls of outputs", "def f: " + strings.Repeat("(., 1) | ", 1900) + "f; f"},
		{"deep arguments", "def g(x): x | g(x); g(" + strings.Repeat("first(", 1900) + "." + strings.Repeat(")", 1900) + ")"},
		{"index", `.[1e9] = 1`},
		{"lists of lists", `[range(1e9) | [range(1e6)]]`},
		{"deep list", `reduce range(4100000) as $i (null; [.])`},
		{"deep object", `reduce range(4100000) as $i (null; {a: .}) | tojson | length`},
		{"deep walk", `reduce range(20000) as $i (null; [.]) | [..] | length`},
		{"deep flatten", `reduce range(20000) as $i (1; [.]) | flatten`},
		{"shared text", `("x" * 16000000) as $x | [range(100) | $x]`},
		{"shared text as csv", `("x" * 16000000) as $x | [range(100) | $x] | @csv`},
		{"shared text as words", `("x" * 16000000) as $x | [range(100) | $x] | @sh`},
		{"shared text joined", `("x" * 16000000) as $x | [range(100) | $x] | join(",")`},
		{"shared text added", `("x" * 16000000) as $x | [range(100) | $x] | add`},
		{"shared text interpolated", `("x" * 10000000) as $x | "\($x)\($x)\($x)"`},
		{"doubled list", `reduce range(40) as $i ([1]; [., .])`},
		{"doubled list as text", `reduce range(40) as $i ([1]; [., .]) | tojson`},
		{"doubled list as key", `{a: 1} | .[reduce range(40) as $i ([1]; [., .]) | tostring]`},
		{"replaced by more", `"x" * 16000000 | gsub("x"; "yyyyyyyyyy")`},
		{"replaced match by more", `"x" * 1000000 | gsub("[x]"; "yyyyyyyyyyyyyyyyyyyyyyyyy")`},
		{"matches", `"x" * 16000000 | [match("[x]"; "g")] | length`},
		{"exploded", `"x" * 16000000 | explode | length`},
		{"split", `"x" * 16000000 | split("") | length`},
		{"indices", `"x" * 16000000 | indices("x") | length`},
		{"decoded", `"[" + "{},{\"a\":0}," * 1000000 + "0]" | fromjson | length`},
		{"transposed", `[[range(1000000)], (range(1000) | null)] | transpose | length`},
		{"wide time", `0 | strftime("%999d" * 1000000) | length`},
		{"paths of a deep list", `reduce range(9000) as $i (1; [.]) | [paths] | length`},
		{"versions of a list", `[range(1000)] as $x | [range(100000) as $i | $x | .[0] = $i] | length`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, err := jq.NewCompiler(jq.Options{Timeout: time.Minute}).Compile(tt.src)
			if err != nil {
				t.Fatal(err)
			}
			v, _, err := p.Run(t.Context(), p.Value(nil), time.Time{})
			if err == nil {
				_, err = jq.AppendOutput(nil, v)
			}
			var own *jq.Error
			if !errors.Is(err, jq.ErrLimit) && !errors.As(err, &own) {
				t.Errorf("Run(%s) = %v, want ErrLimit", tt.src, err)
			}
		})
	}
}

// TestTimeout runs what takes hours without a loop of its own that is long: each
// ends by its clock.
func TestTimeout(t *testing.T) {
	t.Parallel()
	pair := strings.Repeat("(1, 2) | ", 60)
	tests := []struct{ name, src string }{
		{"count", `last(range(infinite))`},
		{"until", `0 | until(false; . + 1)`},
		{"repeat", `last(repeat(1))`},
		{"reduce", `reduce range(infinite) as $i (0; $i)`},
		{"outputs", pair + `empty`},
		{"paths", `path(` + pair + `empty)`},
		{"equal", `(reduce range(60) as $i ([1]; [., .])) as $x | (reduce range(60) as $i ([1]; [., .])) as $y | $x == $y`},
		{"sorted", `[range(2) | reduce range(60) as $i ([1]; [., .])] | sort`},
		{"contains", `(reduce range(60) as $i ([1]; [., .])) as $x | $x | contains($x)`},
		{"merged", `(reduce range(60) as $i ({}; {a: ., b: .})) as $x | $x * $x`},
		{"flattened", `reduce range(60) as $i ([]; [., .]) | flatten`},
		{"everything", `reduce range(60) as $i ([1]; [., .]) | last(..)`},
		{"subtracted", `[range(1000000)] | . - map(. + 0.5)`},
		{"sublist", `[range(500000) | 1] as $x | $x | indices($x[:250000] + [2])`},
		{"caught matches", `"` + strings.Repeat("a", 40) + `!" as $s | [range(1000000) | try ($s | test("^(?=a)(a+)+$")) catch 0] | length`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := jq.NewCompiler(jq.Options{RegexpTimeout: time.Millisecond, Timeout: 20 * time.Millisecond})
			p, err := c.Compile(tt.src)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err = p.Run(t.Context(), p.Value(nil), time.Time{}); !errors.Is(err, jq.ErrTimeout) && !errors.Is(err, jq.ErrLimit) {
				t.Errorf("Run(%s) = %v, want ErrTimeout", tt.src, err)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	p, err := jq.NewCompiler(jq.Options{}).Compile(`last(range(infinite))`)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = p.Run(t.Context(), p.Value(nil), time.Now().Add(20*time.Millisecond))
	if err == nil || errors.Is(err, jq.ErrTimeout) {
		t.Errorf("Run = %v, want the deadline of the caller", err)
	}
	p, err = jq.NewCompiler(jq.Options{RegexpTimeout: time.Millisecond}).Compile(`"` + strings.Repeat("a", 40) + `!" | test("^(?=a)(a+)+$")`)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Run(t.Context(), p.Value(nil), time.Time{}); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a runaway match gave %v, want a failure that says so", err)
	}
}

// TestLinear runs honest loops over long lists, which copy nothing twice.
func TestLinear(t *testing.T) {
	t.Parallel()
	const n = 20_000
	for src, want := range map[string]string{
		`[range($n)] | .[] |= . + 1 | add`:                                                    "200010000",
		`[range($n)] | map_values(. * 2) | length`:                                            "20000",
		`[range($n)] | del(.[] | select(. % 2 == 0)) | length`:                                "10000",
		`[range($n)] | .[] |= empty | length`:                                                 "0",
		`[range($n) | {a: .}] | .[].a += 1 | map(.a) | add`:                                   "200010000",
		`[range($n) | {a: .}] | .[].b = 2 | map(.b) | add`:                                    "40000",
		`[range($n)] | to_entries | map(.value) | add`:                                        "199990000",
		`[range($n) | {key: tostring, value: .}] | from_entries | length`:                     "20000",
		`[range($n) | {key: tostring, value: .}] | from_entries | del(.[]) | length`:          "0",
		`[range($n) | {key: tostring, value: .}] | from_entries | map_values(. + 1) | length`: "20000",
		`reduce range($n) as $i ([]; . + [$i]) | length`:                                      "20000",
		`reduce range($n) as $i (""; . + "x") | length`:                                       "20000",
		`reduce range($n) as $i ({}; .["k\($i)"] = $i) | length`:                              "20000",
		`reduce range($n) as $i ({}; . + {("k\($i)"): $i}) | length`:                          "20000",
		`[range($n) | {id: "k\(.)"}] | INDEX(.id) | length`:                                   "20000",
		`[range($n) | {("k\(.)"): .}] | add | length`:                                         "20000",
		`[range($n) | tostring] | join(",") | length`:                                         "108889",
		`[range($n)] | delpaths([range(0; $n; 2) | [.]]) | length`:                            "10000",
	} {
		src = strings.ReplaceAll(src, "$n", fmt.Sprint(n))
		if got := outcome(t, jq.NewCompiler(jq.Options{Timeout: time.Minute}), src, "null"); got != want {
			t.Errorf("%s = %s, want %s", src, got, want)
		}
	}
}

// TestUpdatesShareNothing makes values that hold one part twice and updates one
// of the two.
func TestUpdatesShareNothing(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`{} | (.a, .a[0], .a[0][0]) |= [., .]`:                                                                          `{"a":[[[null,null],null],null]}`,
		`[[1, 2, 3]] | (.[0][0], .[0][1:], .[0][2]) |= [.]`:                                                             `[[[1],[2,3],[null]]]`,
		`[1, 2, 3] | (.[0], .[1:3], .[1]) |= [., .]`:                                                                    `[[1,1],[[2,3],[2,3]],[2,3]]`,
		`{a: {b: 1}, c: 2} | (.c, .a.b, .) |= [., .]`:                                                                   `[{"a":{"b":[1,1]},"c":[2,2]},{"a":{"b":[1,1]},"c":[2,2]}]`,
		`[1] as $x | ($x + [2]) as $y | ($x + [3]) as $z | $y + $z`:                                                     `[1,2,1,3]`,
		`[range(40)] as $x | ($x + [40]) as $y | ($y + [1]) as $a | ($y + [2]) as $b | [$a[41], $b[41], ($y | length)]`: `[1,2,41]`,
		`("x" * 300) as $x | ($x + "a") as $a | ($x + "b") as $b | [$a[300:], $b[300:], ($x | length)]`:                 `["a","b",300]`,
		`(reduce range(40) as $i ({}; .["k\($i)"] = $i)) as $o | ($o | .a = 1) as $a | ($o | .b = 2) as $b | [($o | length), $a.a, $a.b, $b.a, $b.b, ($o | has("a"))]`:                 `[40,1,null,null,2,false]`,
		`(reduce range(40) as $i ({}; .["k\($i)"] = $i)) as $o | ($o | .a = 1) as $a | ($o | .k1 = 9) as $c | ($c | .z = 1) as $d | [$o.k1, $a.k1, $c.k1, $c.a, $d.z, $d.a, $a.z]`:     `[1,1,9,null,1,null,null]`,
		`(reduce range(40) as $i ({}; .["k\($i)"] = $i)) as $o | ($o | (.n, .k1, .m, .k1) |= (. // 0) + 1) as $p | [$o.k1, $p.k1, $p.n, $p.m, ($o | has("n")), ($p | length)]`:         `[1,3,1,1,false,42]`,
		`(reduce range(40) as $i ({}; .["k\($i)"] = $i)) as $o | ($o | (.n.x, .) |= (if type == "object" then [., .] else 1 end)) as $p | [($p | length), $p[0].n.x, ($o | has("n"))]`: `[2,1,false]`,
	} {
		if got := outcome(t, jq.NewCompiler(jq.Options{}), src, "null"); got != want {
			t.Errorf("%s = %s, want %s", src, got, want)
		}
	}
}
