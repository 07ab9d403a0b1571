// Package redis is a spool that several processes share: deliveries wait in Redis from
// the moment they are accepted until they are handled, whoever accepted them, and
// whoever handles them. What package spool promises holds here too.
//
// A delivery belongs to a partition by the hash of its key, and a partition is a
// stream with what is not done yet: who handles it deletes it. A partition is a seat
// of package replica, so one process at a time reads it, in order, and one that takes
// it over begins at its start. Consumer groups would add a list of what is under way,
// for consumers that share a stream; here the owner of the whole stream is what has to
// be known, and everything in it is under way.
//
// A Spool knows the deliveries of its partitions as the local one does, in a
// [spool.Line]. What it has finished it deletes in a script that first asks whether
// the partition is still its own.
package redis

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/spool"
)

// partitions is fixed: processes with another number would look for deliveries in
// other places. It bounds how many processes can share the work.
const partitions = 64

// life is how long after its last sign of life the deliveries of a process go to
// others. It is short: to begin with them again costs little.
const life = 4 * time.Second

// quiet is the least time between two errors of Redis in the log.
const quiet = time.Minute

// cacheBytes is what records may take in memory until they are handled; those beyond
// are read again.
const cacheBytes = 32 << 20

// A Spool is safe for concurrent use.
type Spool struct {
	cfg   spool.Config
	group *replica.Group
	least int // copies of Redis that have to hold a delivery
	line  *spool.Line

	mu      sync.Mutex
	parts   map[int]*part
	cached  int // bytes of all caches
	open    *batch
	acks    []ack
	failing error
	said    time.Time // when an error was logged
	filled  time.Time // when Redis had no memory left
	counts  *counts   // as of the last look; nil: it failed, or there was none yet
	left    spool.Left
	closed  bool

	wake    chan struct{}   // the committer has something to do
	changed chan struct{}   // the partitions have changed
	asks    context.Context // of questions whose callers have none
	stop    context.CancelFunc
	release func() // of the directory
	work    sync.WaitGroup
}

// counts are of all processes.
type counts struct{ waiting, dead int }

// A part is a partition of this process.
type part struct {
	n       int
	term    *replica.Term
	read    uint64            // the last delivery that is in line
	cache   map[uint64][]byte // records
	leaving bool
	busy    int // claims
}

// Open makes a Spool of a group and joins it; that runs elsewhere. least is how many
// copies of Redis have to hold a delivery. Directory, Used and Lost of cfg mean
// nothing to it: see Opener.
func Open(ctx context.Context, cfg spool.Config, g *replica.Group, least int) *Spool {
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 1<<30)
	cfg.MaxDeliveries = cmp.Or(cfg.MaxDeliveries, 500_000)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	s := &Spool{
		release: func() {}, cfg: cfg, group: g, least: least, line: spool.NewLine(cfg), parts: map[int]*part{}, open: newBatch(),
		wake: make(chan struct{}, 1), changed: make(chan struct{}, 1),
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.asks = ctx
	s.work.Go(func() { s.commits(ctx) })
	s.work.Go(func() { s.reads(ctx) })
	g.Join(replica.Family{Name: replica.Partitions, Count: partitions, Life: life, Gained: s.gained, Lost: s.lost, Yield: s.yield})
	return s
}

// Opener opens the spool of a group for a server; nil where there is none. What waits in
// the directory, from a time when this process was alone, is moved into Redis meanwhile.
func Opener(g *replica.Group, least int) func(context.Context, spool.Config) (webhook.Spool, error) {
	if g == nil {
		return nil
	}
	return func(ctx context.Context, cfg spool.Config) (webhook.Spool, error) {
		held, err := spool.Hold(cfg) // other files in the state directory are one process's, too
		if err != nil {
			return nil, err
		}
		s := Open(ctx, cfg, g, least)
		s.release = held.Release
		m := &move{into: s, from: held}
		s.work.Go(func() { m.run(s.asks) })
		return s, nil
	}
}

// gained begins a partition.
func (s *Spool) gained(n int, t *replica.Term) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts[n] = &part{n: n, term: t, cache: map[uint64][]byte{}}
	signal(s.changed)
}

// lost forgets a partition at once.
func (s *Spool) lost(n int) {
	s.forget(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.parts, n)
}

// yield forgets what nobody works on; the committer gives the partition back when the
// rest is done.
func (s *Spool) yield(n int) {
	s.forget(n)
	signal(s.wake)
}

// forget drops what is known of a partition.
func (s *Spool) forget(n int) {
	s.mu.Lock()
	if p := s.parts[n]; p != nil {
		p.leaving = true
		for _, rec := range p.cache {
			s.cached -= len(rec)
		}
		p.cache = nil
	}
	s.mu.Unlock()
	s.line.Forget(func(hash uint64) bool { return int(hash%partitions) == n })
}

// hash is that of a key, the same in every process (FNV-1a).
func hash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h ^ h>>32 // the low bits say the partition
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Take waits for a key whose turn it is and returns its waiting deliveries. The error
// is ctx's, or spool.ErrClosed after Stop.
func (s *Spool) Take(ctx context.Context) (*spool.Claim, error) {
	for {
		c, ids, err := s.line.Next(ctx)
		if err != nil {
			return nil, err
		}
		p := s.begin(c)
		if p == nil { // lost a moment ago
			s.line.Finish(c, errLost)
			continue
		}
		missing, err := s.fill(ctx, c, p, ids)
		if err != nil {
			s.done(p)
			s.line.Return(c)
			s.fail(ctx, err)
			continue
		}
		if len(missing) > 0 || len(c.Deliveries) == 0 {
			s.line.Discard(c, missing)
		}
		if len(c.Deliveries) > 0 {
			c.Fence, c.Part = func() error { return s.fence(p) }, p
			return c, nil
		}
		s.done(p)
	}
}

