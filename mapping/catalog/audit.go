package catalog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// AuditConfig says what an Audit writes, and how much.
type AuditConfig struct {
	Log *slog.Logger
	// PerResync is how many lines a resync may have, PerMinute how many live events
	// together; 0: no line but the one that says how many there were.
	PerResync, PerMinute int
	// Tell is told of every line that is written; nil: nobody is.
	Tell func(Line)
}

// An Audit writes a line about every change. Of too many it counts the rest, so
// that nobody's log is flooded by the first resync. Safe for concurrent use; nil
// writes nothing.
type Audit struct {
	cfg AuditConfig

	mu     sync.Mutex
	resync budget
	live   budget
	minute *time.Timer // ends the one of live; nil: none has begun
	recent []Line      // a ring
	next   int         // place of the oldest line in it, once it is full
}

// A Line is a line of the audit.
type Line struct {
	Time       time.Time `json:"time"`
	Action     Action    `json:"action"`
	Blueprint  string    `json:"blueprint"`
	Identifier string    `json:"identifier"`
	Cause      string    `json:"cause"`
	EventType  string    `json:"eventType,omitempty"`
	Members    []string  `json:"members,omitempty"`
	Proof      string    `json:"proof,omitempty"` // of a deletion
}

// recentLines are how many lines an Audit remembers.
const recentLines = 50

// remember keeps a line in the place of the oldest one.
func (a *Audit) remember(l Line) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.recent) < recentLines {
		a.recent = append(a.recent, l)
		return
	}
	a.recent[a.next] = l
	a.next = (a.next + 1) % recentLines
}

// Recent are the last lines, the newest first; nil without an Audit.
func (a *Audit) Recent() []Line {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Line, 0, len(a.recent))
	for i := range a.recent {
		out = append(out, a.recent[(a.next+len(a.recent)-1-i)%len(a.recent)])
	}
	return out
}

// LivePerMinute is how many lines live events usually have: ten a second.
const LivePerMinute = 600

// A budget counts lines, and those that there was no room for.
type budget struct {
	lines int
	more  map[Action]int
}

// NewAudit makes an Audit.
func NewAudit(cfg AuditConfig) *Audit { return &Audit{cfg: cfg} }

func (a *Audit) changed(ctx context.Context, c *Change) {
	if a == nil {
		return
	}
	if !a.admit(ctx, c) {
		return
	}
	l := Line{time.Now(), c.Action, c.Blueprint, c.Identifier, c.Cause.ID, c.Cause.Type, nil, c.Proof}
	if c.Action != Gone {
		l.Members = c.Members()
	}
	a.remember(l)
	if a.cfg.Tell != nil {
		a.cfg.Tell(l)
	}
	attrs := []slog.Attr{
		slog.String("action", string(c.Action)), slog.String("blueprint", c.Blueprint), slog.String("identifier", c.Identifier),
		slog.String("cause", c.Cause.ID),
	}
	if c.Cause.Type != "" {
		attrs = append(attrs, slog.String("event_type", c.Cause.Type))
	}
	if c.Action == Gone {
		attrs = append(attrs, slog.String("proof", c.Proof))
	} else {
		attrs = append(attrs, slog.Any("members", l.Members))
	}
	if c.Action == Put {
		attrs = append(attrs, slog.Bool("compared", false))
	}
	a.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "catalog changed", attrs...)
}

// admit says whether there is room for a line.
func (a *Audit) admit(ctx context.Context, c *Change) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.Cause.Event != EventLive {
		return a.resync.take(a.cfg.PerResync, c.Action)
	}
	if a.minute == nil {
		ctx = context.WithoutCancel(ctx)
		a.minute = time.AfterFunc(time.Minute, func() { a.minuteEnded(ctx) })
	}
	return a.live.take(a.cfg.PerMinute, c.Action)
}

func (b *budget) take(most int, action Action) bool {
	if b.lines < most {
		b.lines++
		return true
	}
	if b.more == nil {
		b.more = map[Action]int{}
	}
	b.more[action]++
	return false
}

func (a *Audit) minuteEnded(ctx context.Context) {
	a.mu.Lock()
	b := a.live
	a.live, a.minute = budget{}, nil
	a.mu.Unlock()
	a.rest(ctx, "live events of one minute", b)
}

func (a *Audit) resyncEnded(ctx context.Context) {
	if a == nil {
		return
	}
	a.mu.Lock()
	b := a.resync
	a.resync = budget{}
	a.mu.Unlock()
	a.rest(ctx, "resync", b)
}

// rest says how many changes had no line.
func (a *Audit) rest(ctx context.Context, of string, b budget) {
	if len(b.more) == 0 {
		return
	}
	attrs := []slog.Attr{slog.String("of", of), slog.Int("lines", b.lines)}
	for _, action := range []Action{Created, Updated, Put, Gone} {
		attrs = append(attrs, slog.Int(string(action), b.more[action]))
	}
	a.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "more of the catalog changed than the audit shows", attrs...)
}

// Close writes what is still to be said.
func (a *Audit) Close(ctx context.Context) {
	if a == nil {
		return
	}
	a.mu.Lock()
	running := a.minute != nil && a.minute.Stop()
	a.mu.Unlock()
	if running {
		a.minuteEnded(ctx)
	}
}
