package replica_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/replica/replicatest"
)

// A member is one of several processes, as far as a test needs one.
type member struct {
	*replica.Group

	t    *testing.T
	stop func()

	mu    sync.Mutex
	terms map[int]*replica.Term
	lost  int
}

const seats = 8

func newMember(t *testing.T, s *replicatest.Server) *member {
	t.Helper()
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return newMemberOf(t, g)
}

func newMemberOf(t *testing.T, g *replica.Group) *member {
	t.Helper()
	m := &member{Group: g, t: t, terms: map[int]*replica.Term{}}
	g.Join(replica.Family{
		Name: "seat", Count: seats, Life: 4 * time.Second,
		Gained: func(seat int, term *replica.Term) { m.mu.Lock(); defer m.mu.Unlock(); m.terms[seat] = term },
		Lost:   func(seat int) { m.mu.Lock(); defer m.mu.Unlock(); delete(m.terms, seat); m.lost++ },
		Yield: func(seat int) {
			m.mu.Lock()
			defer m.mu.Unlock()
			term := m.terms[seat]
			delete(m.terms, seat)
			go func() { _ = g.Release(context.WithoutCancel(t.Context()), "seat", seat, term) }()
		},
	})
	m.stop = sync.OnceFunc(g.Start(t.Context()))
	t.Cleanup(m.stop)
	return m
}

func (m *member) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.terms)
}

// until waits for something that other processes do.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 6000 {
		if is() {
			return
		}
		<-tick.C
	}
	t.Fatal("waited in vain for " + what)
}

// Members divide seats, and each has one owner.
func TestDivide(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := newMember(t, s)
	until(t, "one to have all", func() bool { return a.count() == seats })
	b := newMember(t, s)
	until(t, "two to have half each", func() bool { return a.count() == seats/2 && b.count() == seats/2 })
	b.stop()
	until(t, "one to have all again", func() bool { return a.count() == seats })
	if a.lost != 0 {
		t.Errorf("%d seats were lost by one that was never away", a.lost)
	}
}

// A member that hangs loses its seats to others, and its fence lets nothing through
// before they can have them.
func TestHangs(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := newMember(t, s)
	until(t, "one to have all", func() bool { return a.count() == seats })
	a.mu.Lock()
	fence := a.terms[0].Fence(4 * time.Second)
	a.mu.Unlock()
	if err := fence(); err != nil {
		t.Fatalf("the fence of one that lives: %v", err)
	}
	// As far as Redis knows it hangs: it gives no sign of life any more.
	_ = a.Redis().Close()
	b := newMember(t, s)
	until(t, "another one to have all", func() bool {
		if n := b.count(); n > 0 && fence() == nil {
			t.Fatal("another one has a seat while the fence is open")
		}
		return b.count() == seats
	})
	until(t, "the one that hangs to know", func() bool { return a.count() == 0 })
	if a.Failing() == nil {
		t.Error("no error of one that cannot reach Redis")
	}
}

// A Redis that comes back with its data has lost nothing; one without has.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	lost := make(chan struct{}, 10)
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test", Lost: func() { lost <- struct{}{} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Start(t.Context()))
	until(t, "Redis to be used", func() bool { return g.Failing() == nil })
	s.Kill()
	until(t, "an error", func() bool { return g.Failing() != nil })
	s.Again()
	until(t, "Redis to be used again", func() bool { return g.Failing() == nil })
	if len(lost) != 0 {
		t.Error("data that is there counts as lost")
	}
	s.Do("FLUSHALL")
	<-lost
	s.Do("CONFIG SET requirepass other")
	if st := g.Status(); st.Members != 1 {
		t.Errorf("%d members, want 1", st.Members)
	}
}

