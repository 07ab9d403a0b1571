// Package replica makes one service of several processes that share a Redis.
//
// Each process is a member of the group as long as it says so every second. Work is
// divided into seats, such as the leader's or one part of a queue: a seat belongs to
// one member, and to another one only after the first has given it back or is dead,
// which it is [lifetime] after its last sign of life. A member that could not give one
// in time gives up all its seats by itself, a while before anybody else can have them,
// and comes back under a new name: what it began under the old one is refused by
// Redis, because the seat has another owner, and not sent to anybody else, because the
// [Term] has ended, which is measured by a clock that goes on while a process is
// stopped. So nothing is decided here that Redis does not decide, and there is no
// consensus of our own.
//
// Redis is a single one (with copies, if it has some). The epoch tells whether it
// still has its data.
package replica

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/ado-port/ado-port/azuredevops/statefile"
)

const (
	lifetime = 10 * time.Second // of a member after its last sign of life, and the longest Life of a family
	every    = 500 * time.Millisecond
	again    = 250 * time.Millisecond
	present  = 3 * time.Second // a member that has given no sign of life for longer is not counted
)

// safe is how long after its last sign of life a member goes on with the seats of a
// family by itself. The rest of their life is longer than a few signs of life, because
// a copy of Redis that becomes the primary may not know the last ones.
func safe(life time.Duration) time.Duration { return life * 5 / 8 }

// Config says which group, and what it is for.
type Config struct {
	Settings Settings
	// Name is that of the installation: those of another one do not belong here.
	Name string
	// Directory remembers which data Redis had, so that a loss is also noticed when all
	// processes were away; empty: it is not.
	Directory string
	// Lost is called when Redis has lost its data; it must not wait.
	Lost func()
	Log  *slog.Logger
	// Trust is how a certificate is verified; nil: by the system's authorities.
	Trust func() *tls.Config
	// Registry gets the metrics; nil: they are not shown.
	Registry prometheus.Registerer
}

// A Group is the processes that share a Redis, seen by one of them. A nil one is a
// process that is alone.
type Group struct {
	cfg    Config
	redis  *goredis.Client
	prefix string

	mu       sync.Mutex
	families []*family
	term     *Term // nil: not a member now
	last     string
	epoch    string
	members  int
	leads    string // the member that leads; empty: none
	latency  time.Duration
	failing  error
	since    time.Time // when failing became nil or an error
	warned   map[Loss]bool
	unlocks  map[string]string // locks that could not be given back, by what tells them apart
	wake     chan struct{}
	changed  chan struct{} // closed when the members have changed
}

var errNotAsked = errors.New("redis was not asked yet")

// New makes a Group; it dials nothing. nil without an address.
func New(cfg Config) (*Group, error) {
	if !cfg.Settings.Enabled() {
		return nil, nil //nolint:nilnil // a process that is alone
	}
	opt, err := cfg.Settings.options()
	if err != nil {
		return nil, err
	}
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout, opt.MaxRetries = 2*time.Second, 3*time.Second, 3*time.Second, 1
	opt.ContextTimeoutEnabled, opt.DisableIdentity, opt.PoolSize = true, true, 32
	opt.DialerRetries = 1
	if opt.TLSConfig != nil && cfg.Trust != nil {
		trust := cfg.Trust()
		trust.ServerName = opt.TLSConfig.ServerName
		trust.InsecureSkipVerify = trust.InsecureSkipVerify || opt.TLSConfig.InsecureSkipVerify // the user asked for it in the address
		opt.TLSConfig = trust
	}
	goredis.SetLogger(silence{}) // errors are returned, and told once here
	if cfg.Lost == nil {
		cfg.Lost = func() {}
	}
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	g := &Group{
		cfg: cfg, redis: goredis.NewClient(opt), prefix: "ado-port:" + cfg.Name + ":", warned: map[Loss]bool{}, unlocks: map[string]string{},
		failing: errNotAsked, since: time.Now(), wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	if cfg.Directory != "" {
		epoch, err := os.ReadFile(g.epochFile())
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		g.epoch = string(epoch)
	}
	return g, g.register(cfg.Registry)
}

func (g *Group) epochFile() string { return filepath.Join(g.cfg.Directory, "shared-queue") }

// silence is a log of the client.
type silence struct{}

// Printf implements the client's interface.
func (silence) Printf(context.Context, string, ...any) {}

// Redis is the client, for those who keep something there below Prefix.
func (g *Group) Redis() *goredis.Client { return g.redis }

// Address is that of Redis, for people, without user and password; empty for a process
// that is alone.
func (g *Group) Address() string {
	if g == nil {
		return ""
	}
	opt := g.redis.Options()
	return fmt.Sprintf("%s/%d", opt.Addr, opt.DB)
}

// Prefix is what all keys begin with.
func (g *Group) Prefix() string { return g.prefix }

// Join takes part in dividing seats.
func (g *Group) Join(f Family) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
	f.Life = cmp.Or(f.Life, lifetime)
	g.families = append(g.families, &family{Family: f, own: map[int]bool{}, leaving: map[int]bool{}})
}

