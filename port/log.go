package port

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"time"
)

// NewLog makes the log of a process: JSON lines on out, or text with warnings and
// errors only where a person looks at a terminal, who is shown progress instead.
// With ship the lines also wait for Port, in the returned shipper; else that is
// nil. Lines have the attributes of their context, see [LogContext].
func NewLog(cfg LogConfig, out io.Writer, terminal, ship bool) (*slog.Logger, *LogShipper) {
	opt := &slog.HandlerOptions{Level: cfg.Level, ReplaceAttr: cfg.Masker.Attr}
	var local slog.Handler = slog.NewJSONHandler(out, opt)
	if terminal {
		opt.Level = max(cfg.Level.Level(), slog.LevelWarn)
		local = slog.NewTextHandler(out, opt)
	}
	if !ship {
		return slog.New(contextHandler{local}), nil
	}
	shipper := NewLogShipper(cfg)
	return slog.New(contextHandler{slog.NewMultiHandler(local, shipper)}), shipper
}

type logKey struct{}

// LogContext returns a context with which every line of a log of NewLog has these
// attributes, whoever writes it: such as the id of the resync that it is about.
func LogContext(ctx context.Context, attrs ...slog.Attr) context.Context {
	before, _ := ctx.Value(logKey{}).([]slog.Attr)
	return context.WithValue(ctx, logKey{}, append(slices.Clip(before), attrs...))
}

// A contextHandler adds the attributes of the context.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if attrs, ok := ctx.Value(logKey{}).([]slog.Attr); ok {
		r = r.Clone()
		r.AddAttrs(attrs...)
	}
	return h.Handler.Handle(ctx, r)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}

// durationText is a duration for people, "1.2s": a bare number would not say its unit.
func durationText(d time.Duration) string {
	switch {
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(time.Millisecond)
	default:
		d = d.Round(time.Microsecond)
	}
	return d.String()
}
