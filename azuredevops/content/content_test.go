package content_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/content"
)

// What PyYAML and the Python integration make of texts.
func TestParsed(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"123", "123"},
		{` {"a" : [1.50, 9007199254740993 ] , "b":"x y"} `, `{"a":[1.50,9007199254740993],"b":"x y"}`},
		{`{"a":1,"b":2,"\u0061":3}`, `{"\u0061":3,"b":2}`},
		{`{"a":{"x":1,"x":2},"a":{"y":1,"y":2}}`, `{"a":{"y":2}}`},
		{`[1e400,-1e400,NaN,-Infinity,"NaN"]`, `[1.7976931348623157e+308,-1.7976931348623157e+308,null,-1.7976931348623157e+308,"NaN"]`},
		{"\ufeff{\"bom\": true}", `{"bom":true}`},
		{"---\na: 1\n---\n---\nb: 2\n", `[{"a":1},{"b":2}]`},
		{"---\na: 1\n", `{"a":1}`},
		{"---\n", `"---\n"`},
		{"a: 1\n---\nb: 2\n", `"a: 1\n---\nb: 2\n"`},
		{"# only\n", `"# only\n"`},
		{"", `""`},
		{"null", "null"},
		{"~", `"~"`},
		{"# Title\n\nSome prose\nin lines\n", `"Some prose in lines"`},
		{"# Title\n\nNote: a: b\n", `"# Title\n\nNote: a: b\n"`},
		{"a: !Ref b\n", `"a: !Ref b\n"`},
		{"a:\n\t- b\n", `"a:\n\t- b\n"`},
		{
			"a: 2024-01-02\nb: 2001-12-14t21:59:43.10-05:00\nc: 2001-12-15 2:59:43Z\nd: 2001-12-15 02:59:43\n",
			`{"a":"2024-01-02","b":"2001-12-14T21:59:43.100000-05:00","c":"2001-12-15T02:59:43+00:00","d":"2001-12-15T02:59:43"}`,
		},
		{"a: 2024-13-45\n", `"a: 2024-13-45\n"`},
		{"a: yes\nb: Off\nc: y\nd: 'no'\n", `{"a":true,"b":false,"c":"y","d":"no"}`},
		{"[012, 12:30:45, 0x1F, 0b101, 1_000, 08, 0o17, -0, +7, -1:30]", `[10,45045,31,5,1000,"08","0o17",0,7,-90]`},
		{
			"[1.5, .5, 1., 1e3, 1.0e+3, .inf, -.inf, .nan, 1.10, 190:20:30.15, 1.0e+22]",
			`[1.5,0.5,1.0,"1e3",1000.0,1.7976931348623157e+308,-1.7976931348623157e+308,null,1.1,685230.15,1e+22]`,
		},
		{"123456789012345678901234567890: x\n", `{"123456789012345678901234567890":"x"}`},
		{"on: push\n1: a\n1.5: b\n~: c\n2024-01-02: d\n", `{"true":"push","1":"a","1.5":"b","null":"c","2024-01-02":"d"}`},
		{"a: 1\nb: 2\na: 3\n", `{"a":3,"b":2}`},
		{"b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\nd: {<<: [{x: 4}, *b]}\n", `{"b":{"x":1,"y":2},"c":{"x":1,"y":3},"d":{"x":4,"y":2}}`},
		{"a: &a [*a]\n", `"a: &a [*a]\n"`},
		{"? [a]\n: b\n", `"? [a]\n: b\n"`},
		{"a: !!str 12\nb: !!int '13'\nc: !!float 1\n", `{"a":"12","b":13,"c":1.0}`},
		{"a: !!binary aGk=\n", `"a: !!binary aGk=\n"`},
		{"a: =\n", `"a: =\n"`},
		{"a: |\n  x\n  y\nb: >\n  f\n  g\n", `{"a":"x\ny\n","b":"f g\n"}`},
		{"key: [unclosed\n", `"key: [unclosed\n"`},
	} {
		got := strings.ReplaceAll(string(content.AppendParsed([]byte("x"), tt.text)[1:]), `\u0026`, "&")
		if got != tt.want {
			t.Errorf("parsed(%q) = %s, want %s", tt.text, got, tt.want)
		}
	}
}

// Neither depth nor aliases take memory that the text does not deserve.
func TestParsedBounds(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 9), ", ") + "]\n"
	}
	merge := "a: &a {" + strings.Repeat("k: 1, ", 900) + "}\n"
	for c := 'b'; c < 'j'; c++ {
		merge += string(c) + ": &" + string(c) + "\n  <<: [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 9), ", ") + "]\n"
	}
	for _, text := range []string{bomb, merge, strings.Repeat("[", 500_000), strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000), strings.Repeat("- ", 100_000)} {
		if got := content.AppendParsed(nil, text); len(got) > 8<<20 || gjson.ParseBytes(got).String() != text {
			t.Errorf("%.20s… became %d bytes", text, len(got))
		}
	}
}

func FuzzParsed(f *testing.F) {
	for _, s := range []string{`{"a":[1,NaN]}`, "a: &a {<<: *a}\n", "---\n- 1:2\n---\nx\n", "? {}\n", "a: !!timestamp 2024-1-1\n", `{"a":1,"a":"\u00e9"}`, "\ufeff%YAML 1.1\n---\n=: ~\n", "[0b_, 0x_, +-1, 1:99]", "!!float 0x1p-2", "!!int -"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := content.AppendParsed(nil, text); !json.Valid(got) {
			t.Fatalf("parsed(%q) = %s", text, got)
		}
	})
}

func TestDocuments(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"# nothing\n":                       "",
		"null":                              "",
		"a: 1\n":                            `{"a":1}`,
		"\ufeffa: yes\n":                    `{"a":true}`,
		"a: 1\n---\nb: 2\n---\n---\n- c\n":  `{"a":1} {"b":2} ["c"]`,
		"---\na: 012\n...\n":                `{"a":10}`,
		`{"a":1, "a":9007199254740993}`:     `{"a":9007199254740993}`,
		"text":                              `"text"`,
		"x: &x {a: 1}\ny: {<<: *x, b: 2}\n": `{"x":{"a":1},"y":{"a":1,"b":2}}`,
	} {
		docs, err := content.Documents([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		var got []string
		for _, d := range docs {
			got = append(got, string(d))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("Documents(%q) = %s, want %s", text, s, want)
		}
	}
	for _, text := range []string{"a: [1", "a: b: c", "\ta: 1", "a: !Ref b\n", "\xff\xfea", "a: 2024-13-45\n", "a: &x [*x]\n", "{\"a\":", "a: 1\n---\nb: [\n"} {
		if docs, err := content.Documents([]byte(text)); err == nil {
			t.Errorf("Documents(%q) = %s, want an error", text, docs)
		}
	}
}

func FuzzDocuments(f *testing.F) {
	for _, s := range []string{"a: 1\n---\nb: 2\n", `{"a":[1,{"b":null}]}`, "- *x\n", "&a [*a]", "? [a]\n: b\n", "a: !!binary x", "<<: {a: 1}\n", "\ufeff{}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		docs, err := content.Documents(text)
		for _, d := range docs {
			if !json.Valid(d) || string(d) == "null" || err != nil {
				t.Errorf("Documents(%q) has %q, %v", text, d, err)
			}
		}
	})
}
