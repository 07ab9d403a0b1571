package port

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tidwall/gjson"
)

// LogConfig says what is shipped. Zero fields mean the default named with them.
type LogConfig struct {
	Level    slog.Leveler // Info
	Masker   *Masker      // removes secrets from messages and attributes
	Hostname string       // shown with every record
	Instance string       // a UUID of this process
}

// A LogShipper is a slog.Handler that sends records to Port, where users read
// them next to the resync they belong to. It keeps what is logged before the
// client exists and while Port is away, up to a capacity; then the oldest are
// dropped and counted.
type LogShipper struct {
	slog.Handler // encodes records and gives them to Write

	cfg    LogConfig
	mu     sync.Mutex
	queue  [][]byte // encoded records
	lost   int      // dropped and not yet reported
	client *Client
	wake   chan struct{} // a full shipment waits
	send   chan struct{} // holds one value; whoever has it sends
}

const (
	logInterval  = 5 * time.Second // between shipments
	logCapacity  = 5000            // records kept while Port cannot be reached
	logBatch     = 100             // records per shipment
	logBatchSize = 512 << 10       // bytes per shipment
	logTextLimit = 16 << 10        // bytes of one record's message
	logSizeLimit = 64 << 10        // bytes of one record
	// LevelCritical is shipped as CRITICAL, and at once.
	LevelCritical = slog.LevelError + 4
)

// NewLogShipper makes a shipper. Nothing is sent before Start.
func NewLogShipper(cfg LogConfig) *LogShipper {
	s := &LogShipper{cfg: cfg, wake: make(chan struct{}, 1), send: make(chan struct{}, 1)}
	s.Handler = s.encoder(s)
	return s
}

// encoder gives records the form that Ocean's log handler sends
// (https://github.com/port-labs/ocean, port_ocean/log/handlers.py).
func (s *LogShipper) encoder(to io.Writer) slog.Handler {
	form := func(groups []string, a slog.Attr) slog.Attr {
		switch {
		case len(groups) == 1 && a.Key == "resync_id": // by which Port shows the lines of a resync together
			return slog.Group("", "event_id", a.Value.String(), "event_kind", "resync")
		case len(groups) == 1 && a.Key == "kind_index":
			a.Key = "index"
			return a
		case len(groups) > 0: // of extra
			switch a.Value.Kind() { //nolint:exhaustive // the rest is as it should be
			case slog.KindDuration:
				a.Value = slog.StringValue(durationText(a.Value.Duration()))
			case slog.KindTime:
				a.Value = slog.StringValue(a.Value.String())
			case slog.KindAny:
				a.Value = slog.AnyValue(s.cfg.Masker.any(a.Value.Any()))
			}
			return a
		case a.Key == slog.TimeKey:
			return slog.String("timestamp", a.Value.Time().UTC().Format("2006-01-02T15:04:05.000000Z"))
		case a.Key == slog.LevelKey:
			level, _ := a.Value.Any().(slog.Level)
			return slog.String("level", levelName(level))
		}
		return slog.String("message", shorten(s.cfg.Masker.String(a.Value.String()), logTextLimit))
	}
	h := slog.NewJSONHandler(to, &slog.HandlerOptions{Level: s.cfg.Level, ReplaceAttr: form})
	return h.WithGroup("extra").WithAttrs([]slog.Attr{slog.String("hostname", s.cfg.Hostname), slog.String("instance", s.cfg.Instance)})
}

