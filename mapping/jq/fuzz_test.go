package jq_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ado-port/ado-port/mapping/jq"
)

// FuzzCompile compiles and runs any program: it must not panic, and what it
// gives must be JSON.
func FuzzCompile(f *testing.F) {
	data, err := os.ReadFile("testdata/programs.tsv")
	if err != nil {
		f.Fatal(err)
	}
	for i, line := range strings.Split(string(data), "\n") {
		if src, _, _ := strings.Cut(line, "\t"); i%7 == 0 {
			f.Add(src, `{"a":"x","b":[1,2.50,null],"c":{"d":"é"}}`)
		}
	}
	c := jq.NewCompiler(jq.Options{RegexpTimeout: 20 * time.Millisecond})
	f.Fuzz(func(t *testing.T, src, input string) {
		in, err := jq.Decode([]byte(input))
		if err != nil {
			return
		}
		p, err := c.Compile(src)
		if err != nil {
			return
		}
		v, ok, err := p.Run(t.Context(), p.Value(in), time.Now().Add(100*time.Millisecond))
		if err != nil && strings.Contains(err.Error(), "internal error") {
			t.Fatal(err)
		}
		if !ok || err != nil {
			return
		}
		if out, err := jq.AppendOutput(nil, v); err == nil && !json.Valid(out) {
			t.Errorf("%s: not JSON: %s", src, out)
		}
		if !bytes.Equal(jq.AppendText(nil, in), jq.AppendText(nil, mustDecode(t, input))) {
			t.Errorf("%s: the input was changed", src)
		}
	})
}

func mustDecode(t *testing.T, input string) any {
	t.Helper()
	v, err := jq.Decode([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// FuzzDecode compares the decoder with encoding/json.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`null`, ` [1, -0, 1.50, 1e3, 1E-7, 100000000000000000001] `, `{"a":{"b":[true,false]},"a":2}`, `"\u00e9\ud83d\ude00\n\"\\\/"`,
		`"\ud800"`, `"é日本"`, "\"\xff\"", `{"a"}`, `[1,]`, `01`, `"` + "\n" + `"`, `{"a":1}x`, `tru`, `[[[[]]]]`, `1e1000`, `""`, `"\ud83dx"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := jq.Decode(data)
		if valid := json.Valid(data); valid != (err == nil) {
			t.Fatalf("Decode(%q) = %v, encoding/json says valid %v", data, err, valid)
		}
		if err != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		again := json.NewDecoder(bytes.NewReader(jq.AppendJSON(nil, v)))
		again.UseNumber()
		var got any
		if err := again.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(blank(got), blank(want)) && bytes.IndexByte(data, '\\') < 0 && utf8.Valid(data) {
			t.Errorf("Decode(%q) = %v, want %v", data, got, want)
		}
	})
}

// blank makes numbers comparable: spelling is not the matter here.
func blank(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, _ := v.Float64() // out of range: an infinity
		return min(max(f, -math.MaxFloat64), math.MaxFloat64)
	case string:
		return strings.ToValidUTF8(v, "")
	case []any:
		for i := range v {
			v[i] = blank(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = blank(v[k])
		}
	}
	return v
}
