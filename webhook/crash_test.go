package webhook_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ado-port/ado-port/webhook"
)

// crashEnv has the directory of the spool of a child process.
const crashEnv = "ADO_PORT_TEST_CRASH_DIRECTORY"

// TestMain is the child of TestKill when it is told so: a server that prints its
// address and then each delivery that it has handled.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

func child(dir string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	s, err := webhook.New(webhook.Config{
		Listener: l, Directory: dir, Parse: parse,
		Handler: handlerFunc(func(_ context.Context, key string, list []webhook.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			var b strings.Builder
			for _, d := range list {
				fmt.Fprintf(&b, "done %s %s %d\n", key, d.EventID, d.ID)
			}
			_, err := os.Stdout.WriteString(b.String()) // one write: a line is there or not
			if rand.IntN(20) == 0 {
				return fmt.Errorf("now and then")
			}
			return err
		}),
	})
	if err != nil {
		panic(err)
	}
	s.Start()
	fmt.Printf("listening %s\n", l.Addr())
	if err := s.Run(context.Background()); err != nil {
		panic(err)
	}
}

// TestKill kills a process that is receiving and handling at random moments.
// Afterwards every delivery that was answered 200 has been handled at least once,
// and those of an object for the first time in their order.
func TestKill(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	k := &killed{acked: map[string]bool{}, handled: map[string]int{}, last: map[string]int{}}
	var next atomic.Int64
	for range 7 {
		k.life(t, dir, &next, 10+rand.IntN(40), true)
	}
	k.life(t, dir, &next, 10, false)
	lost := 0
	for id := range k.acked {
		if k.handled[id] == 0 {
			lost++
		}
	}
	t.Logf("%d acknowledged, %d handled, some more than once: %d", len(k.acked), len(k.handled), k.again)
	if lost > 0 {
		t.Errorf("%d of %d acknowledged deliveries were lost", lost, len(k.acked))
	}
	for _, e := range k.disorder {
		t.Error(e)
	}
}

// killed is what several lives of a process have done.
type killed struct {
	mu       sync.Mutex
	acked    map[string]bool // by event id
	handled  map[string]int
	last     map[string]int // number of the newest one handled, by key
	again    int
	disorder []string
}

// life runs one process under load until it has acknowledged so many deliveries.
// kill ends it then; otherwise it runs until everything is handled.
func (k *killed) life(t *testing.T, dir string, next *atomic.Int64, acks int, kill bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child says nothing")
	}
	addr := strings.TrimPrefix(lines.Text(), "listening ")
	var reader, senders sync.WaitGroup
	reader.Go(func() { k.read(lines) })
	stop := make(chan struct{})
	for range 8 {
		senders.Go(func() { k.send(addr, next, stop) })
	}
	before := k.count()
	wait(t, "acknowledgements", func() bool { return k.count() >= before+acks })
	if kill {
		_ = cmd.Process.Kill()
	}
	close(stop)
	senders.Wait()
	if !kill {
		wait(t, "every delivery", k.complete)
		_ = cmd.Process.Kill()
	}
	reader.Wait()
	_ = cmd.Wait() // says that it was killed
}

func (k *killed) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.acked)
}

func (k *killed) complete() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.acked {
		if k.handled[id] == 0 {
			return false
		}
	}
	return true
}

// read takes down what the process has handled.
func (k *killed) read(lines *bufio.Scanner) {
	for lines.Scan() {
		var key, id string
		var spoolID int
		if _, err := fmt.Sscanf(lines.Text(), "done %s %s %d", &key, &id, &spoolID); err != nil {
			continue // cut by the end of the process
		}
		k.mu.Lock()
		if k.handled[id]++; k.handled[id] > 1 {
			k.again++
		} else if spoolID < k.last[key] {
			k.disorder = append(k.disorder, fmt.Sprintf("%s of %s came after a newer one", id, key))
		}
		k.last[key] = max(k.last[key], spoolID)
		k.mu.Unlock()
	}
}

// send posts deliveries until the process is gone.
func (k *killed) send(addr string, next *atomic.Int64, stop <-chan struct{}) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n := int(next.Add(1))
		status, err := post(conn, r, payload(n, n%40))
		if err != nil {
			return
		}
		if status == http.StatusOK {
			k.mu.Lock()
			k.acked[fmt.Sprintf("event-%d", n)] = true
			k.mu.Unlock()
		}
	}
}

// A handler that is busy when the server ends gets time; what waits is there
// after the next start.
func TestStop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begun, goOn := make(chan struct{}), make(chan struct{})
	s, stop := start(t, webhook.Config{
		Directory: dir, Settings: webhook.Settings{Workers: 1}, ShutdownWait: 10 * time.Second,
		Handler: handlerFunc(func(ctx context.Context, key string, _ []webhook.Delivery) error {
			if key == "t:1" {
				close(begun)
				<-goOn
			}
			return ctx.Err()
		}),
	})
	s.Start()
	for i := 1; i <= 3; i++ {
		if status := send(s, event(i, i)); status != http.StatusOK {
			t.Fatalf("POST = %d", status)
		}
	}
	<-begun
	ended := make(chan error)
	go func() { ended <- stop() }()
	wait(t, "closing", func() bool { return s.Stats().Closing })
	res := overNetwork(t, s.Addr().String(), event(4, 4))
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("POST while closing = %d, %v", res.StatusCode, res.Header)
	}
	close(goOn)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	var mu sync.Mutex
	s = serve(t, webhook.Config{Directory: dir, Handler: handlerFunc(func(_ context.Context, key string, _ []webhook.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		got[key] = true
		return nil
	})})
	s.Start()
	wait(t, "the rest", func() bool { return s.Stats().Depth == 0 })
	if len(got) != 2 || got["t:1"] {
		t.Errorf("handled after the restart: %v, want the second and third", got)
	}
}

// event is a small delivery.
func event(n, object int) string {
	b, _ := json.Marshal(map[string]any{
		"id": fmt.Sprint("event-", n), "eventType": "t", "publisherId": "tfs", "resource": map[string]any{"id": object, "n": n},
	})
	return string(b)
}

func overNetwork(t *testing.T, addr, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+hookPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res
}