// Write implements io.Writer for the encoder: it puts a record into the queue and
// never fails or waits. One that is too large keeps its message.
func (s *LogShipper) Write(record []byte) (int, error) {
	line := s.cfg.Masker.JSON(bytes.Clone(record))
	level := gjson.GetBytes(line, "level")
	if len(line) > logSizeLimit {
		extra, _ := json.Marshal(map[string]any{"hostname": s.cfg.Hostname, "instance": s.cfg.Instance, "shortened": true}) //nolint:errchkjson // strings always do
		line = fmt.Appendf(nil, `{"timestamp":%s,"level":%s,"message":%s,"extra":%s}`,
			gjson.GetBytes(line, "timestamp").Raw, level.Raw, gjson.GetBytes(line, "message").Raw, extra)
	}
	s.mu.Lock()
	s.queue = append(s.queue, line)
	s.trim()
	full := len(s.queue) >= logBatch || level.Str == levelName(LevelCritical)
	s.mu.Unlock()
	if full {
		select {
		case s.wake <- struct{}{}:
		default: // it is awake already
		}
	}
	return len(record), nil
}

// flushGrace bounds the sending of the last records.
const flushGrace = 3 * time.Second

// Start sends what is waiting, every interval and when a shipment is full, through
// a client. The returned function ends it and sends the rest; what cannot be sent
// then is lost here. A nil shipper has nothing to send.
func (s *LogShipper) Start(ctx context.Context, c *Client) (stop func()) {
	if s == nil {
		return func() {}
	}
	s.attach(c)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var run sync.WaitGroup
	run.Go(func() { s.run(ctx) })
	return func() {
		cancel()
		run.Wait()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushGrace)
		defer cancel()
		_ = s.Flush(last)
	}
}

func (s *LogShipper) attach(c *Client) {
	s.mu.Lock()
	s.client = c
	s.mu.Unlock()
}

func (s *LogShipper) run(ctx context.Context) {
	tick := time.NewTicker(logInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.wake:
		}
		_ = s.Flush(ctx) // what failed is still waiting
	}
}

// Flush sends all that is waiting. What could not be sent goes on waiting.
func (s *LogShipper) Flush(ctx context.Context) error {
	select {
	case s.send <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.send }()
	for {
		client, batch, lost := s.take(ctx)
		if client == nil || len(batch) == 0 {
			return nil
		}
		if err := client.sendLogs(ctx, encodeLogs(batch)); err != nil {
			s.putBack(batch, lost)
			return err
		}
	}
}

// take removes the next shipment. One more record reports those that were lost.
func (s *LogShipper) take(ctx context.Context) (client *Client, batch [][]byte, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil || len(s.queue) == 0 {
		return s.client, nil, 0
	}
	size, n := 0, 0
	for n < len(s.queue) && n < logBatch && (n == 0 || size+len(s.queue[n]) <= logBatchSize) {
		size += len(s.queue[n])
		n++
	}
	batch = append(batch, s.queue[:n]...)
	s.queue = s.queue[n:]
	if lost = s.lost; lost > 0 {
		s.lost = 0
		var record bytes.Buffer
		r := slog.NewRecord(time.Now(), slog.LevelWarn, "log records were dropped before they were sent", 0)
		r.Add("dropped", lost)
		_ = s.encoder(&record).Handle(ctx, r) // whatever the level
		batch = append(batch, record.Bytes())
	}
	return s.client, batch, lost
}

// putBack returns a shipment that was not sent to the head of the queue.
func (s *LogShipper) putBack(batch [][]byte, lost int) {
	if lost > 0 {
		batch = batch[:len(batch)-1]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += lost
	s.queue = append(slices.Clip(batch), s.queue...)
	s.trim()
}

// trim drops the oldest records above the capacity; the lock is held.
func (s *LogShipper) trim() {
	if over := len(s.queue) - logCapacity; over > 0 {
		clear(s.queue[:over])
		s.queue = s.queue[over:]
		s.lost += over
	}
}

func encodeLogs(batch [][]byte) []byte {
	return slices.Concat([]byte(`{"logs":[`), bytes.Join(batch, []byte(",")), []byte(`]}`))
}

func levelName(l slog.Level) string {
	switch {
	case l >= LevelCritical:
		return "CRITICAL"
	case l >= slog.LevelError:
		return "ERROR"
	case l >= slog.LevelWarn:
		return "WARNING"
	case l >= slog.LevelInfo:
		return "INFO"
	}
	return "DEBUG"
}
