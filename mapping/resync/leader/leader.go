// Package leader sees to it that what is to be done once is done by one process:
// resyncs, the subscriptions of service hooks, runs of actions. A process that is
// alone does it all. Of several the one does that has the leader's seat in the
// [replica.Group]; when it ends, hangs or is cut off, another one takes the seat, and
// what the first goes on with is not written any more.
//
// What the next leader has to know is in Redis: that a resync was under way, since
// when Port may have asked for another one, and that somebody wants one.
package leader

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/replica"
)

// Config says who leads what.
type Config struct {
	Group *replica.Group // nil: this process is alone
	// Wake asks the resync of this process to run; it must not wait.
	Wake func(cause string)
	Log  *slog.Logger // nil means none
}

// A Leader knows whether this process leads. Safe for concurrent use.
type Leader struct {
	cfg     Config
	open    chan struct{} // closed when events may be handled
	opened  sync.Once
	asked   chan string
	lacks   chan struct{}          // there is something in missing
	missing atomic.Pointer[string] // what is to be asked for because Redis has lost its data

	terms chan *replica.Term // buffered: the seat was gained

	mu   sync.Mutex
	held *replica.Term           // of the seat; nil: another process has it, or nobody
	end  context.CancelCauseFunc // of the turn that goes on

	asks  sync.Mutex // held by who reads or removes what is asked for; taken before any of the Group's
	woken string     // what was asked for, and waits for its resync
}

// A Turn is what somebody who begins to lead has to know.
type Turn struct {
	First bool      // nobody has led before, or not for a while
	Asked bool      // somebody has asked for a resync, which Wake brings
	Left  bool      // a resync was under way when the leader before ended
	Began time.Time // when the last resync began; zero: not known
}

// Begins says whether to begin with a resync; configured is what a process does that
// starts alone.
func (t Turn) Begins(configured bool) bool { return t.Left || t.First && configured }

// Since is the time since when requests for a resync count that came before the turn;
// alone is that of a process that starts alone.
func (t Turn) Since(alone time.Time) time.Time {
	if !t.Began.IsZero() {
		return t.Began
	}
	return alone
}

const (
	look     = time.Second // between two looks at what is asked for
	absence  = time.Minute // without a leader, after which the next one is the first
	openLook = 300 * time.Millisecond
	askAgain = time.Second
	// life is as long as it may be: a resync that is begun again costs more than some
	// seconds without a leader.
	life = 10 * time.Second
)

// errSeat ends what a leader does.
var errSeat = errors.New("another process leads")

// New makes a Leader; it dials nothing.
func New(cfg Config) *Leader {
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	l := &Leader{cfg: cfg, open: make(chan struct{}), asked: make(chan string, 1), lacks: make(chan struct{}, 1), terms: make(chan *replica.Term, 1)}
	if cfg.Group != nil {
		cfg.Group.Join(replica.Family{Name: replica.Leadership, Count: 1, Life: life, Gained: l.gained, Lost: l.lost, Yield: func(int) {}})
	}
	return l
}

func (l *Leader) gained(_ int, t *replica.Term) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = t
	select { // one that nobody has taken yet is over
	case <-l.terms:
	default:
	}
	l.terms <- t
}

func (l *Leader) lost(int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = nil
	if l.end != nil {
		l.end(errSeat)
	}
}

// begin says that a turn goes on until the seat is lost; false when it is lost already.
func (l *Leader) begin(t *replica.Term, end context.CancelCauseFunc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = end
	return l.held == t
}

