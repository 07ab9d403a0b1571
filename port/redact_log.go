package port

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

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

// Attr is the ReplaceAttr of a slog.Handler: it masks messages, attributes and the
// names of attributes. Control characters are shown as in [Masker.Line].
func (m *Masker) Attr(_ []string, a slog.Attr) slog.Attr {
	a.Key = visible(m.String(a.Key), false)
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(visible(m.String(a.Value.String()), false))
	case slog.KindAny:
		switch x := m.any(a.Value.Any()).(type) {
		case json.RawMessage:
			a.Value = slog.StringValue(visible(string(x), false))
		case string:
			a.Value = slog.StringValue(visible(x, false))
		}
	case slog.KindDuration:
		a.Value = slog.StringValue(durationText(a.Value.Duration()))
	default: // numbers, booleans and times have no text to mask
	}
	return a
}
