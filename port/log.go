package port

import (
	"io"
	"log/slog"
)

// NewLog makes the log of a process: JSON lines on out, or text with warnings and
// errors only where a person looks at a terminal, who is shown progress instead.
// With ship the lines also wait for Port, in the returned shipper; else that is
// nil.
func NewLog(cfg LogConfig, out io.Writer, terminal, ship bool) (*slog.Logger, *LogShipper) {
	opt := &slog.HandlerOptions{Level: cfg.Level, ReplaceAttr: cfg.Masker.Attr}
	var local slog.Handler = slog.NewJSONHandler(out, opt)
	if terminal {
		opt.Level = max(cfg.Level.Level(), slog.LevelWarn)
		local = slog.NewTextHandler(out, opt)
	}
	if !ship {
		return slog.New(local), nil
	}
	shipper := NewLogShipper(cfg)
	return slog.New(slog.NewMultiHandler(local, shipper)), shipper
}
