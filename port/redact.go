package port

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// minSecret is the length below which a value is not looked for: short ones
// would blot out ordinary words.
const minSecret = 6

const redactedMark = "[REDACTED]"

// patterns are credentials that show by their form (port.md 8.6).
var patterns = []string{
	`[A-Za-z][A-Za-z0-9+.-]{1,20}://[^/\s:@"']*:[^/\s@"']+@`, // in addresses
	`(?i)\b(?:api[_-]?key|client[_-]?secret|secret[_-]?key|access[_-]?token|password|passwd)["']?\s*[:=]\s*["']?[^\s"',;&]{8,}`,
	`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`,                         // AWS
	`\bamzn\.mws\.[0-9a-f-]{36}\b`,                          // MWS
	`\bAIza[0-9A-Za-z_-]{35}\b`,                             // Google
	`\bya29\.[0-9A-Za-z_-]{10,}`,                            // Google OAuth
	`\bAAAA[A-Za-z0-9_-]{7}:[A-Za-z0-9_-]{140}`,             // Firebase
	`\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})\b`, // GitHub
	`-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:[^-]*-----END (?:[A-Z]+ )*PRIVATE KEY-----)?`,
	`\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+`, // JSON web tokens
}

// A Masker replaces secrets by [REDACTED]: the values it was given, and what
// has the form of a credential. A nil Masker changes nothing. It is safe for
// concurrent use.
type Masker struct {
	values   []string // longest first, so that a part does not break the whole
	replacer *strings.Replacer
	forms    *regexp.Regexp
}

// NewMasker makes a masker for the given secrets. Those shorter than six bytes
// are left out.
func NewMasker(secrets ...string) *Masker {
	m := &Masker{forms: regexp.MustCompile(strings.Join(patterns, "|"))}
	for _, s := range secrets {
		if s = strings.TrimSpace(s); len(s) >= minSecret && !slices.Contains(m.values, s) {
			m.values = append(m.values, s)
		}
	}
	slices.SortFunc(m.values, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(m.values))
	for _, v := range m.values {
		pairs = append(pairs, v, redactedMark)
	}
	m.replacer = strings.NewReplacer(pairs...)
	return m
}

// with returns a masker for further secrets; m may be nil.
func (m *Masker) with(secrets ...string) *Masker {
	if m != nil {
		secrets = append(secrets, m.values...)
	}
	return NewMasker(secrets...)
}

// String masks a text.
func (m *Masker) String(s string) string {
	if m == nil || len(s) < minSecret {
		return s
	}
	return m.forms.ReplaceAllLiteralString(m.replacer.Replace(s), redactedMark)
}

// JSON masks the strings of a document, names included. The document must be
// valid; everything else about it stays as it is.
func (m *Masker) JSON(doc []byte) []byte {
	if m == nil {
		return doc
	}
	return jsonString.ReplaceAllFunc(doc, func(quoted []byte) []byte {
		s := gjson.ParseBytes(quoted).Str
		masked := m.String(s)
		if masked == s {
			return quoted
		}
		return gjson.AppendJSONString(nil, masked)
	})
}

// jsonString finds the strings of a valid document.
var jsonString = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// Value masks what a log record carries, however deep, in a form that can be
// encoded as JSON.
func (m *Masker) Value(v slog.Value) any {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return m.String(v.String())
	case slog.KindGroup:
		group := map[string]any{}
		for _, a := range v.Group() {
			m.addTo(group, a)
		}
		return group
	case slog.KindDuration, slog.KindTime:
		return v.String()
	case slog.KindAny:
		return m.any(v.Any())
	default: // numbers and booleans
		return v.Any()
	}
}

func (m *Masker) addTo(group map[string]any, a slog.Attr) {
	value := m.Value(a.Value)
	if inner, ok := value.(map[string]any); ok && a.Key == "" {
		maps.Copy(group, inner)
		return
	}
	if a.Key != "" {
		group[m.String(a.Key)] = value
	}
}

// any masks a value of any type: as its text when it has one, as JSON otherwise.
func (m *Masker) any(v any) any {
	switch x := v.(type) {
	case nil:
		return nil
	case error:
		return m.String(x.Error())
	case fmt.Stringer:
		return m.String(x.String())
	case []byte:
		return m.String(string(x))
	}
	b, err := json.Marshal(v)
	if err != nil {
		return m.String(fmt.Sprint(v))
	}
	return json.RawMessage(m.JSON(b))
}

// Handler puts the masker before another handler: messages, attributes and
// the names of attributes.
func (m *Masker) Handler(next slog.Handler) slog.Handler { return maskingHandler{m, next} }

type maskingHandler struct {
	m    *Masker
	next slog.Handler
}

func (h maskingHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.next.Enabled(ctx, l)
}

func (h maskingHandler) Handle(ctx context.Context, r slog.Record) error {
	masked := slog.NewRecord(r.Time, r.Level, h.m.String(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		masked.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, masked)
}

func (h maskingHandler) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(h.m.String(v.String()))
	case slog.KindGroup:
		v = slog.GroupValue(h.attrs(v.Group())...)
	case slog.KindAny:
		switch x := h.m.any(v.Any()).(type) {
		case json.RawMessage:
			v = slog.StringValue(string(x))
		case string:
			v = slog.StringValue(x)
		}
	default: // numbers, booleans and times have no text to mask
	}
	return slog.Attr{Key: h.m.String(a.Key), Value: v}
}

func (h maskingHandler) attrs(list []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(list))
	for i, a := range list {
		out[i] = h.attr(a)
	}
	return out
}

func (h maskingHandler) WithAttrs(list []slog.Attr) slog.Handler {
	return maskingHandler{h.m, h.next.WithAttrs(h.attrs(list))}
}

func (h maskingHandler) WithGroup(name string) slog.Handler {
	return maskingHandler{h.m, h.next.WithGroup(name)}
}