// A seat whose owner does not know that it has it, because the answer was lost, is
// taken by it again.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a := newMember(t, s)
	until(t, "one to have all", func() bool { return a.count() == seats })
	b := newMember(t, s)
	until(t, "two to have half each", func() bool { return a.count() == seats/2 && b.count() == seats/2 })
	a.mu.Lock()
	var seat int
	for seat = range a.terms {
		break
	}
	a.mu.Unlock()
	a.stop() // and as if its claim had been stored, with the name of the other one
	s.Do("HSET ado-port:test:seats " + replica.Seat("seat", seat) + " " + b.Term().Name())
	until(t, "the other one to have all", func() bool { return b.count() == seats })
}

// A lock lasts as long as its owner is a member and has not given it back; what it could
// not give back it gives back when it can.
func TestLock(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	a, b := newMember(t, s), newMember(t, s)
	lock := func(m *member) (end func()) {
		t.Helper()
		end, err := m.Lock(t.Context(), "l")
		if err != nil {
			t.Fatal(err)
		}
		return end
	}
	lasts := func(name string) time.Duration {
		ms, _ := strconv.Atoi(strings.TrimPrefix(s.Do("PTTL ado-port:test:lock:"+name), ":"))
		return time.Duration(ms) * time.Millisecond
	}
	end := lock(a)
	if got := lasts("l"); got < 30*time.Minute {
		t.Errorf("the lock ends by itself after %s", got)
	}
	err := a.Alone(t.Context(), "x", func() error {
		if got := lasts("x"); got <= 0 || got > 2*time.Minute {
			t.Errorf("others wait for one that is alone for %s", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Lock(ctx, "l"); !errors.Is(err, context.Canceled) || s.Do("EXISTS ado-port:test:lock:l") != ":1" {
		t.Errorf("one that waits no more: %v", err)
	}
	s.Kill()
	end()
	s.Again()
	end = lock(b) // while the other one lives
	end()
	if got := s.Do("EXISTS ado-port:test:lock:l"); got != ":0" {
		t.Errorf("EXISTS is %s after the lock was given back", got)
	}
	lock(a)
	a.stop()
	lock(b)()
}

// A user who may do no more than the documentation asks for is enough.
func TestUser(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	if got := s.Do("ACL SETUSER ado on >pw ~ado-port:* +@all -@admin -@dangerous"); got != "+OK" {
		t.Fatal(got)
	}
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.As("ado", "pw")}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	m := newMemberOf(t, g)
	until(t, "it to have all", func() bool { return m.count() == seats })
	if err := g.Table("t", false).Put(t.Context(), "a", "b"); err != nil {
		t.Error(err)
	}
	wrong, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.As("ado", "hunter22")}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wrong.Start(t.Context()))
	until(t, "the reason", func() bool { return strings.Contains(wrong.Failing().Error(), "refuses the user or the password") })
	if text := statusOf(t, wrong); strings.Contains(text, "hunter22") || !strings.Contains(text, "refuses the user or the password") {
		t.Errorf("the status is %s", text)
	}
}

// statusOf is what /status.json shows of a group.
func statusOf(t *testing.T, g *replica.Group) string {
	t.Helper()
	text, err := json.Marshal(g.Status())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Both know who leads as long as Redis can be asked, and since when it cannot. Nobody
// tells its password.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	join := func() *member {
		g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if st := g.Status(); st.Usable || st.Since.IsZero() || st.Name != "" || st.Leads != "" {
			t.Errorf("before Redis was asked the status is %+v", st)
		}
		g.Join(replica.Family{Name: replica.Leadership, Count: 1, Gained: func(int, *replica.Term) {}, Lost: func(int) {}, Yield: func(int) {}})
		return newMemberOf(t, g)
	}
	a := join()
	until(t, "one to lead", func() bool { return a.Status().Leader })
	b := join()
	until(t, "both to be known", func() bool {
		x, y := a.Status(), b.Status()
		return x.Members == 2 && y.Members == 2 && y.Leads != "" && x.Seats["seat"] == seats/2 && y.Seats["seat"] == seats/2
	})
	x, y := a.Status(), b.Status()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if !x.Usable || !x.Leader || y.Leader || x.Leads != x.Name || y.Leads != x.Name || x.Name == y.Name || len(x.Name) != len(host+"/12345678") || !strings.HasPrefix(x.Name, host+"/") {
		t.Errorf("the one that leads says %+v, the other one %+v", x, y)
	}
	s.Kill()
	until(t, "an error", func() bool { return b.Failing() != nil })
	y = b.Status()
	if text := statusOf(t, b.Group); y.Usable || !y.Since.After(x.Since) || y.Leads != "" || y.Error == "" || strings.Contains(text, s.URL().Reveal()) || strings.Contains(text, "replica-test") {
		t.Errorf("without Redis the status is %s", text)
	}
	s.Again()
	until(t, "Redis to be used again", func() bool { z := b.Status(); return z.Usable && z.Since.After(y.Since) })
	var alone *replica.Group
	if st := alone.Status(); st != nil {
		t.Errorf("one that is alone has the status %+v", st)
	}
}

