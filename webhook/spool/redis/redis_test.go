package redis_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/replica/replicatest"
	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/spool"
	"github.com/ado-port/ado-port/webhook/spool/redis"
)

// The tests wait for Redis and for seats, hardly for a processor.
func TestMain(m *testing.M) {
	if dir := os.Getenv(moveEnv); dir != "" {
		moveChild(dir)
		return
	}
	if err := flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// A process is one of several, as far as deliveries go.
type process struct {
	webhook.Spool

	t     *testing.T
	group *replica.Group
	leave func()
}

func start(t *testing.T, s *replicatest.Server, change ...func(*spool.Config)) *process {
	t.Helper()
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	var cfg spool.Config
	for _, c := range change {
		c(&cfg)
	}
	return join(t, g, redis.Open(t.Context(), cfg, g, 0))
}

// join has a process take part until the end of the test.
func join(t *testing.T, g *replica.Group, s webhook.Spool) *process {
	t.Helper()
	p := &process{t: t, group: g, Spool: s}
	p.leave = sync.OnceFunc(g.Start(t.Context()))
	t.Cleanup(func() {
		_ = p.Close()
		p.leave()
	})
	p.until("Redis to be used", func() bool { return p.Failing() == nil })
	return p
}

// pair starts two processes that have divided the work.
func pair(t *testing.T, s *replicatest.Server) (a, b *process) {
	t.Helper()
	a, b = start(t, s), start(t, s)
	share := func(p *process) int { return p.group.Status().Seats[replica.Partitions] }
	a.until("both to have their share", func() bool { return share(a) == 32 && share(b) == 32 })
	return a, b
}

// until waits for something that other goroutines or processes do.
func (p *process) until(what string, is func() bool) {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 6000 {
		if is() {
			return
		}
		<-tick.C
	}
	p.t.Fatal("waited in vain for " + what)
}

func delivery(key string, n int) spool.Delivery {
	return spool.Delivery{Key: key, EventType: "git.push", EventID: fmt.Sprint(key, "-", n), SubscriptionID: "s", Body: []byte(fmt.Sprint(n))}
}

func (p *process) accept(d spool.Delivery) {
	p.t.Helper()
	if again, err := p.Accept(p.t.Context(), d, nil); again || err != nil {
		p.t.Fatalf("Accept = %v, %v", again, err)
	}
}

func (p *process) take() *spool.Claim {
	p.t.Helper()
	c, err := p.Take(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func bodies(c *spool.Claim) string {
	var out []string
	for i := range c.Deliveries {
		out = append(out, string(c.Deliveries[i].Body))
	}
	return strings.Join(out, " ")
}

// Deliveries of a key come in order and together, whoever accepted them.
func TestOrder(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a, b := pair(t, s)
	for n := range 6 {
		[]*process{a, b}[n%2].accept(delivery("k", n))
	}
	a.until("one to know all", func() bool { return a.Stats().Depth+b.Stats().Depth == 6 })
	a.until("both to know how many wait for all", func() bool { return a.shared() == 6 && b.shared() == 6 })
	of := a
	if b.Stats().Depth > 0 {
		of = b
	}
	c := of.take()
	if got := bodies(c); got != "0 1 2 3 4 5" || c.Key != "k" || c.Fence() != nil {
		t.Errorf("claim %q of %q, fence %v", got, c.Key, c.Fence())
	}
	if out := of.Finish(c, errors.New("not now")); out.Retried != 6 {
		t.Errorf("outcome %+v", out)
	}
	a.accept(delivery("k", 6))
	of.until("the last one", func() bool { return of.Stats().Depth == 7 })
	c = of.take()
	if got := bodies(c); got != "0 1 2 3 4 5 6" || c.Deliveries[0].Attempt != 2 {
		t.Errorf("claim %q, attempt %d", got, c.Deliveries[0].Attempt)
	}
	of.Finish(c, nil)
	of.until("everything to be done", func() bool {
		return s.Do("HGET ado-port:test:load count") == "$1" && of.Stats().Depth == 0 && a.shared() == 0
	})
}

// shared is how many deliveries wait for all processes; -1: nobody can know.
func (p *process) shared() int {
	n := p.Stats().Shared
	if n == nil {
		return -1
	}
	return *n
}

// What one has accepted, another one recognizes.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a, b := start(t, s), start(t, s)
	same := func(p *process, d spool.Delivery, resource string, want bool) {
		t.Helper()
		if got, err := p.Accept(t.Context(), d, []byte(resource)); got != want || err != nil {
			t.Errorf("duplicate %v, %v, want %v", got, err, want)
		}
	}
	d := delivery("k", 1)
	same(a, d, "r1", false)
	same(b, d, "r1", true)
	other := d
	other.EventID, other.SubscriptionID = "x", "s2"
	same(b, other, "r1", true) // the same content by another subscription
	same(a, other, "r1", true) // and its resend
	second := d
	second.EventID = "y"
	same(a, second, "r1", false) // the same subscription brings it again: news
	same(b, delivery("k", 3), "r2", false)
}

// The room is one for all, and strangers have a small part of it.
func TestRoom(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	few := func(c *spool.Config) { c.MaxDeliveries, c.Held = 16, true }
	a, b := start(t, s, few), start(t, s, few)
	full := func(p *process, d spool.Delivery, want error) {
		t.Helper()
		if _, err := p.Accept(t.Context(), d, nil); !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
	}
	stranger := func(n int) spool.Delivery { d := delivery("s", n); d.Stranger = true; return d }
	full(a, stranger(0), nil)
	full(b, stranger(1), nil)
	full(b, stranger(2), spool.ErrFull)
	for n := range 14 {
		full([]*process{a, b}[n%2], delivery(fmt.Sprint("k", n), n), nil)
	}
	full(a, delivery("k", 99), spool.ErrFull)
	full(a, spool.Delivery{}, spool.ErrInvalid)
	a.Stop()
	full(a, delivery("k", 99), spool.ErrClosed)
}

// A Redis without memory takes nothing new. What waits is handled, which makes room.
func TestRedisIsFull(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	log, logging := noted()
	p := start(t, s, logging, func(c *spool.Config) { c.Held = true })
	for n := range 3 {
		p.accept(delivery("k", n))
	}
	if got := s.Do("CONFIG SET maxmemory 1"); got != "+OK" {
		t.Fatal(got)
	}
	for range 2 {
		if _, err := p.Accept(t.Context(), delivery("k", 9), nil); !errors.Is(err, spool.ErrFull) {
			t.Errorf("error %v, want ErrFull", err)
		}
	}
	late := start(t, s) // becomes a member
	p.until("both to have their share", func() bool { return late.group.Status().Seats[replica.Partitions] == 32 })
	late.Stop()
	_ = late.Close()
	late.leave()
	p.Start()
	if got := p.all(3)["k"]; len(got) != 3 {
		t.Errorf("handled %v", got)
	}
	p.until("nothing to wait", func() bool { return p.shared() == 0 })
	if err := p.Failing(); err != nil || strings.Count(log.b.String(), "no memory left") != 1 {
		t.Errorf("failing %v, log %s", err, log.b.String())
	}
	s.Do("CONFIG SET maxmemory 0")
	p.accept(delivery("k", 9))
}

// When Redis has lost its last writes, the ids that they had are not given again: a
// delivery that comes later is neither taken for one that was read, nor deleted for one
// that was in hand.
func TestRedisLosesItsLastWrites(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	p := start(t, s)
	p.Start()
	p.accept(delivery("k", 1))
	last := strings.TrimPrefix(s.Do("INCRBY ado-port:test:id 0"), ":")
	p.Finish(p.take(), nil)
	p.until("the first to be deleted", func() bool { return p.shared() == 0 })
	p.accept(delivery("k", 2))
	lost := p.take()
	for part := range 64 {
		s.Do(fmt.Sprint("DEL ado-port:test:part:", part))
	}
	s.Do("SET ado-port:test:id " + last)
	p.accept(delivery("k", 3))
	p.Finish(lost, nil)
	if c := p.take(); len(c.Deliveries) != 1 || string(c.Deliveries[0].Body) != "3" {
		t.Errorf("handled %+v", c.Deliveries)
	}
}

// Large deliveries that have waited for long come in order, a few at a time.
func TestLargeBacklog(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := start(t, s, func(c *spool.Config) { c.Held = true })
	body := make([]byte, 400<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(body)
	for n := range 60 {
		d := delivery(fmt.Sprint("k", n%20), n)
		d.Body = append(fmt.Appendf(nil, "%02d", n), body...)
		a.accept(d)
	}
	_ = a.Close()
	a.leave()
	b := start(t, s)
	for key, got := range b.all(60) {
		for i := range got {
			if want := fmt.Sprintf("%02d", 20*i+mustAtoi(t, strings.TrimPrefix(key, "k"))); string(got[i].Body[:2]) != want {
				t.Errorf("delivery %d of %s is %s, want %s", i, key, got[i].Body[:2], want)
			}
		}
	}
}

func mustAtoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Dead letters are everybody's.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a, b := pair(t, s)
	a.accept(delivery("k", 1))
	of := a
	a.until("one to have it", func() bool { return a.Stats().Depth+b.Stats().Depth == 1 })
	if b.Stats().Depth == 1 {
		of = b
	}
	if out := of.Finish(of.take(), fmt.Errorf("%w: broken", spool.ErrPermanent)); len(out.Dead) != 1 {
		t.Fatalf("outcome %+v", out)
	}
	var letters []spool.DeadLetter
	list := func(p *process) int {
		letters = nil
		for l, err := range p.Dead() {
			if err != nil {
				t.Fatal(err)
			}
			letters = append(letters, l)
		}
		return len(letters)
	}
	for _, p := range []*process{a, b} {
		p.until("a dead letter", func() bool { return list(p) == 1 && p.Stats().DeadLetters == 1 })
		if l := letters[0]; l.Key != "k" || string(l.Body) != "1" || !strings.Contains(l.Reason, "broken") || l.Attempts != 1 {
			t.Errorf("dead letter %+v", l)
		}
	}
	if st := a.Stats(); st.Unknown || st.Shared == nil {
		t.Errorf("%+v", st)
	}
	if n, err := b.Redrive(t.Context(), 12345); n != 0 || !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("Redrive of none = %d, %v", n, err)
	}
	if n, err := b.Redrive(t.Context()); n != 1 || err != nil {
		t.Fatalf("Redrive = %d, %v", n, err)
	}
	a.until("it to wait again", func() bool { return a.Stats().Depth+b.Stats().Depth == 1 && list(a) == 0 })
	c := of.take()
	if !c.Deliveries[0].Redriven || bodies(c) != "1" {
		t.Errorf("claim %+v", c.Deliveries)
	}
	of.Finish(c, fmt.Errorf("%w: still", spool.ErrPermanent))
	a.until("a dead letter again", func() bool { return list(a) == 1 })
	if err := a.Drop(t.Context(), letters[0].ID); err != nil || list(b) != 0 {
		t.Errorf("Drop: %v", err)
	}
	if err := b.Drop(t.Context(), 1); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("Drop of none: %v", err)
	}
}

