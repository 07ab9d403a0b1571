package port

import (
	"context"
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

// Handler puts the masker before another handler: messages, attributes and
// the names of attributes. Control characters are shown as in [Masker.Line].
func (m *Masker) Handler(next slog.Handler) slog.Handler { return maskingHandler{m, next} }

type maskingHandler struct {
	m    *Masker
	next slog.Handler
}

func (h maskingHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.next.Enabled(ctx, l)
}

func (h maskingHandler) Handle(ctx context.Context, r slog.Record) error {
	masked := slog.NewRecord(r.Time, r.Level, h.text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		masked.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, masked)
}

func (h maskingHandler) text(s string) string { return visible(h.m.String(s), false) }

func (h maskingHandler) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(h.text(v.String()))
	case slog.KindGroup:
		v = slog.GroupValue(h.attrs(v.Group())...)
	case slog.KindAny:
		switch x := h.m.any(v.Any()).(type) {
		case json.RawMessage:
			v = slog.StringValue(visible(string(x), false))
		case string:
			v = slog.StringValue(visible(x, false))
		}
	default: // numbers, booleans and times have no text to mask
	}
	return slog.Attr{Key: h.text(a.Key), Value: v}
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
