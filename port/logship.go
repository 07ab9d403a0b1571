package port

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// LogConfig says what is shipped. Zero fields mean the default named with them.
type LogConfig struct {
	Level    slog.Leveler  // Info
	Masker   *Masker       // removes secrets from messages and attributes
	Hostname string        // shown with every record
	Instance string        // a UUID of this process
	Interval time.Duration // between shipments: 5 s
	Capacity int           // records kept while Port cannot be reached: 5,000
}

// A LogShipper is a slog.Handler that sends records to Port, where users read
// them next to the resync they belong to. It keeps what is logged before the
// client exists and while Port is away, up to a capacity; then the oldest are
// dropped and counted.
type LogShipper struct {
	state *shipping
	base  map[string]any // attributes of this handler
	path  []string       // groups that are open
}

// shipping is what all handlers of one shipper share.
type shipping struct {
	cfg    LogConfig
	mu     sync.Mutex
	queue  [][]byte // encoded records
	lost   int      // dropped and not yet reported
	client *Client
	wake   chan struct{} // a full shipment waits
	send   chan struct{} // holds one value; whoever has it sends
}

const (
	logBatch     = 100       // records per shipment
	logBatchSize = 512 << 10 // bytes per shipment
	logTextLimit = 16 << 10  // bytes of one record's message
	logSizeLimit = 64 << 10  // bytes of one record
	// LevelCritical is shipped as CRITICAL, and at once.
	LevelCritical = slog.LevelError + 4
)

// NewLogShipper makes a shipper. Nothing is sent before Start.
func NewLogShipper(cfg LogConfig) *LogShipper {
	if cfg.Level == nil {
		cfg.Level = slog.LevelInfo
	}
	orElse(&cfg.Interval, 5*time.Second)
	orElse(&cfg.Capacity, 5000)
	return &LogShipper{state: &shipping{cfg: cfg, wake: make(chan struct{}, 1), send: make(chan struct{}, 1)}}
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
	s.state.mu.Lock()
	s.state.client = c
	s.state.mu.Unlock()
}

func (s *LogShipper) run(ctx context.Context) {
	tick := time.NewTicker(s.state.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.state.wake:
		}
		_ = s.Flush(ctx) // what failed is still waiting
	}
}

// Flush sends all that is waiting. What could not be sent goes on waiting.
func (s *LogShipper) Flush(ctx context.Context) error {
	st := s.state
	select {
	case st.send <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-st.send }()
	for {
		client, batch, lost := st.take()
		if client == nil || len(batch) == 0 {
			return nil
		}
		if err := client.sendLogs(ctx, encodeLogs(batch)); err != nil {
			st.putBack(batch, lost)
			return err
		}
	}
}

// take removes the next shipment. One more record reports those that were lost.
func (st *shipping) take() (client *Client, batch [][]byte, lost int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.client == nil || len(st.queue) == 0 {
		return st.client, nil, 0
	}
	size, n := 0, 0
	for n < len(st.queue) && n < logBatch && (n == 0 || size+len(st.queue[n]) <= logBatchSize) {
		size += len(st.queue[n])
		n++
	}
	batch = append(batch, st.queue[:n]...)
	st.queue = st.queue[n:]
	if lost = st.lost; lost > 0 {
		st.lost = 0
		batch = append(batch, st.encode(time.Now(), slog.LevelWarn, "log records were dropped before they were sent", map[string]any{"dropped": lost}))
	}
	return st.client, batch, lost
}

// putBack returns a shipment that was not sent to the head of the queue.
func (st *shipping) putBack(batch [][]byte, lost int) {
	if lost > 0 {
		batch = batch[:len(batch)-1]
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.lost += lost
	st.queue = append(slices.Clip(batch), st.queue...)
	st.trim()
}

// trim drops the oldest records above the capacity; the lock is held.
func (st *shipping) trim() {
	if over := len(st.queue) - st.cfg.Capacity; over > 0 {
		clear(st.queue[:over])
		st.queue = st.queue[over:]
		st.lost += over
	}
}

func encodeLogs(batch [][]byte) []byte {
	body := []byte(`{"logs":[`)
	for i, r := range batch {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, r...)
	}
	return append(body, `]}`...)
}

// Enabled implements slog.Handler.
func (s *LogShipper) Enabled(_ context.Context, l slog.Level) bool {
	return l >= s.state.cfg.Level.Level()
}

// Handle implements slog.Handler: it puts the record into the queue and never
// fails or waits.
func (s *LogShipper) Handle(_ context.Context, r slog.Record) error {
	extra := maps.Clone(s.base)
	if extra == nil {
		extra = map[string]any{}
	}
	here := s.open(extra)
	r.Attrs(func(a slog.Attr) bool {
		s.state.cfg.Masker.addTo(here, a)
		return true
	})
	at := r.Time
	if at.IsZero() {
		at = time.Now()
	}
	st := s.state
	encoded := st.encode(at, r.Level, st.cfg.Masker.String(r.Message), extra)
	st.mu.Lock()
	st.queue = append(st.queue, encoded)
	st.trim()
	full := len(st.queue) >= logBatch || r.Level >= LevelCritical
	st.mu.Unlock()
	if full {
		select {
		case st.wake <- struct{}{}:
		default: // it is awake already
		}
	}
	return nil
}

// open returns the map of the innermost group. The maps on the way are copied:
// other records share them.
func (s *LogShipper) open(extra map[string]any) map[string]any {
	here := extra
	for _, name := range s.path {
		inner, _ := here[name].(map[string]any)
		inner = maps.Clone(inner)
		if inner == nil {
			inner = map[string]any{}
		}
		here[name] = inner
		here = inner
	}
	return here
}

// WithAttrs implements slog.Handler.
func (s *LogShipper) WithAttrs(attrs []slog.Attr) slog.Handler {
	base := maps.Clone(s.base)
	if base == nil {
		base = map[string]any{}
	}
	here := s.open(base)
	for _, a := range attrs {
		s.state.cfg.Masker.addTo(here, a)
	}
	return &LogShipper{state: s.state, base: base, path: s.path}
}

// WithGroup implements slog.Handler.
func (s *LogShipper) WithGroup(name string) slog.Handler {
	if name == "" {
		return s
	}
	return &LogShipper{state: s.state, base: s.base, path: append(slices.Clip(s.path), name)}
}

// encode gives a record the form that Ocean's log handler sends
// (https://github.com/port-labs/ocean, port_ocean/log/handlers.py). A record
// that is too large or cannot be encoded keeps its message.
func (st *shipping) encode(at time.Time, level slog.Level, message string, extra map[string]any) []byte {
	extra["hostname"], extra["instance"] = st.cfg.Hostname, st.cfg.Instance
	record := map[string]any{
		"message": shorten(message, logTextLimit), "level": levelName(level),
		"timestamp": at.UTC().Format("2006-01-02T15:04:05.000000Z"), "extra": extra,
	}
	b, err := json.Marshal(record)
	if err != nil || len(b) > logSizeLimit {
		record["extra"] = map[string]any{"hostname": st.cfg.Hostname, "instance": st.cfg.Instance, "shortened": true}
		b, _ = json.Marshal(record)
	}
	return b
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