// A process that is stopped for longer than its life, and goes on: what it works on
// has gone to another, before that its fence refuses to write, and what it finishes
// changes nothing.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := start(t, s)
	a.accept(delivery("k", 1))
	claim := a.take()
	if claim.Fence() != nil {
		t.Fatal("the fence is closed at once")
	}
	_ = a.group.Redis().Close() // it gives no sign of life any more
	b := start(t, s)
	var other *spool.Claim
	got := make(chan struct{})
	go func() {
		defer close(got)
		other, _ = b.Take(t.Context())
	}()
	<-got
	if other == nil || bodies(other) != "1" || other.Fence() != nil {
		t.Fatalf("claim of the other one: %+v", other)
	}
	if claim.Fence() == nil {
		t.Error("the fence lets writes through although another one has the delivery")
	}
	a.Finish(claim, nil)
	if out := b.Finish(other, errors.New("not now")); out.Retried != 1 {
		t.Errorf("outcome %+v", out)
	}
	again := b.take()
	if bodies(again) != "1" {
		t.Errorf("claim %q", bodies(again))
	}
	b.Finish(again, nil)
}

// A Redis that is killed and comes back has everything that was accepted; meanwhile
// nothing is.
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := start(t, s, func(c *spool.Config) { c.Held = true })
	for n := range 20 {
		a.accept(delivery(fmt.Sprint("k", n), n))
	}
	s.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := a.Accept(ctx, delivery("k", 100), nil); err == nil {
		t.Error("a delivery is accepted without Redis")
	}
	a.until("an error", func() bool { return a.Failing() != nil && a.shared() < 0 })
	s.Again()
	a.until("Redis to be used", func() bool { return a.Failing() == nil })
	a.Start()
	var all bytes.Buffer
	for range 20 {
		c := a.take()
		fmt.Fprintln(&all, c.Key, bodies(c))
		a.Finish(c, nil)
	}
	for n := range 20 {
		if want := fmt.Sprintf("k%d %d\n", n, n); strings.Count(all.String(), want) != 1 {
			t.Errorf("%q was handed out %d times", want, strings.Count(all.String(), want))
		}
	}
	if _, err := a.Accept(t.Context(), delivery("after", 1), nil); err != nil {
		t.Errorf("after Redis is back: %v", err)
	}
}