// Run keeps the process a member until ctx is done. Then seats that are left are
// given back.
func (g *Group) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-g.wake:
		case <-ctx.Done():
			g.end(context.WithoutCancel(ctx))
			return
		}
		next := every
		if err := g.look(ctx); err != nil && ctx.Err() == nil {
			next = again
			g.fail(ctx, err)
		}
		timer.Reset(next)
	}
}

// Start has Run run; the returned function ends it. A process that is alone does
// nothing.
func (g *Group) Start(ctx context.Context) (stop func()) {
	if g == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// end leaves the group.
func (g *Group) end(ctx context.Context) {
	g.mu.Lock()
	t := g.term
	g.mu.Unlock()
	g.lose()
	if t != nil {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = leave.Run(ctx, g.redis, nil, g.prefix, t.name).Err() // else it is dead soon
	}
	_ = g.redis.Close()
}

// fail notes that Redis cannot be asked; when that has lasted too long the seats are
// somebody else's.
func (g *Group) fail(ctx context.Context, err error) {
	err = explain(err)
	g.mu.Lock()
	if g.failing == nil {
		g.since = time.Now()
	}
	first := g.failing == nil || errors.Is(g.failing, errNotAsked)
	g.failing = err
	t := g.term
	g.mu.Unlock()
	if first {
		g.cfg.Log.ErrorContext(ctx, "redis cannot be used: deliveries are answered 503 until it can", "err", err)
	}
	if t != nil && g.expire(t) {
		g.cfg.Log.WarnContext(ctx, "redis was away for too long: another process may have work of this one by now")
	}
}

// look gives a sign of life, and takes or gives seats.
func (g *Group) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	g.mu.Lock()
	t, epoch := g.term, g.epoch
	g.mu.Unlock()
	if t != nil {
		g.expire(t) // this process may have been stopped
	}
	begun := time.Now()
	v, err := g.tick(ctx, t, epoch)
	if err != nil {
		return err
	}
	if err := g.note(ctx, v, epoch, time.Since(begun)); err != nil {
		return err
	}
	if t == nil || !v.mine {
		g.lose()
		if t, err = g.join(ctx); err != nil {
			return err
		}
		if v, err = g.tick(ctx, t, v.epoch); err != nil {
			return err
		}
	} else {
		g.loseThose(func(f *family, seat int) bool { return v.owners[f.seat(seat)] != t.name })
		t.renew(begun)
	}
	if err := g.unlockLeft(ctx); err != nil {
		return err
	}
	return g.divide(ctx, t, v)
}

// A view is what tick answers.
type view struct {
	mine    bool
	epoch   string
	members map[string]time.Duration // and for how long they will live
	owners  map[string]string
}

// alive is how many members have given a sign of life lately.
func (v *view) alive(lately time.Duration) (n int) {
	for _, left := range v.members {
		if left > lifetime-lately {
			n++
		}
	}
	return n
}

