package port

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidwall/gjson"
)

// minSecret is the length below which a value is not looked for: short ones
// would blot out ordinary words.
const minSecret = 6

const redactedMark = "[REDACTED]"

// credentialForms are credentials that show by their form: tokens with a
// signature, and places where nothing but a credential can stand. What merely
// follows a word such as "token:" is left alone, as it is mostly the reason of
// an error. The first group of a form stays.
var credentialForms = regexp.MustCompile(`(` + strings.Join([]string{
	`(?i:\bauthorization["']?\s*[:=]\s*["']?(?:basic|bearer|negotiate)\s+)`,
	`(?i:[?&](?:access_token|refresh_token|client_secret|client_assertion|api[_-]?key|password|sig)=)`,
}, "|") + `)[^\s"'\\&<>]+|` + strings.Join([]string{
	`[A-Za-z][A-Za-z0-9+.-]{1,20}://[^/\s:@"']*:[^/\s@"']+@`, // in addresses
	`\b[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}\b`,                  // Azure DevOps personal access token
	`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`,                          // AWS
	`\bamzn\.mws\.[0-9a-f-]{36}\b`,                           // MWS
	`\bAIza[0-9A-Za-z_-]{35}\b`,                              // Google
	`\bya29\.[0-9A-Za-z_-]{10,}`,                             // Google OAuth
	`\bAAAA[A-Za-z0-9_-]{7}:[A-Za-z0-9_-]{140}`,              // Firebase
	`\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})\b`,  // GitHub
	`-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:[^-]*-----END (?:[A-Z]+ )*PRIVATE KEY-----)?`,
	`\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+`, // JSON web tokens
}, "|"))

// credentialParts are texts, in lower case, one of which is in whatever has one of
// the forms. Forms that disregard case also take ſ for an s, so there is none.
var credentialParts = []string{
	"authorization", "_token=", "client_", "key=", "word=", "ig=", "@", "azdo", "akia", "asia", "amzn.mws.", "aiza", "ya29.",
	"aaaa", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "-----begin", "eyj",
}

// A Masker replaces secrets by [REDACTED]: the values it was given, however they
// are encoded, and what has the form of a credential. A nil Masker replaces
// nothing. It is safe for concurrent use.
type Masker struct {
	mu     sync.Mutex
	values []string
	state  atomic.Pointer[replacer]
}

// A replacer finds the forms of all values at once.
type replacer struct {
	*strings.Replacer
	longest int // form, in bytes
}

// NewMasker makes a masker for the given secrets. Those shorter than six bytes
// are left out.
func NewMasker(secrets ...string) *Masker {
	m := &Masker{}
	m.Add(secrets...)
	return m
}

// Add masks further secrets from now on.
func (m *Masker) Add(secrets ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range secrets {
		m.add(strings.TrimSpace(s))
		if lines := strings.Split(s, "\n"); len(lines) > 1 { // output is masked line by line
			for _, line := range lines {
				m.add(strings.TrimSpace(line))
			}
		}
	}
	m.state.Store(newReplacer(m.values))
}