// Without so many copies of Redis nothing is acknowledged.
func TestCopies(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	sp := redis.Open(t.Context(), spool.Config{}, g, 1)
	t.Cleanup(g.Start(t.Context()))
	p := &process{t: t, group: g, Spool: sp}
	p.until("Redis to be used", func() bool { return g.Failing() == nil })
	if _, err := p.Accept(t.Context(), delivery("k", 1), nil); err == nil || !strings.Contains(err.Error(), "MIN_REPLICAS") {
		t.Errorf("error %v", err)
	}
	_ = p.Close()
}

// While Redis is away nobody knows what waits there, and how many dead letters there are.
func TestUnknown(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	p := start(t, s)
	p.until("Redis to be asked", func() bool { return !p.Stats().Unknown })
	s.Kill()
	p.until("nobody to know", func() bool { return p.Stats().Unknown })
	if st := p.Stats(); st.Shared != nil {
		t.Errorf("%+v", st)
	}
	for _, err := range p.Dead() {
		if err == nil {
			t.Error("a dead letter of a Redis that is away")
		}
	}
	n, err := p.Redrive(t.Context(), 1)
	if drop := p.Drop(t.Context(), 1); n != 0 || err == nil || errors.Is(err, spool.ErrNotFound) || drop == nil || errors.Is(drop, spool.ErrNotFound) {
		t.Errorf("Redrive = %d, %v; Drop: %v", n, err, drop)
	}
	s.Again()
	p.until("Redis to be asked again", func() bool { return !p.Stats().Unknown })
}

// The state directory is one process's, although the deliveries are not in it.
func TestDirectoryOfAnother(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := start(t, s)
	open := redis.Opener(a.group, 0)
	cfg := spool.Config{Directory: t.TempDir()}
	first, err := open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t.Context(), cfg); !errors.Is(err, spool.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := opens(t.Context(), a.group, cfg)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	if redis.Opener(nil, 0) != nil {
		t.Error("a process that is alone has a shared spool")
	}
}
