package port_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port"
)

func TestMaskerForms(t *testing.T) {
	t.Parallel()
	const secret = `p/a+ss "w§ö&rd`
	m := port.NewMasker(secret)
	js, _ := json.Marshal(secret)
	twice, _ := json.Marshal(string(js))
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	texts := map[string]string{
		"plain": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret), "userinfo": url.UserPassword("u", secret).String(),
		"lower hex": strings.ToLower(url.QueryEscape(secret)), "encodeURIComponent": strings.ReplaceAll(url.QueryEscape(secret), "+", "%20"),
		"JSON": string(js), "JSON in JSON": string(twice), "Go": strconv.Quote(secret), "PHP": strings.ReplaceAll(string(js), "/", `\/`),
		"base64": b64(secret), "base64 of a PAT": b64(":" + secret), "base64 of user and secret": b64("someone:" + secret),
		"base64 of two": b64("so:" + secret + ":more"), "base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte("x:" + secret)),
		"base64 in a query": url.QueryEscape(b64("u:" + secret)),
	}
	for name, text := range texts {
		got := m.String("before " + text + " after")
		if strings.Contains(got, text) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, "[REDACTED]") {
			t.Errorf("%s: %q is %q", name, text, got)
		}
		if rest := strings.ReplaceAll(got, "[REDACTED]", ""); len(rest) > len("before  after")+len(`u:\"\"`) {
			t.Errorf("%s: %q is %q", name, text, got)
		}
	}
}

func TestMaskerKeepsWords(t *testing.T) {
	t.Parallel()
	m := port.NewMasker("the-secret", "the-secret-2")
	for in, want := range map[string]string{
		"POST /auth/access_token: proxyconnect tcp: refused":             "POST /auth/access_token: proxyconnect tcp: refused",
		"password: must not be empty, api_key = something":               "password: must not be empty, api_key = something",
		"Basic authentication and Bearer authentication":                 "Basic authentication and Bearer authentication",
		"the-secret-2, the-secret":                                       "[REDACTED], [REDACTED]",
		"Authorization: Bearer abcdef.ghi/jkl rest":                      "Authorization: Bearer [REDACTED] rest",
		`{"authorization":"Basic Zm9vOmJhcg=="}`:                         `{"authorization":"Basic [REDACTED]"}`,
		"GET https://h/p?api-version=7.1&access_token=abc&x=1":           "GET https://h/p?api-version=7.1&access_token=[REDACTED]&x=1",
		"https://h/p?sig=a%2Bb&se=1":                                     "https://h/p?sig=[REDACTED]&se=1",
		"https://user:pa55word@dev.azure.com":                            "[REDACTED]dev.azure.com",
		strings.Repeat("a1", 38) + "AZDO" + "ab12 " + "AZDO project":     "[REDACTED] AZDO project",
		"eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiI0OTliODRhYy0xMzIx.c2lnbmF0dXJl": "[REDACTED]",
	} {
		if got := m.String(in); got != want {
			t.Errorf("String(%q) = %q, want %q", in, got, want)
		}
	}
}

// A secret with several lines is masked although output is masked line by line.
func TestMaskerLines(t *testing.T) {
	t.Parallel()
	m := port.NewMasker()
	var out bytes.Buffer
	w := m.Writer(&out)
	m.Add("first line\r\nsecond line\n")
	fmt.Fprint(w, "a first line b\nsecond ")
	fmt.Fprint(w, "line\tx\x1b[2J\r\u202e\nends")
	if got, want := out.String(), "a [REDACTED] b\n[REDACTED]\tx\\x1b[2J\\r\\u202e\n"; got != want {
		t.Errorf("written %q, want %q", got, want)
	}
	if err := w.Close(); err != nil || !strings.HasSuffix(out.String(), "\nends") {
		t.Errorf("Close = %v, %q", err, out.String())
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	m := port.NewMasker("the-secret")
	for in, want := range map[string]string{
		"Ünïcode 日本 \U0001F600":                                  "Ünïcode 日本 \U0001F600",
		"a\nb\tc\r\x1b[31m the-secret\x7f\u009b\u2028\xff\u2066": `a\nb\tc\r\x1b[31m [REDACTED]\x7f\u009b\u2028\xff\u2066`,
		"the character \uFFFD itself":                            "the character \uFFFD itself",
	} {
		if got := m.Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
	if got := (*port.Masker)(nil).Line("x\x1by"); got != `x\x1by` {
		t.Errorf("Line without a masker = %q", got)
	}
}

func TestMaskedLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	m := port.NewMasker(`the"secret`)
	slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: m.Attr})).With("a", `the"secret`).WithGroup("g").
		Error("m \u009b the\"secret", "err", fmt.Errorf("no %s\x1b[2J\u202e", `the"secret`), `the"secret`, map[string]string{"k": `the"secret`})
	if got := out.String(); strings.Contains(got, "secret") || strings.ContainsAny(got, "\x1b\u009b\u202e") || !json.Valid(out.Bytes()) || strings.Count(got, "[REDACTED]") != 5 {
		t.Errorf("log = %s", got)
	}
}

// FuzzMasker looks for a secret behind every encoding, at every place.
func FuzzMasker(f *testing.F) {
	f.Add("the secret/of+all", "user:", "!")
	f.Add("äöüß\"\\", "", "\x00")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if secret = strings.TrimSpace(secret); len(secret) < 6 || strings.ContainsAny(secret, "\n") || strings.Contains("[REDACTED]", secret) {
			t.Skip()
		}
		m := port.NewMasker(secret)
		if got := m.String(before + secret + after); strings.Contains(got, secret) && !strings.Contains(before+after, "REDACTED") && !strings.Contains(secret, "REDACTED") {
			t.Errorf("String(%q) = %q", before+secret+after, got)
		}
		encoded := base64.StdEncoding.EncodeToString([]byte(before + secret + after))
		if got := m.String(encoded); got == encoded {
			t.Errorf("the base64 text %s of %q is kept", encoded, before+secret+after)
		}
		var out bytes.Buffer
		w := m.Writer(&out)
		for _, b := range []byte(before + secret + after) {
			if n, err := w.Write([]byte{b}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		w.Close()
		if strings.ContainsAny(out.String(), "\x1b\x00\r\u202e") {
			t.Errorf("written %q", out.String())
		}
	})
}
