package rawjson_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

func nested(n int) string {
	return strings.Repeat(`{"a":[`, n/2) + "1" + strings.Repeat("]}", n/2)
}

func TestValid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": false, " ": false, `{"a":[1,-0.5e+3,true,false,null,"ä\u00e9\n\"\\"]}`: true, "\t[ ]\r\n": true, "{}": true,
		"[1,]": false, `{"a":1,}`: false, `{"a"}`: false, `{1:2}`: false, "[1}": false, "[1 2]": false, "1 2": false, "tru": false, "nul": false,
		"01": false, "-": false, "1.": false, "1e": false, "+1": false, ".5": false, "0": true, "-0": true, "1E9": true,
		`"`: false, `"a`: false, `"\`: false, `"\x"`: false, `"\u12"`: false, `"\u12g4"`: false, "\"a\nb\"": false, "\"12345678\x1f\"": false,
		`"1234567"`: true, `"12345678"`: true, "\"1234567\u20ac89\"": true, "[\"12345678901234\\": false,
		"\u00a0{}": false, "\v{}": false,
		nested(rawjson.MaxDepth): true, nested(rawjson.MaxDepth + 2): false, strings.Repeat("[", 10_000_000): false,
	} {
		if got := rawjson.Valid([]byte(text)); got != want {
			t.Errorf("Valid(%.60q) = %v", text, got)
		}
	}
}

func FuzzValid(f *testing.F) {
	for _, text := range []string{`{"a":[1,-0.5e+3,true,null,"é\n\u00e9"]}`, "[\"\x7f\x80\x1f\"]", `"\ud800"`, `{"12345678":"\\\""}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if rawjson.Deeper(text, rawjson.MaxDepth) {
			t.Skip()
		}
		if got, want := rawjson.Valid(text), json.Valid(text); got != want {
			t.Errorf("Valid(%q) = %v, encoding/json says %v", text, got, want)
		}
	})
}

func BenchmarkValid(b *testing.B) {
	text := []byte(`{"count":200,"value":[` + strings.Repeat(`{"id":7,"url":"https://dev.azure.com/contoso/_apis/wit/workItems/7","fields":{"System.Title":"Orders are lost when the queue is full","System.Rev":3}},`, 199) + "{}]}")
	for name, valid := range map[string]func([]byte) bool{"ours": rawjson.Valid, "gjson": gjson.ValidBytes, "encoding-json": json.Valid} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if !valid(text) {
					b.Fatal("not valid")
				}
			}
		})
	}
}