// newLeading is a member that leads.
func newLeading(t *testing.T, s *replicatest.Server) *member {
	t.Helper()
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	leads := make(chan struct{})
	g.Join(replica.Family{Name: replica.Leadership, Count: 1, Gained: func(int, *replica.Term) { close(leads) }, Lost: func(int) {}, Yield: func(int) {}})
	m := newMemberOf(t, g)
	<-leads
	return m
}

// A log has the same entries in the same order for everybody, and a file in place of
// old ones.
func TestLog(t *testing.T) {
	t.Parallel()
	m := newLeading(t, replicatest.Start(t))
	l := m.Log("l")
	for _, text := range []string{"a", "b", "c"} {
		if err := l.Append(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := l.Read(t.Context(), replica.Position{})
	if err != nil || len(all) != 3 || string(all[0].Data)+string(all[1].Data)+string(all[2].Data) != "abc" || !all[2].At.After(all[1].At) {
		t.Fatalf("entries %v, %v", all, err)
	}
	large := strings.Repeat("0123456789", 300_000)
	name, err := l.Publish(t.Context(), strings.NewReader(large), all[1].At)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	is, upTo, err := l.File(t.Context(), &file)
	if err != nil || is != name || upTo != all[1].At || file.String() != large {
		t.Errorf("File = %q, %v, %v, %d bytes", is, upTo, err, file.Len())
	}
	rest, err := l.Read(t.Context(), upTo)
	if err != nil || len(rest) != 2 || string(rest[0].Data) != "c" || rest[1].File != name {
		t.Errorf("entries behind the file %v, %v", rest, err)
	}
	m.stop()
	if _, err := l.Publish(t.Context(), strings.NewReader("x"), upTo); err == nil {
		t.Error("one that does not lead publishes a file")
	}
}

// What a command leaves for the members, it leaves without being one.
func TestCommonValue(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	var g [2]*replica.Group
	for i := range g {
		var err error
		if g[i], err = replica.New(replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a", ""} {
		if err := g[0].Common("x").Set(t.Context(), []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := g[1].Common("x").Get(t.Context()); string(got) != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if err := g[0].Value("x").Set(t.Context(), []byte("b")); err == nil {
		t.Error("one that is no member sets what only the leader may")
	}
}

// A script whose answer was lost is run again by the client: a file is whole after that.
func TestPublishTwice(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	m := newLeading(t, s)
	m.Redis().AddHook(twice{})
	l := m.Log("l")
	name, err := l.Publish(t.Context(), strings.NewReader("text"), replica.Position{})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if is, _, err := l.File(t.Context(), &file); err != nil || is != name || file.String() != "text" {
		t.Errorf("File = %q, %v, %q", is, err, file.String())
	}
}

// twice runs every script that succeeds again.
type twice struct{}

func (twice) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (twice) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (twice) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && strings.HasPrefix(cmd.Name(), "eval") {
			err = next(ctx, cmd)
		}
		return err
	}
}
