package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/replica/replicatest"
	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/spool"
	"github.com/ado-port/ado-port/webhook/spool/redis"
)

// alone has deliveries wait in a directory, as a process that is alone leaves them.
func alone(t *testing.T, list ...spool.Delivery) (dir string) {
	t.Helper()
	dir = t.TempDir()
	local(t, dir, func(s *spool.Spool) {
		for i := range list {
			if again, err := s.Accept(t.Context(), list[i], nil); again || err != nil {
				t.Fatalf("Accept = %v, %v", again, err)
			}
		}
	})
	return dir
}

// once has a directory used that a process which is just being forked by another test may
// have locked as well, until it is another program.
func once[T any](use func() (T, error)) (T, error) {
	for {
		got, err := use()
		if !errors.Is(err, spool.ErrLocked) {
			return got, err
		}
		runtime.Gosched()
	}
}

// opens opens the spool that a server with a shared queue has.
func opens(ctx context.Context, g *replica.Group, cfg spool.Config) (webhook.Spool, error) {
	return once(func() (webhook.Spool, error) { return redis.Opener(g, 0)(ctx, cfg) })
}

// local uses the local spool of a directory. It has to be in order.
func local(t *testing.T, dir string, use func(s *spool.Spool)) {
	t.Helper()
	cfg := spool.Config{Directory: dir, Lost: func() { t.Error("the local spool was damaged or is missing") }}
	s, err := once(func() (*spool.Spool, error) { return spool.Open(t.Context(), cfg) })
	if err != nil {
		t.Fatal(err)
	}
	use(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// left is how much a directory holds.
func left(t *testing.T, dir string) (waiting, dead int) {
	t.Helper()
	local(t, dir, func(s *spool.Spool) { waiting, dead = s.Stats().Depth, s.Stats().DeadLetters })
	return waiting, dead
}

func member(t *testing.T, s *replicatest.Server) *replica.Group {
	t.Helper()
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// several opens the spool that a server with this directory has, with a shared queue.
func several(t *testing.T, s *replicatest.Server, dir string, change ...func(*spool.Config)) *process {
	t.Helper()
	g := member(t, s)
	cfg := spool.Config{Directory: dir, Lost: func() { t.Error("deliveries are lost") }}
	for _, c := range change {
		c(&cfg)
	}
	sp, err := opens(t.Context(), g, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return join(t, g, sp)
}

// A notes is a log.
type notes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *notes) has(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Contains(n.b.String(), text)
}

const moved = "what waited in the state directory was moved to the shared queue"

// noted adds a log to a spool.
func noted() (*notes, func(*spool.Config)) {
	n := &notes{}
	return n, func(cfg *spool.Config) { cfg.Log = slog.New(slog.NewTextHandler(n, nil)) }
}

// all takes so many deliveries, and returns those of each key in their order.
func (p *process) all(n int) map[string][]spool.Delivery {
	p.t.Helper()
	out := map[string][]spool.Delivery{}
	for n > 0 {
		c := p.take()
		out[c.Key] = append(out[c.Key], c.Deliveries...)
		n -= len(c.Deliveries)
		p.Finish(c, nil)
	}
	return out
}

// What waits in the directory of a process that was alone is handled by the several that
// came after it, as it would have been there: in order, with its age and with what is
// known of it. Dead letters stay dead letters. What was there is not there any more, and
// a process that is alone again has nothing to complain of.
func TestMove(t *testing.T) {
	t.Parallel()
	old := time.Now().Add(-3 * time.Hour).Truncate(time.Millisecond)
	var list []spool.Delivery
	for n := range 300 { // more than are moved at once
		d := delivery(fmt.Sprint("k", n%7), n)
		d.Received = old.Add(time.Duration(n) * time.Second)
		d.Stranger = n%7 == 3
		if n%5 == 0 {
			d.EventID = ""
		}
		list = append(list, d)
	}
	dir := alone(t, list...)
	var letter spool.DeadLetter
	local(t, dir, func(s *spool.Spool) {
		for _, key := range []string{"bad", "good"} {
			if _, err := s.Accept(t.Context(), delivery(key, 1), nil); err != nil {
				t.Fatal(err)
			}
		}
		for range 9 {
			c, err := s.Take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if c.Key == "bad" || c.Key == "good" {
				err = fmt.Errorf("%w: this is %s", spool.ErrPermanent, c.Key)
			} else {
				err = errors.New("not now")
			}
			s.Finish(c, err)
		}
		(&process{t: t}).until("two dead letters", func() bool { return s.Stats().DeadLetters == 2 })
		for l, err := range s.Dead() {
			if err != nil {
				t.Fatal(err)
			}
			if l.Key == "good" {
				if _, err := s.Redrive(t.Context(), l.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		for l := range s.Dead() {
			letter = l
		}
		if st := s.Stats(); st.Depth != 301 || st.DeadLetters != 1 || letter.Key != "bad" {
			t.Fatalf("stats %+v, dead letter %+v", st, letter)
		}
	})

	s := replicatest.Start(t)
	log, logging := noted()
	a := several(t, s, dir, logging)
	a.until("the end of the move", func() bool { return log.has(moved) })
	if !log.has("deliveries=301 dead_letters=1 known=0") {
		t.Errorf("log %s", log.b.String())
	}
	b := start(t, s, func(c *spool.Config) { c.Held = true })
	resent := delivery("k1", 1)
	if again, err := b.Accept(t.Context(), resent, nil); !again || err != nil {
		t.Errorf("a resend of what was moved: %v, %v", again, err)
	}
	var letters []spool.DeadLetter
	for l, err := range b.Dead() {
		if err != nil {
			t.Fatal(err)
		}
		letters = append(letters, l)
	}
	if len(letters) != 1 || letters[0].Reason != letter.Reason || letters[0].Attempts != letter.Attempts || !letters[0].Died.Equal(letter.Died) ||
		!letters[0].Received.Equal(letter.Received) || letters[0].EventID != letter.EventID || !bytes.Equal(letters[0].Body, letter.Body) {
		t.Errorf("dead letters %+v, want %+v", letters, letter)
	}
	if n, err := b.Redrive(t.Context(), letters[0].ID); n != 1 || err != nil {
		t.Errorf("Redrive = %d, %v", n, err)
	}
	_ = b.Close()
	b.leave()

	got := a.all(302)
	for n := range list {
		want := &list[n]
		if len(got[want.Key]) == 0 {
			t.Fatalf("delivery %d of %s is missing", n, want.Key)
		}
		d := &got[want.Key][0]
		if got[want.Key] = got[want.Key][1:]; string(d.Body) != string(want.Body) || !d.Received.Equal(want.Received) || d.EventID != want.EventID || d.Stranger != want.Stranger {
			t.Errorf("delivery %+v, want %+v", d, want)
		}
	}
	if d := got["good"][0]; !d.Redriven {
		t.Errorf("delivery %+v, want one that was a dead letter", d)
	}
	_ = a.Close()
	if waiting, dead := left(t, dir); waiting+dead != 0 {
		t.Errorf("%d deliveries and %d dead letters are left", waiting, dead)
	}
	local(t, dir, func(s *spool.Spool) {
		if again, err := s.Accept(t.Context(), resent, nil); again || err != nil {
			t.Errorf("afterwards: %v, %v", again, err)
		}
	})
}

// Where nothing waits nothing is said, and no file is made.
func TestMoveNothing(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	dir := t.TempDir()
	log, logging := noted()
	_ = several(t, s, dir, logging).Close()
	if _, err := os.Stat(dir + "/spool.db"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
	dir = alone(t)
	_ = several(t, s, dir, logging).Close()
	if log.has("state directory") {
		t.Errorf("log %s", log.b.String())
	}
}

// Redis is away at first. Nothing is lost, and deliveries are accepted as soon as it is
// there.
func TestMoveWithoutRedis(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	s.Kill()
	dir := alone(t, delivery("k", 1), delivery("k", 2))
	g := member(t, s)
	log, logging := noted()
	cfg := spool.Config{Directory: dir}
	logging(&cfg)
	sp, err := opens(t.Context(), g, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := g.Start(t.Context())
	s.Again()
	p := &process{t: t, group: g, Spool: sp, leave: ended}
	t.Cleanup(func() {
		_ = p.Close()
		p.leave()
	})
	p.until("the end of the move", func() bool { return log.has(moved) })
	p.accept(delivery("k", 3))
	if got := p.all(3)["k"]; len(got) != 3 || string(got[0].Body)+string(got[1].Body)+string(got[2].Body) != "123" {
		t.Errorf("deliveries %+v", got)
	}
}

// A process that is stopped while Redis is away has everything as it was.
func TestMoveIsStopped(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	s.Kill()
	dir := alone(t, delivery("k", 1), delivery("k", 2))
	sp, err := opens(t.Context(), member(t, s), spool.Config{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := sp.Close(); err != nil {
		t.Error(err)
	}
	if waiting, _ := left(t, dir); waiting != 2 {
		t.Errorf("%d deliveries are left, want 2", waiting)
	}
}

// One that is stopped on the way leaves the rest where it is.
func TestMoveIsStoppedOnTheWay(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	var list []spool.Delivery
	for n := range 500 {
		list = append(list, delivery("k", n))
	}
	dir := alone(t, list...)
	p := start(t, s)
	into, _ := p.Spool.(*redis.Spool)
	ctx, stop := context.WithCancel(t.Context())
	h := hold(t, dir)
	into.Move(ctx, &cut{h, func() error { stop(); return nil }})
	h.Release()
	waiting, _ := left(t, dir)
	p.until("Redis to be counted", func() bool { return p.shared() == 500-waiting })
	if waiting == 0 || waiting == 500 {
		t.Errorf("%d deliveries are left", waiting)
	}
}

// There is less room in Redis than there is to move: the rest waits, in order, until
// something is handled, and so do dead letters until somebody looks at them.
func TestMoveWaitsForRoom(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	var list []spool.Delivery
	for n := range 40 {
		d := delivery(fmt.Sprint("k", n%2), n)
		d.Stranger = n%2 == 1
		list = append(list, d)
	}
	dir := alone(t, list...)
	log, logging := noted()
	p := several(t, s, dir, logging, func(c *spool.Config) { c.MaxDeliveries = 10 })
	p.until("a full queue", func() bool { return log.has("cannot be moved to the shared queue now") && p.shared() == 10 })
	if got := p.Stats().Left; got != (spool.Left{Deliveries: 30}) || !log.has("deliveries=30 dead_letters=0 err=") {
		t.Errorf("left is %+v, log %s", got, log.b.String())
	}
	if _, err := p.Accept(t.Context(), delivery("new", 1), nil); !errors.Is(err, spool.ErrFull) {
		t.Errorf("error %v, want ErrFull", err)
	}
	got := p.all(40)
	for n := range 40 {
		key := fmt.Sprint("k", n%2)
		if d := got[key][n/2]; string(d.Body) != fmt.Sprint(n) {
			t.Errorf("delivery %d of %s is %s, want %d", n/2, key, d.Body, n)
		}
	}
	p.until("the end of the move", func() bool { return log.has(moved) })
	if got := p.Stats().Left; got != (spool.Left{}) {
		t.Errorf("left at the end is %+v", got)
	}
	p.accept(delivery("new", 1))
}

func TestMoveWaitsForRoomForDeadLetters(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	dir := alone(t)
	body := make([]byte, 4000) // does not become smaller
	for i := range body {
		body[i] = byte(rand.IntN(256))
	}
	local(t, dir, func(s *spool.Spool) {
		for n := range 4 {
			d := delivery("k", n)
			d.Body = body
			if _, err := s.Accept(t.Context(), d, nil); err != nil {
				t.Fatal(err)
			}
			c, err := s.Take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.Finish(c, spool.ErrPermanent)
		}
	})
	log, logging := noted()
	p := several(t, s, dir, logging, func(c *spool.Config) { c.MaxBytes = 40_000 })
	p.until("no more room", func() bool { return log.has("cannot be moved to the shared queue now") && p.Stats().DeadLetters == 2 })
	if got := p.Stats().Left; got != (spool.Left{DeadLetters: 2}) {
		t.Errorf("left is %+v", got)
	}
	var events []string
	for len(events) < 4 {
		for l, err := range p.Dead() {
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, l.EventID)
			if err := p.Drop(t.Context(), l.ID); err != nil {
				t.Error(err)
			}
		}
		runtime.Gosched()
	}
	if got := strings.Join(events, " "); got != "k-0 k-1 k-2 k-3" {
		t.Errorf("dead letters %s", got)
	}
	p.until("the end of the move", func() bool { return log.has(moved) })
}

// A cut has leftovers of which something cannot be deleted.
type cut struct {
	*spool.Held

	fail func() error
}

func (c *cut) Delete(list []spool.Leftover) error {
	if err := c.fail(); err != nil {
		return err
	}
	return c.Held.Delete(list)
}

func hold(t *testing.T, dir string) *spool.Held {
	t.Helper()
	h, err := once(func() (*spool.Held, error) { return spool.Hold(spool.Config{Directory: dir}) })
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A process ends between Redis and the disk: the next one sends the same again, and
// nothing is there twice, deliveries without an id and dead letters included.
func TestMoveEndsBeforeItDeletes(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	nameless := delivery("k", 3)
	nameless.EventID = ""
	dir := alone(t, delivery("dead", 1))
	local(t, dir, func(s *spool.Spool) {
		c, err := s.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Finish(c, spool.ErrPermanent)
		for _, d := range []spool.Delivery{delivery("k", 1), delivery("k", 2), nameless} {
			if _, err := s.Accept(t.Context(), d, nil); err != nil {
				t.Fatal(err)
			}
		}
	})
	p := start(t, s)
	into, _ := p.Spool.(*redis.Spool)
	for deletes := range 3 { // the deliveries, then the dead letter
		var done sync.WaitGroup
		done.Go(func() {
			h := hold(t, dir)
			defer h.Release()
			n := 0
			into.Move(t.Context(), &cut{h, func() error {
				if n++; n > deletes {
					runtime.Goexit()
				}
				return nil
			}})
		})
		done.Wait()
	}
	if waiting, dead := left(t, dir); waiting+dead != 0 {
		t.Errorf("%d deliveries and %d dead letters are left", waiting, dead)
	}
	if got := p.all(3)["k"]; len(got) != 3 || string(got[0].Body)+string(got[1].Body)+string(got[2].Body) != "123" {
		t.Errorf("deliveries %+v", got)
	}
	p.until("nothing else", func() bool { return p.shared() == 0 && p.Stats().DeadLetters == 1 })
}

// What cannot be deleted, because the disk is full, is not sent again, and not passed.
func TestMoveOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	dir := alone(t, delivery("k", 1), delivery("k", 2))
	log, logging := noted()
	p := start(t, s, logging)
	into, _ := p.Spool.(*redis.Spool)
	h := hold(t, dir)
	n := 0
	into.Move(t.Context(), &cut{h, func() error {
		if n++; n < 4 {
			return errors.New("no space left on device")
		}
		return nil
	}})
	h.Release()
	if got := s.Do("HGET ado-port:test:load duplicates"); got != "$-1" || !log.has("no space left") || !log.has("deliveries=2 dead_letters=0 known=0") {
		t.Errorf("duplicates %s, log %s", got, log.b.String())
	}
	if waiting, _ := left(t, dir); waiting != 0 {
		t.Errorf("%d deliveries are left", waiting)
	}
}

// moveEnv has the directory, and moveURL the Redis, of a child process.
const (
	moveEnv = "ADO_PORT_TEST_MOVE_DIRECTORY"
	moveURL = "ADO_PORT_TEST_MOVE_URL"
)

// moveChild is a process that moves what waits, handles nothing, and prints its log.
func moveChild(dir string) {
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: port.Secret(os.Getenv(moveURL))}, Name: "test"})
	if err != nil {
		panic(err)
	}
	g.Start(context.Background())
	cfg := spool.Config{Directory: dir, Held: true, Log: slog.New(slog.NewTextHandler(os.Stdout, nil))}
	if _, err := opens(context.Background(), g, cfg); err != nil {
		panic(err)
	}
	select {}
}

// A process that moves is killed after some deliveries, until nothing is left. Then Redis
// has everything once, in order.
func TestMoveIsKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	const count = 5000
	s := replicatest.Start(t)
	dir := t.TempDir()
	local(t, dir, func(s *spool.Spool) {
		var senders sync.WaitGroup
		for k := range 10 {
			senders.Go(func() {
				for n := range count / 10 {
					if _, err := s.Accept(t.Context(), delivery(fmt.Sprint("k", k), n), nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		senders.Wait()
	})
	for lives := 1; ; lives++ {
		done := moveLife(t, s, dir, 1+rand.IntN(1000))
		waiting, _ := left(t, dir)
		if done && waiting != 0 {
			t.Fatalf("%d deliveries are left", waiting)
		}
		if waiting == 0 { // also when it was killed before it could say so
			t.Logf("%d lives", lives)
			break
		}
	}
	p := start(t, s)
	p.until("Redis to be counted", func() bool { return p.shared() == count })
	for key, got := range p.all(count) {
		for n := range got {
			if string(got[n].Body) != fmt.Sprint(n) {
				t.Fatalf("delivery %d of %s is %s", n, key, got[n].Body)
			}
		}
	}
}

// moveLife starts a process and kills it when it has brought so many deliveries into
// Redis; true when it has said before that it was done. Something must be left to move.
func moveLife(t *testing.T, s *replicatest.Server, dir string, most int) bool {
	t.Helper()
	given := func() int { // deliveries that Redis has
		n, _ := strconv.Atoi(strings.TrimPrefix(s.Do("HINCRBY ado-port:test:load count 0"), ":"))
		return n
	}
	before := given()
	var out notes
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), moveEnv+"="+dir, moveURL+"="+s.URL().Reveal())
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	(&process{t: t}).until("deliveries to be moved", func() bool { return given() >= before+most || out.has(moved) || out.has("panic") })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if out.has("panic") {
		t.Fatalf("%s", out.b.String())
	}
	return out.has(moved)
}