// Run has f lead whenever it is this process's turn, until ctx is done. The context of
// f ends with the turn, and has a fence. Of a process that is alone it is always the
// turn.
func (l *Leader) Run(ctx context.Context, f func(context.Context, Turn) error) error {
	if l.cfg.Group == nil {
		return f(ctx, Turn{First: true})
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { l.forward(ctx) })
	for {
		select {
		case t := <-l.terms:
			err := l.lead(ctx, t, f)
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.Is(err, errSeat):
				l.cfg.Log.WarnContext(ctx, "this process does not lead any more")
			case err != nil:
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// lead is one turn.
func (l *Leader) lead(ctx context.Context, t *replica.Term, f func(context.Context, Turn) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !l.begin(t, cancel) {
		return errSeat
	}
	ctx = port.WithFence(ctx, l.fence(ctx, t))
	turn, err := l.turn(ctx)
	for err != nil && ctx.Err() == nil {
		l.cfg.Log.WarnContext(ctx, "leading waits for Redis", "err", err)
		pause(ctx, askAgain)
		turn, err = l.turn(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	l.cfg.Log.InfoContext(ctx, "this process leads now: it resyncs and looks after the subscriptions", "resync_left", turn.Left)
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { l.serve(ctx) })
	err = f(ctx, turn)
	cause := context.Cause(ctx)
	cancel(nil)
	if errors.Is(cause, errSeat) {
		return cause
	}
	return err
}

// fence lets nothing through after the turn: the cause of ctx is errSeat when it is
// known that it is over, and the term says so in time when nothing is known. At the end
// of the process the turn goes on until the seat is given back.
func (*Leader) fence(ctx context.Context, t *replica.Term) func() error {
	check := t.Fence(life)
	return func() error {
		if cause := context.Cause(ctx); errors.Is(cause, errSeat) {
			return cause
		}
		return check()
	}
}

// note is what Redis has about the resyncs.
type note struct {
	Began   time.Time `json:"began,omitzero"`
	Running bool      `json:"running,omitzero"`
}

func (l *Leader) turn(ctx context.Context) (Turn, error) {
	r, p := l.cfg.Group.Redis(), l.cfg.Group.Prefix()
	alive, err := r.Exists(ctx, p+"leader:alive").Result()
	if err != nil {
		return Turn{}, err
	}
	if err := l.tellLost(ctx); err != nil {
		return Turn{}, err
	}
	l.asks.Lock()
	defer l.asks.Unlock()
	l.woken = ""
	asked, err := r.Exists(ctx, p+"leader:asked").Result()
	if err != nil {
		return Turn{}, err
	}
	n, err := l.note(ctx)
	return Turn{First: alive == 0, Asked: asked == 1, Left: n.Running, Began: n.Began}, err
}

func (l *Leader) note(ctx context.Context) (n note, err error) {
	text, err := l.cfg.Group.Value("resync").Get(ctx)
	if err == nil && text != nil {
		err = json.Unmarshal(text, &n)
	}
	return n, err
}

// serve takes what other processes ask for, and shows that somebody leads.
func (l *Leader) serve(ctx context.Context) {
	r, p := l.cfg.Group.Redis(), l.cfg.Group.Prefix()
	for ctx.Err() == nil {
		_ = set.Run(ctx, r, nil, p+"leader:alive", "1", absence.Milliseconds()).Err() // again in a moment
		if err := l.serveAsked(ctx); err != nil && !errors.Is(err, goredis.Nil) && ctx.Err() == nil {
			l.cfg.Log.DebugContext(ctx, "what other processes ask for is not known", "err", err)
		}
		pause(ctx, look)
	}
}

// serveAsked wakes for what is asked for. It stays in Redis until its resync has begun.
func (l *Leader) serveAsked(ctx context.Context) error {
	l.asks.Lock()
	defer l.asks.Unlock()
	cause, err := l.cfg.Group.Redis().Get(ctx, l.cfg.Group.Prefix()+"leader:asked").Result()
	if err == nil && cause != "" && cause != l.woken {
		l.woken = cause
		l.cfg.Wake(cause)
	}
	return err
}

// Ask asks for a resync, of whoever leads. It does not wait.
func (l *Leader) Ask(cause string) {
	if l.cfg.Group == nil {
		l.cfg.Wake(cause)
		return
	}
	select {
	case l.asked <- cause:
	default: // one is enough
	}
}

// AskLost is Ask because Redis has lost its data. Every process finds that, and one
// resync is enough. It does not wait.
func (l *Leader) AskLost(cause string) {
	if l.cfg.Group == nil {
		return
	}
	l.missing.Store(&cause)
	select {
	case l.lacks <- struct{}{}:
	default:
	}
}

// set is SET, also while Redis is full. Arguments: key, value, ms or 0.
var set = goredis.NewScript(replica.Small + `
redis.call('SET', ARGV[1], ARGV[2])
if ARGV[3] ~= '0' then redis.call('PEXPIRE', ARGV[1], ARGV[3]) end
return 1`)

// askLost asks for a resync unless that was done already since the data was lost.
// Arguments: prefix, cause.
var askLost = goredis.NewScript(replica.Small + `
local p, epoch = ARGV[1], redis.call('GET', ARGV[1]..'epoch')
if epoch and redis.call('GET', p..'leader:lost') == epoch then return 0 end
if epoch then redis.call('SET', p..'leader:lost', epoch) end
redis.call('SET', p..'leader:asked', ARGV[2])
return 1`)

// tellLost brings to Redis what AskLost has noted.
func (l *Leader) tellLost(ctx context.Context) error {
	cause := l.missing.Load()
	if cause == nil {
		return nil
	}
	err := askLost.Run(ctx, l.cfg.Group.Redis(), nil, l.cfg.Group.Prefix(), *cause).Err()
	if err == nil {
		l.missing.CompareAndSwap(cause, nil)
	}
	return err
}

// forward brings what this process asks for to the leader.
func (l *Leader) forward(ctx context.Context) {
	r, p := l.cfg.Group.Redis(), l.cfg.Group.Prefix()
	for {
		select {
		case cause := <-l.asked:
			for set.Run(ctx, r, nil, p+"leader:asked", cause, 0).Err() != nil && ctx.Err() == nil {
				pause(ctx, askAgain)
			}
		case <-l.lacks:
			for l.tellLost(ctx) != nil && ctx.Err() == nil {
				pause(ctx, askAgain)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Noted is a resync of which the next leader knows when it could not end.
func (l *Leader) Noted(resync func(ctx context.Context, cause string) error) func(ctx context.Context, cause string) error {
	if l.cfg.Group == nil {
		return resync
	}
	return func(ctx context.Context, cause string) error {
		began := time.Now()
		l.begins(ctx, note{Began: began, Running: true}, cause)
		err := resync(ctx, cause)
		if ctx.Err() == nil {
			l.keep(ctx, note{Began: began})
		}
		return err
	}
}

// answered removes what was asked for, if it still is that. Arguments: key, cause.
var answered = goredis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

// begins notes that a resync begins, and then that nobody need ask for it any more.
// What is still there after that is served by another one: twice is better than never.
func (l *Leader) begins(ctx context.Context, n note, cause string) {
	l.asks.Lock()
	defer l.asks.Unlock()
	if l.keep(ctx, n) {
		_ = answered.Run(ctx, l.cfg.Group.Redis(), []string{l.cfg.Group.Prefix() + "leader:asked"}, cause).Err() // again, then
	}
	l.woken = ""
}

// keep reports whether the next leader will know.
func (l *Leader) keep(ctx context.Context, n note) bool {
	text, err := json.Marshal(n)
	if err == nil {
		err = l.cfg.Group.Value("resync").Set(ctx, text)
	}
	if err != nil {
		l.cfg.Log.WarnContext(ctx, "another leader will not know how far resyncs are", "err", err)
	}
	return err == nil
}

// Open says that events may be handled, here and in other processes: what came from
// where is known, or will be.
func (l *Leader) Open(ctx context.Context) {
	if l.cfg.Group == nil {
		l.opened.Do(func() { close(l.open) })
		return
	}
	for l.cfg.Group.Value("open").Set(ctx, []byte("1")) != nil && ctx.Err() == nil {
		pause(ctx, askAgain)
	}
}

// AwaitOpen waits for Open, of whatever process; false when ctx ends before.
func (l *Leader) AwaitOpen(ctx context.Context) bool {
	if l.cfg.Group == nil {
		select {
		case <-l.open:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for ctx.Err() == nil {
		if text, err := l.cfg.Group.Value("open").Get(ctx); err == nil && text != nil {
			return true
		}
		pause(ctx, openLook)
	}
	return false
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