func newReplacer(values []string) *replacer {
	var forms [][2]string
	for _, v := range values {
		for _, form := range encodings(v) {
			forms = append(forms, [2]string{form, redactedMark})
		}
		for _, core := range base64Cores(v) {
			forms = append(forms, [2]string{core, base64Mark})
		}
	}
	// Longest first, so that a part does not break the whole.
	slices.SortStableFunc(forms, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
	r := &replacer{}
	pairs := make([]string, 0, 2*len(forms))
	for _, f := range forms {
		pairs = append(pairs, f[0], f[1])
		r.longest = max(r.longest, len(f[0]))
	}
	r.Replacer = strings.NewReplacer(pairs...)
	return r
}

func (m *Masker) add(s string) {
	if len(s) >= minSecret && !slices.Contains(m.values, s) {
		m.values = append(m.values, s)
	}
}

// encodings are the texts as which a secret appears: as it is, in a query, a path
// or before the host of a URL, and inside a JSON or Go string, also one within
// another.
func encodings(s string) []string {
	query := url.QueryEscape(s)
	out := []string{s, query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(s), strings.TrimPrefix(url.UserPassword("", s).String(), ":")}
	for _, form := range out[1:] {
		out = append(out, lowerHex.ReplaceAllStringFunc(form, strings.ToLower))
	}
	for _, once := range quoted(s) {
		out = append(append(out, once), quoted(once)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var lowerHex = regexp.MustCompile(`%[0-9A-F]{2}`)

// quoted are the ways to write a text in a string of JSON or Go, without the quotes.
func quoted(s string) []string {
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil {
		return nil
	}
	var out []string
	for _, q := range []string{strconv.Quote(s), strconv.QuoteToASCII(s), strings.TrimSpace(plain.String()), string(gjson.AppendJSONString(nil, s))} {
		out = append(out, q[1:len(q)-1], strings.ReplaceAll(q[1:len(q)-1], "/", `\/`))
	}
	return out
}

// base64Mark stands for a part of a base64 text until all of it is replaced. A
// text that holds one already loses a few characters, nothing else.
const base64Mark = "\uFFFE"

var base64Run = regexp.MustCompile(`[A-Za-z0-9+/_%-]*` + base64Mark + `[A-Za-z0-9+/_%=` + base64Mark + `-]*`)

// base64Cores are the characters that base64 makes of a secret wherever it stands
// in what is encoded, as in user:secret: one text for each of the three places in
// a group, without the characters that depend on the neighbours.
func base64Cores(s string) []string {
	var out []string
	for before := range 3 {
		in := append(make([]byte, before), s...)
		from, to := (before*8+5)/6, len(in)*8/6
		std := base64.RawStdEncoding.EncodeToString(in)[from:to]
		out = append(out, std, strings.NewReplacer("+", "-", "/", "_").Replace(std), url.QueryEscape(std))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// String masks a text.
func (m *Masker) String(s string) string {
	if m == nil || len(s) < minSecret {
		return s
	}
	s = m.state.Load().Replace(s)
	if strings.Contains(s, base64Mark) {
		s = base64Run.ReplaceAllLiteralString(s, redactedMark)
	}
	if !mayHoldCredential(s) {
		return s
	}
	return credentialForms.ReplaceAllString(s, "${1}"+redactedMark)
}

// mayHoldCredential says no, quickly, of a text that none of the forms is in: most
// texts, and the forms are slow to look for.
func mayHoldCredential(s string) bool {
	lower := strings.ToLower(s)
	return slices.ContainsFunc(credentialParts, func(part string) bool { return strings.Contains(lower, part) })
}

// JSON masks the strings of a document, names included. The document must be
// valid; everything else about it stays as it is.
func (m *Masker) JSON(doc []byte) []byte {
	if m == nil {
		return doc
	}
	if bytes.IndexByte(doc, '\\') < 0 { // so that the strings are parts of the document as they are
		if text := string(doc); m.String(text) == text {
			return doc
		}
	}
	var out []byte
	done := 0 // of doc is in out
	for i := bytes.IndexByte(doc, '"'); i >= 0; {
		end := stringEnd(doc, i)
		s := gjson.ParseBytes(doc[i:end]).Str
		if masked := m.String(s); masked != s {
			out = gjson.AppendJSONString(append(out, doc[done:i]...), masked)
			done = end
		}
		next := bytes.IndexByte(doc[end:], '"')
		if next < 0 {
			break
		}
		i = end + next
	}
	if done == 0 {
		return doc
	}
	return append(out, doc[done:]...)
}

// stringEnd is where a string that begins at doc[i] ends.
func stringEnd(doc []byte, i int) int {
	for i++; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(doc)
}
