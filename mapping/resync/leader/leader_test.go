package leader_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ado-port/ado-port/mapping/resync/leader"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/replica/replicatest"
)

// A process is one of several that may lead.
type process struct {
	*leader.Leader

	group *replica.Group
	turns chan turn
	woken chan string
	die   func()
}

type turn struct {
	leader.Turn
	ctx context.Context
}

func start(t *testing.T, s *replicatest.Server) *process {
	t.Helper()
	p := &process{turns: make(chan turn), woken: make(chan string, 10)}
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test", Lost: func() { p.AskLost("lost") }})
	if err != nil {
		t.Fatal(err)
	}
	p.group = g
	p.Leader = leader.New(leader.Config{Group: g, Wake: func(cause string) { p.woken <- cause }})
	stop := g.Start(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	var parts sync.WaitGroup
	parts.Go(func() {
		_ = p.Run(ctx, func(ctx context.Context, at leader.Turn) error {
			select {
			case p.turns <- turn{at, ctx}:
			case <-ctx.Done(): // nobody waits for this turn
			}
			<-ctx.Done()
			return nil
		})
	})
	p.die = sync.OnceFunc(func() {
		cancel()
		parts.Wait()
		stop()
	})
	t.Cleanup(p.die)
	return p
}

// One leads, what others ask for reaches it, and the next one knows where it ended.
func TestTakeover(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := start(t, s)
	first := <-a.turns
	if !first.First || first.Left || !first.Begins(true) || first.Begins(false) || port.CheckFence(first.ctx) != nil {
		t.Errorf("the first turn is %+v", first.Turn)
	}
	b := start(t, s)
	b.Ask("POST /resync")
	if cause := <-a.woken; cause != "POST /resync" {
		t.Errorf("woken because of %q", cause)
	}
	a.Open(first.ctx)
	if !b.AwaitOpen(t.Context()) {
		t.Error("the other one does not hear that events may be handled")
	}
	running := make(chan struct{})
	go func() {
		_ = a.Noted(func(ctx context.Context, _ string) error {
			close(running)
			<-ctx.Done() // the process ends in the middle
			return ctx.Err()
		})(first.ctx, "schedule")
	}()
	<-running
	a.die()
	next := <-b.turns
	if next.First || !next.Left || !next.Begins(false) || next.Since(time.Time{}).IsZero() {
		t.Errorf("the next turn is %+v", next.Turn)
	}
	if err := b.Noted(func(context.Context, string) error { return nil })(next.ctx, "start"); err != nil {
		t.Error(err)
	}
	c := start(t, s)
	b.die()
	if last := <-c.turns; last.Left || last.Begins(true) {
		t.Errorf("the last turn is %+v", last.Turn)
	}
}

// What is asked for stays until a resync because of it has begun, also when another
// process leads by then.
func TestAskedStays(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := start(t, s)
	<-a.turns
	b := start(t, s)
	b.Ask("POST /resync")
	<-a.woken
	a.die()
	next := <-b.turns
	if cause := <-b.woken; !next.Asked || next.First || cause != "POST /resync" {
		t.Errorf("the next turn is %+v, woken because of %q", next.Turn, cause)
	}
	for _, cause := range []string{"schedule", "POST /resync"} {
		want := ":1"
		if cause != "schedule" {
			<-b.woken // again
			want = ":0"
		}
		err := b.Noted(func(context.Context, string) error {
			if got := s.Do("EXISTS ado-port:test:leader:asked"); got != want {
				t.Errorf("while a resync because of %q runs EXISTS is %s, want %s", cause, got, want)
			}
			return nil
		})(next.ctx, cause)
		if err != nil {
			t.Error(err)
		}
	}
}

// After Redis has lost its data one resync runs, whoever finds that and when.
func TestLostData(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := start(t, s)
	<-a.turns
	b := start(t, s)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for b.group.Status().Members != 2 { // so that it knows what it loses
		<-tick.C
	}
	s.Do("FLUSHALL")
	var leads *process
	var at turn
	select {
	case at = <-a.turns:
		leads = a
	case at = <-b.turns:
		leads = b
	}
	if cause := <-leads.woken; !at.Asked || cause != "lost" {
		t.Errorf("the turn is %+v, woken because of %q", at.Turn, cause)
	}
	if err := leads.Noted(func(context.Context, string) error { return nil })(at.ctx, "lost"); err != nil {
		t.Error(err)
	}
	for _, p := range []*process{a, b} {
		p.AskLost("lost")
		if err := p.TellLost(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Do("EXISTS ado-port:test:leader:asked"); got != ":0" {
		t.Errorf("another resync is asked for: EXISTS is %s", got)
	}
}

// One that cannot reach Redis any more stops leading, and writes nothing before
// another one begins.
func TestCutOff(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := start(t, s)
	first := <-a.turns
	b := start(t, s)
	_ = a.group.Redis().Close()
	next := <-b.turns
	if err := port.CheckFence(first.ctx); !errors.Is(err, port.ErrFenced) {
		t.Errorf("error %v of the one that is cut off, want ErrFenced", err)
	}
	<-first.ctx.Done()
	if err := port.CheckFence(next.ctx); err != nil {
		t.Errorf("the new leader: %v", err)
	}
}

// A process that is alone always leads, and asks nobody.
func TestAlone(t *testing.T) {
	t.Parallel()
	var woken []string
	l := leader.New(leader.Config{Wake: func(cause string) { woken = append(woken, cause) }})
	l.Ask("missed")
	ended := errors.New("the end")
	err := l.Run(t.Context(), func(ctx context.Context, at leader.Turn) error {
		l.Open(ctx)
		l.Open(ctx)
		if !l.AwaitOpen(ctx) || !at.Begins(true) || at.Begins(false) || port.CheckFence(ctx) != nil {
			t.Errorf("turn %+v", at)
		}
		return l.Noted(func(context.Context, string) error { return ended })(ctx, "start")
	})
	if !errors.Is(err, ended) || len(woken) != 1 {
		t.Errorf("Run = %v, woken %v", err, woken)
	}
}

// A seat that is lost after Run has taken the term and before the turn has begun is
// not led for: nobody would say again that it is lost.
func TestLostBeforeItBegan(t *testing.T) {
	t.Parallel()
	l := leader.New(leader.Config{})
	l.Gain(&replica.Term{})
	term := l.Taken()
	l.Lose()
	err := l.Lead(t.Context(), term, func(context.Context, leader.Turn) error {
		t.Error("it leads")
		return nil
	})
	if !errors.Is(err, leader.ErrSeat) {
		t.Errorf("the turn ended with %v", err)
	}
}