func (g *Group) tick(ctx context.Context, t *Term, epoch string) (*view, error) {
	me := ""
	if t != nil {
		me = t.name
	}
	answer, err := tick.Run(ctx, g.redis, nil, g.prefix, me, lifetime.Milliseconds(), epoch, uuid.NewString()).Slice()
	if err != nil {
		return nil, err
	}
	if len(answer) != 4 {
		return nil, errors.New("an answer that is none")
	}
	mine, _ := answer[0].(int64)
	v := &view{mine: mine == 1, owners: map[string]string{}, members: map[string]time.Duration{}}
	v.epoch, _ = answer[1].(string)
	alive := texts(answer[2])
	for i := 0; i+1 < len(alive); i += 2 {
		ms, _ := strconv.Atoi(alive[i+1])
		v.members[alive[i]] = time.Duration(ms) * time.Millisecond
	}
	pairs := texts(answer[3])
	for i := 0; i+1 < len(pairs); i += 2 {
		v.owners[pairs[i]] = pairs[i+1]
	}
	return v, nil
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, x := range list {
		s, _ := x.(string)
		out = append(out, s)
	}
	return out
}

// note takes over what a tick says of the group.
func (g *Group) note(ctx context.Context, v *view, epoch string, took time.Duration) error {
	if g.Failing() != nil {
		if _, err := g.single(ctx); err != nil {
			return err
		}
		g.warn(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failing != nil {
		g.cfg.Log.InfoContext(ctx, "redis can be used", "redis", g.Address())
		g.failing, g.since = nil, time.Now()
	}
	g.leads = ""
	if owner := v.owners[Seat(Leadership, 0)]; v.members[owner] > 0 {
		g.leads = owner
	}
	if n := max(1, v.alive(present)); n != g.members {
		g.members = n
		close(g.changed)
		g.changed = make(chan struct{})
	}
	if g.epoch != v.epoch && g.cfg.Directory != "" {
		if err := statefile.Replace(g.epochFile(), []byte(v.epoch)); err != nil {
			g.cfg.Log.WarnContext(ctx, "which data Redis has is not remembered beyond this process", "err", err)
		}
	}
	g.epoch, g.latency = v.epoch, took
	if epoch != "" && epoch != v.epoch {
		g.cfg.Log.ErrorContext(ctx, "redis has lost its data: deliveries that were accepted may be lost; a resync brings what they said")
		g.cfg.Lost()
	}
	return nil
}

// single refuses what is not a single Redis. The version is empty where Redis does not say.
func (g *Group) single(ctx context.Context) (version string, err error) {
	answer, err := g.redis.Do(ctx, "hello").Result()
	if err != nil {
		return "", nil //nolint:nilerr // too old to say, or not allowed to: it is asked nothing that needs an answer
	}
	mode := ""
	switch x := answer.(type) {
	case map[any]any:
		mode, _ = x["mode"].(string)
		version, _ = x["version"].(string)
	case []any:
		for i := 0; i+1 < len(x); i += 2 {
			switch x[i] {
			case "mode":
				mode, _ = x[i+1].(string)
			case "version":
				version, _ = x[i+1].(string)
			}
		}
	}
	if mode != "" && mode != "standalone" {
		return "", fmt.Errorf("%s leads to a Redis in %s mode, which is not supported: name a single Redis", variable, mode)
	}
	return version, nil
}

// newName is that of a member: the host is for people, the rest makes it a new one.
func newName() string {
	host, _ := os.Hostname() // only shown
	return host + "/" + uuid.NewString()
}

// join becomes a member under a new name.
func (g *Group) join(ctx context.Context) (*Term, error) {
	begun, t := time.Now(), &Term{name: newName()}
	if err := join.Run(ctx, g.redis, nil, g.prefix, t.name, g.last, lifetime.Milliseconds()).Err(); err != nil {
		return nil, err
	}
	t.renew(begun)
	g.cfg.Log.InfoContext(ctx, "this process shares the work with others", "name", shown(t.name))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.term, g.last = t, t.name
	return t, nil
}

// Failing is why Redis cannot be used now; nil when it can.
func (g *Group) Failing() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failing
}

// Watch calls f with the number of members whenever it changes, until ctx is done.
func (g *Group) Watch(ctx context.Context, f func(members int)) {
	if g == nil {
		return
	}
	for ctx.Err() == nil {
		g.mu.Lock()
		n, changed := max(1, g.members), g.changed
		g.mu.Unlock()
		f(n)
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// Term is the one that runs; nil while this process is no member.
func (g *Group) Term() *Term {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.term
}
