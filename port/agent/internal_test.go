//go:build !race

package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/mapping/jq"
)

const vectorSecret = "0123456789abcdef0123456789abcdef"

func mustParse(tb testing.TB, text string) any {
	tb.Helper()
	v, err := parse([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestSign(t *testing.T) {
	t.Parallel()
	v := mustParse(t, `{"a":1, "b":"é/<>&\u2028", "c":[1.5,null,true]}`)
	for _, tt := range []struct {
		text []byte
		want string
	}{
		{[]byte(`{"hello":"world"}`), "v1,jpJi9TBuWDO4XawdpxlrJVqPu3Tk6yFsedzQ6pwFYyM="},
		{appendJSON(nil, v, ascii), "v1,kLTHjHfoAR8Z4b+z6iwiPduVrNjGs/L+spI6dE+tiFg="},
		{appendJSON(nil, v, readable), "v1,aTf3XgZ6+C3R0TTVRjU9II/zEhrYbdfu6wkGATEaJcg="},
	} {
		if got := sign(vectorSecret, "1713277889", tt.text); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.text, got, tt.want)
		}
	}
	m := mustParse(t, string(sample(t, "webhook.json"))) // the whole message is the body
	if got := sign(vectorSecret, "1770113731", appendJSON(nil, m, ascii)); got != "v1,+vR/QirDgQ2gXvhBtQ1DN1S9xrDhQQ9/2eq9IplKF90=" {
		if err := verify(m.(*object), "WEBHOOK", vectorSecret); err != nil {
			t.Error(err)
		}
		if got = sign(vectorSecret, "1770113731", appendJSON(nil, m, ascii)); got != "v1,+vR/QirDgQ2gXvhBtQ1DN1S9xrDhQQ9/2eq9IplKF90=" {
			t.Errorf("outgoing: %s", got)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	webhook, gitlab := string(sample(t, "webhook.json")), string(sample(t, "gitlab.json"))
	signature := `"v1,wnD07OMJC4eACp/qs6GqQueNEyO+u1qfX3BiOStFTpU="`
	tests := []struct {
		name, kind, message, secret string
		good                        bool
	}{
		{"webhook", "WEBHOOK", webhook, vectorSecret, true},
		{"gitlab", "GITLAB", gitlab, vectorSecret, true},
		{"other secret", "WEBHOOK", webhook, vectorSecret + "x", false},
		{"changed", "WEBHOOK", strings.Replace(webhook, "1.4.2", "1.4.3", 1), vectorSecret, false},
		{"no headers", "WEBHOOK", `{}`, vectorSecret, false},
		{"headers is a list", "WEBHOOK", `{"headers":[]}`, vectorSecret, false},
		{"no timestamp", "WEBHOOK", `{"headers":{"X-Port-Signature":` + signature + `}}`, vectorSecret, false},
		{"signature is a number", "WEBHOOK", strings.Replace(webhook, signature, "1", 1), vectorSecret, false},
		{"destination does not save it", "WEBHOOK", `{"changelogDestination":{"agent":true}}`, vectorSecret, false},
	}
	for _, tt := range tests {
		m := mustParse(t, tt.message).(*object)
		if err := verify(m, tt.kind, tt.secret); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.good && (get(m, "headers", signatureHeader) != nil || (get(m, "headers") == nil) != (tt.kind == typeGitLab)) {
			t.Errorf("%s: headers are %s", tt.name, text(get(m, "headers")))
		}
	}
}

func TestDecrypt(t *testing.T) {
	t.Parallel()
	long := vectorSecret + "EXTRA"
	const s3cr3t = "AAECAwQFBgcICQoLDA0OD5X18dL7CSJ9vXAAuyLOreueRvsvyBQ="
	for _, tt := range []struct{ name, in, secret, want, err string }{
		{"text", s3cr3t, long, "s3cr3t", ""},
		{"line breaks", s3cr3t[:10] + "\n " + s3cr3t[10:], long, "s3cr3t", ""},
		{"empty", "AAECAwQFBgcICQoLDA0OD0NAAnwx8lE12p5vh295hXo=", long, "", ""},
		{"too short", "AAECAwQ=", long, "", "too short"},
		{"short key", s3cr3t, "short", "", "32"},
		{"other bytes", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 48)), long, "", "not encrypted with"},
		{"no base64", "A", long, "", "base64"},
	} {
		got, err := decrypt(tt.in, tt.secret)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
	m := mustParse(t, `{"a":{"list":[{"deep":"`+s3cr3t+`"},1],"n":5}}`).(*object)
	for path, good := range map[string]bool{"a.list.0.deep": true, "a.list.7": true, "a.list.x": true, "nope.x": true, ".a": true, "a.n": false, "a.list.1": false} {
		if err := decryptPath(m, path, long); (err == nil) != good {
			t.Errorf("%s: %v", path, err)
		}
	}
	if got := text(m); got != `{"a":{"list":[{"deep":"s3cr3t"},1],"n":5}}` {
		t.Error(got)
	}
}

func testEvaluation(tb testing.TB, message string, environ ...string) *evaluation {
	tb.Helper()
	return &evaluation{ctx: context.Background(), jq: jq.NewEvaluator(jq.Options{Environ: environ}), input: []byte(message), log: slog.New(slog.DiscardHandler)}
}

func TestMapping(t *testing.T) {
	t.Parallel()
	const message = `{"action":"deploy","status":"TRIGGERED","n":3}`
	inv := &invocation{message: mustParse(t, message).(*object), method: mustParse(t, `{"url":"http://h/x","method":"put"}`).(*object)}
	tests := []struct{ entry, method, url, headers, body string }{
		{`{}`, "PUT", "http://h/x", `{}`, message},
		{
			`{"body":{"e":{},"n":null,"num":3,"t":true,"l":[".action","\"lit\"",5,{"x":".status"}],"bad":".foo["}}`, "PUT", "http://h/x", `{}`,
			`{"n":null,"num":3,"t":true,"l":["deploy","lit",5,{"x":"TRIGGERED"}],"bad":null}`,
		},
		{`{"query":{"a":"1","b":"true","c":"[1,2]","d":".nope","e":"\"x y&z\""}}`, "PUT", "http://h/x?a=1&b=True&c=1&c=2&e=x+y%26z", `{}`, message},
		{`{"url":"\"http://h/a%2Fb/c d?z=é\"","query":{"q":"\"1\""}}`, "PUT", "http://h/a%2Fb/c%20d?z=%C3%A9&q=1", `{}`, message},
		{`{"headers":{"X-N":1,"X-Nope":".nope","X-My":"\"v\"","x-port-signature":"\"mine\""}}`, "PUT", "http://h/x", `{"X-N":1,"X-My":"v"}`, message},
		{`{"method":"\"get\"","body":"null"}`, "GET", "http://h/x", `{}`, ""},
		{`{"body":"1, error(\"late\")"}`, "PUT", "http://h/x", `{}`, ""},
		{`{"body":"(1,2)"}`, "PUT", "http://h/x", `{}`, "1"},
		{`{"body":{"a":"env.T","b":"$ENV.T"}}`, "PUT", "http://h/x", `{}`, `{"a":"tok","b":"tok"}`},
	}
	c := newCaller(nil, time.Second, vectorSecret, "ua")
	for _, tt := range tests {
		entries, err := parseMapping([]byte("[" + tt.entry + "]"))
		if err != nil {
			t.Errorf("%s: %v", tt.entry, err)
			continue
		}
		e := testEvaluation(t, message, "T=tok")
		r, err := e.request(e.choose(entries), inv)
		if err != nil {
			t.Errorf("%s: %v", tt.entry, err)
			continue
		}
		s, err := c.sign(r)
		if err != nil {
			t.Errorf("%s: %v", tt.entry, err)
			continue
		}
		h := s.headers.without(signatureHeader).without(timestampHeader)
		if strings.ToUpper(s.method) != tt.method || s.address != tt.url || text(h) != tt.headers || string(s.body) != tt.body {
			t.Errorf("%s: %s %s %s %s", tt.entry, s.method, s.address, text(h), s.body)
		}
	}
}

func TestMappingErrors(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		`{}`, `[1]`, `[{"enabled":2}]`, `[{"enabled":null,"url":1}]`, `[{"url":1}]`, `[{"method":[]}]`, `[{"body":[]}]`, `[{"body":1}]`, `[{"headers":{"a":null}}]`,
		`[{"headers":{"a":{}}}]`, `[{"query":1}]`, `[{"report":"x"}]`, `[{"report":{"status":1}}]`, `[{"fieldsToDecryptPaths":"x"}]`, `[{"fieldsToDecryptPaths":[1]}]`, `[`,
	} {
		if _, err := parseMapping([]byte(bad)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
	if entries, err := parseMapping([]byte(`[]`)); err != nil || len(entries) != 0 {
		t.Errorf("an empty list: %v", err)
	}
}

func TestEnabled(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]bool{
		`true`: true, `"true"`: true, `1`: true, `"no"`: false, `false`: false, `".action"`: false, `".n"`: false, `".n == 3"`: true, `".foo["`: false, `"\"yes\" == \"yes\""`: true,
	} {
		entries, err := parseMapping([]byte(`[{"enabled":` + program + `}]`))
		if err != nil {
			t.Errorf("%s: %v", program, err)
			continue
		}
		if got := testEvaluation(t, `{"action":"deploy","n":3}`).choose(entries) != nil; got != want {
			t.Errorf("%s: %t, want %t", program, got, want)
		}
	}
}

func TestDefaultMapping(t *testing.T) {
	t.Parallel()
	entries, err := parseMapping(defaultMapping)
	if err != nil {
		t.Fatal(err)
	}
	inv, err := readRecord(runsTopic, sample(t, "gitlab.json"))
	if err != nil {
		t.Fatal(err)
	}
	inv.message.remove("headers")
	e := testEvaluation(t, text(inv.message), "platform_tools_scaffolder=token")
	x := e.choose(entries)
	r, err := e.request(x, inv)
	if err != nil {
		t.Fatal(err)
	}
	if r.url != "https://gitlab.com/api/v4/projects/platform%2Ftools%2Fscaffolder/trigger/pipeline" || r.method != "POST" {
		t.Errorf("%s %s", r.method, r.url)
	}
	body := r.body.(*object).without("port_payload")
	if got, want := text(body), `{"ref":"main","token":"token","variables":{"name":"svc-a","count":"2"}}`; got != want {
		t.Errorf("body = %s, want %s", got, want)
	}
	o := e.outcome(x, inv, &signed{request: r}, &answer{status: 201, headers: http.Header{}, isJSON: true, json: mustParse(t, `{"id":77,"web_url":"u"}`)}, true)
	if len(o.Reports) != 1 || string(o.Reports[0].Body) != `{"link":"u","externalRunId":"77"}` {
		t.Errorf("reports: %s", o.Reports)
	}
}

// Texts are read as port-agent reads them.
func TestDecodeText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ body, kind, want string }{
		{"café", "text/plain", "cafÃ©"},
		{"café", "text/plain; charset=utf-8", "café"},
		{"caf\xe9", "text/html", "café"},
		{"café", "application/json", "café"},
		{"caf\xe9", "", "café"},
		{"caf\xe9", "application/json", "caf\ufffd"},
		{"café", "", "café"},
		{"x", ";;", "x"},
	} {
		if got := decodeText([]byte(tt.body), tt.kind); got != tt.want {
			t.Errorf("%q as %q: %q, want %q", tt.body, tt.kind, got, tt.want)
		}
	}
}