var errLost = errors.New("the partition belongs to another process")

// fence says why a partition may be another process's.
func (s *Spool) fence(p *part) error {
	s.mu.Lock()
	lost := s.parts[p.n] != p
	s.mu.Unlock()
	if lost {
		return errLost
	}
	return p.term.Fence(life)()
}

// begin counts a claim of a partition; nil when that is not ours.
func (s *Spool) begin(c *spool.Claim) *part {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[int(c.Hash()%partitions)]
	if p != nil {
		p.busy++
	}
	return p
}

// done ends a claim that was not handed out.
func (s *Spool) done(p *part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.busy--
}

// fill reads the records of a claim. Those that are not there are missing: somebody
// else has handled them. So are damaged ones, which become dead letters.
func (s *Spool) fill(ctx context.Context, c *spool.Claim, p *part, ids []uint64) (missing []uint64, err error) {
	recs, err := s.records(ctx, p, ids)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		if recs[i] == nil {
			missing = append(missing, id)
			continue
		}
		if err := c.Fill(id, recs[i]); err != nil {
			missing = append(missing, id)
			s.bury(p, id, len(recs[i]), err)
		}
	}
	return missing, nil
}

// records are those of ids, from memory or from Redis.
func (s *Spool) records(ctx context.Context, p *part, ids []uint64) ([][]byte, error) {
	out := make([][]byte, len(ids))
	var ask []int
	s.mu.Lock()
	for i, id := range ids {
		if out[i] = p.cache[id]; out[i] == nil {
			ask = append(ask, i)
		}
	}
	s.mu.Unlock()
	if len(ask) == 0 {
		return out, nil
	}
	pipe := s.group.Redis().Pipeline()
	answers := make([]*goredis.XMessageSliceCmd, len(ask))
	for j, i := range ask {
		answers[j] = pipe.XRange(ctx, s.stream(p.n), streamID(ids[i]), streamID(ids[i]))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	for j, i := range ask {
		if list := answers[j].Val(); len(list) > 0 {
			out[i] = recordOf(&list[0])
		}
	}
	return out, nil
}

// Finish ends a claim, as that of the local spool does.
func (s *Spool) Finish(c *spool.Claim, err error) spool.Outcome {
	out, attempts := s.line.Finish(c, err)
	p, _ := c.Part.(*part)
	now := time.Now()
	var list []item
	for i := range out.Done {
		list = append(list, item{id: out.Done[i].ID, size: out.Done[i].Stored, stranger: out.Done[i].Stranger})
	}
	for i := range out.Dead {
		list = append(list, item{id: out.Dead[i].ID, size: out.Dead[i].Stored, stranger: out.Dead[i].Stranger, head: spool.DeadHead(now, attempts, err.Error())})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.busy--
	if len(list) > 0 || p.leaving {
		s.acks = append(s.acks, ack{part: p, items: list})
		signal(s.wake)
	}
	return out
}

// Start lets Take hand out deliveries.
func (s *Spool) Start() { s.line.Start() }

// Stop makes Accept refuse and Take end; Finish still works.
func (s *Spool) Stop() { s.line.Stop() }

// Close stores what is left to store. What was not finished is handled by others, or
// by the next process.
func (s *Spool) Close() error {
	s.Stop()
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	signal(s.wake)
	if first {
		s.stop()
		s.work.Wait()
		s.line.Close()
		s.release()
	}
	return nil
}

// Stats reports what this process has to handle, how much all have, and all dead
// letters. While Redis cannot be asked the partitions of this process may be others',
// so that nothing of it is known.
func (s *Spool) Stats() spool.Stats {
	st := s.line.Stats()
	away := s.group.Failing() != nil
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.Unknown = away || s.counts == nil; !st.Unknown {
		st.DeadLetters, st.Shared = s.counts.dead, &s.counts.waiting
	}
	st.Left = s.left
	return st
}

// Failing is why deliveries cannot be stored now; nil when they can.
func (s *Spool) Failing() error {
	if err := s.group.Failing(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failing
}

// fail logs the first of several errors. It is quiet where the group has said it, and
// for a while after another one: what can be read but not written fails and works in turn.
func (s *Spool) fail(ctx context.Context, err error) {
	saidThere := s.group.Failing() != nil
	s.mu.Lock()
	news := s.failing == nil && !saidThere && time.Since(s.said) > quiet
	s.failing = err
	if news {
		s.said = time.Now()
	}
	s.mu.Unlock()
	if news {
		s.cfg.Log.ErrorContext(ctx, "redis cannot be used for deliveries", "err", err)
	}
}

// works says that Redis can be used.
func (s *Spool) works() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = nil
}

// fills says that deliveries are refused because Redis has no memory left.
func (s *Spool) fills(ctx context.Context) {
	s.mu.Lock()
	news := time.Since(s.filled) > quiet
	s.filled = time.Now()
	s.mu.Unlock()
	if news {
		s.cfg.Log.ErrorContext(ctx, "redis has no memory left: deliveries are answered 503 until some of those that wait are handled; "+
			"raise its maxmemory, or lower OCEAN__HOOKS__SPOOL_MAX_BYTES")
	}
}

// owned are the partitions to read, in order.
func (s *Spool) owned() []*part {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*part
	for _, p := range s.parts {
		if !p.leaving {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *part) int { return cmp.Compare(a.n, b.n) })
	return out
}