// What is too large for Port is cut.
func TestLargeAnswer(t *testing.T) {
	t.Parallel()
	inv := &invocation{run: "r_1", message: &object{}, method: mustParse(t, `{"synchronized":true}`).(*object)}
	a := &answer{status: 500, headers: http.Header{}, text: strings.Repeat("é", 2<<20)}
	for _, r := range testEvaluation(t, `{}`).outcome(&entry{}, inv, &signed{request: &request{}}, a, true).Reports {
		if len(r.Body) > 1<<20 || !json.Valid(r.Body) || len(r.Instead) > 3000 {
			t.Errorf("%s: %d bytes", r.Path, len(r.Body))
		}
	}
	inv.node = true
	a.status = 200
	for _, r := range testEvaluation(t, `{}`).outcome(&entry{}, inv, &signed{request: &request{}}, a, true).Reports {
		if len(r.Body) > 1<<20 || !json.Valid(r.Body) {
			t.Errorf("%s: %d bytes", r.Path, len(r.Body))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":[1,"é",{"b":null}],"a":1e-7}`))
	f.Add(bytes.Repeat([]byte("["), 1000))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parse(b)
		if err != nil {
			return
		}
		for _, c := range []charset{readable, ascii} {
			out := appendJSON(nil, v, c)
			again, err := parse(out)
			if err != nil {
				t.Fatalf("%q became %q: %v", b, out, err)
			}
			if twice := appendJSON(nil, again, c); !bytes.Equal(out, twice) {
				t.Fatalf("%q, then %q", out, twice)
			}
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add(sample(f, "webhook.json"))
	f.Add(sample(f, "gitlab.json"))
	f.Add([]byte(`{"id":"r_1","payload":{"type":"WEBHOOK","url":"http://h","agent":true,"body":{"context":{}}}}`))
	f.Add([]byte(`{"identifier":"wfnr_1","config":{"agent":true}}`))
	f.Add([]byte(`{"changelogDestination":{"agent":true,"url":"u"},"context":{"runId":"r"}}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, q := range []queue{claimedRuns, claimedNodes, runsTopic, changesTopic} {
			inv, err := read(q, b)
			if err != nil {
				continue
			}
			_ = verify(inv.message, inv.kind(), vectorSecret)
			_ = inv.failure("x")
		}
	})
}

func FuzzMapping(f *testing.F) {
	f.Add(defaultMapping)
	f.Add([]byte(`[{"enabled":".a","headers":{"a":1},"query":".q","body":{"x":[".a",{}]},"report":{"link":".x"},"fieldsToDecryptPaths":["a.0"]}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseMapping(b)
		if err != nil {
			return
		}
		inv := &invocation{message: mustParse(t, `{"a":["x"]}`).(*object), method: &object{}}
		for _, x := range entries {
			for _, p := range x.decrypt {
				_ = decryptPath(inv.message, p, vectorSecret)
			}
			e := &evaluation{ctx: t.Context(), jq: constant{}, input: []byte(`{}`), log: slog.New(slog.DiscardHandler)}
			if r, err := e.request(x, inv); err == nil {
				_, _ = newCaller(nil, time.Second, vectorSecret, "ua").sign(r)
			}
		}
	})
}

// constant evaluates every program to a url.
type constant struct{}

func (constant) Evaluate(context.Context, string, []byte) ([]byte, error) {
	return []byte(`"http://h/x"`), nil
}

func FuzzSignature(f *testing.F) {
	f.Add(`"v1,wnD07OMJC4eACp/qs6GqQueNEyO+u1qfX3BiOStFTpU="`, "1770113730")
	f.Add(`null`, `{"a":1}`)
	f.Fuzz(func(t *testing.T, signature, timestamp string) {
		v, err := parse([]byte(`{"headers":{"X-Port-Signature":` + signature + `,"X-Port-Timestamp":` + timestamp + `}}`))
		if err != nil {
			return
		}
		if verify(v.(*object), "WEBHOOK", "another secret") == nil {
			t.Fatal("a forged signature is accepted")
		}
	})
}

func FuzzURL(f *testing.F) {
	f.Add("http://h/a%2Fb c?é=%zz")
	f.Fuzz(func(_ *testing.T, s string) {
		_, _ = newCaller(nil, time.Second, vectorSecret, "ua").sign(&request{method: "POST", url: s, query: &object{}, headers: &object{}})
	})
}
