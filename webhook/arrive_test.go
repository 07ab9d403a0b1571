package webhook_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/webhook"
)

// inPipes runs a server whose connections live in the fake time of a test.
func inPipes(t *testing.T, cfg webhook.Config, test func(t *testing.T, s *webhook.Server, dial func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		cfg.Listener, cfg.Parse = l, parse
		cfg.Handler = handlerFunc(func(context.Context, string, []webhook.Delivery) error { return nil })
		s, err := webhook.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		var open []net.Conn
		test(t, s, func() net.Conn {
			c := l.dial()
			open = append(open, c)
			return c
		})
		for _, c := range open {
			c.Close()
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// half sends the header of a delivery and a part of its body.
func half(t *testing.T, c net.Conn, announced, sent int) {
	t.Helper()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", hookPath, announced)
	if _, err := io.WriteString(c, strings.Repeat(" ", sent)); err != nil {
		t.Error(err)
	}
}

// ask sends one request over a new connection.
func ask(t *testing.T, c net.Conn, method, path, body string) int {
	t.Helper()
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res.StatusCode
}

// Large bodies that stand still make way for another one, the oldest first, and
// small deliveries have room of their own.
func TestHalfBodies(t *testing.T) {
	t.Parallel()
	inPipes(t, webhook.Config{}, func(t *testing.T, s *webhook.Server, dial func() net.Conn) {
		t.Helper()
		for range 4 { // they take all the room
			c := dial()
			half(t, c, 8<<20, 4<<20+1000)
			go io.Copy(io.Discard, c)
		}
		synctest.Wait()
		if got := ask(t, dial(), "POST", hookPath, event(1, 1)); got != 200 {
			t.Errorf("a small delivery: %d", got)
		}
		large := strings.Repeat(" ", 6<<20) + event(2, 2)
		if got := ask(t, dial(), "POST", hookPath, large); got != 503 {
			t.Errorf("a large one while the others came just now: %d, want 503", got)
		}
		time.Sleep(2 * time.Second) // the fake clock
		if got := ask(t, dial(), "POST", hookPath, large); got != 200 {
			t.Errorf("a large one while the others stand still: %d", got)
		}
		synctest.Wait()
		if st := s.Stats(); st.Arriving != 3 || st.Rejected["slow"] != 1 || st.Rejected["busy"] != 1 {
			t.Errorf("%d arrive, %v refused; want that one had to go", st.Arriving, st.Rejected)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if st := s.Stats(); st.Arriving != 0 || st.Rejected["slow"] != 4 {
			t.Errorf("%d arrive, %v refused; want that all were too slow", st.Arriving, st.Rejected)
		}
	})
}

// A body that comes slowly and steadily has its time, and no more.
func TestSteadyBody(t *testing.T) {
	t.Parallel()
	inPipes(t, webhook.Config{}, func(t *testing.T, _ *webhook.Server, dial func() net.Conn) {
		t.Helper()
		for _, tt := range []struct{ bytes, want int }{{20 * 16 << 10, 200}, {40 * 16 << 10, 503}} {
			body := event(tt.bytes, tt.bytes)
			body = strings.Repeat(" ", tt.bytes-len(body)) + body
			c := dial()
			var sending sync.WaitGroup
			sending.Go(func() {
				fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", hookPath, len(body))
				for err := error(nil); err == nil && body != ""; body = body[16<<10:] {
					_, err = io.WriteString(c, body[:16<<10])
					time.Sleep(time.Second) // the fake clock
				}
			})
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			c.Close()
			sending.Wait()
			if res.StatusCode != tt.want {
				t.Errorf("%d bytes, a step every second: %d, want %d", tt.bytes, res.StatusCode, tt.want)
			}
		}
	})
}

// At the bound of connections the idle ones close, the oldest first.
func TestIdleConnectionsMakeWay(t *testing.T) {
	t.Parallel()
	inPipes(t, webhook.Config{}, func(t *testing.T, _ *webhook.Server, dial func() net.Conn) {
		t.Helper()
		closed := make(chan int, webhook.MaxConns)
		for i := range webhook.MaxConns {
			c := dial()
			go func() {
				io.Copy(io.Discard, c)
				closed <- i
			}()
		}
		synctest.Wait()
		for want := range 3 {
			if got := ask(t, dial(), "POST", hookPath, event(want, want)); got != 200 {
				t.Errorf("a delivery at the bound: %d", got)
			}
			synctest.Wait()
			if got := <-closed; got != want {
				t.Errorf("connection %d was closed, want %d", got, want)
			}
		}
		time.Sleep(15 * time.Second) // the fake clock
		synctest.Wait()
		if n := len(closed); n != webhook.MaxConns-3 {
			t.Errorf("%d of the others are closed after 15 s", n)
		}
	})
}

// While every connection has a request under way, probes are answered, and one
// that stands still makes way for a delivery.
func TestCrowd(t *testing.T) {
	t.Parallel()
	inPipes(t, webhook.Config{}, func(t *testing.T, s *webhook.Server, dial func() net.Conn) {
		t.Helper()
		for range webhook.MaxConns {
			c := dial()
			half(t, c, 100, 1)
			go io.Copy(io.Discard, c)
		}
		synctest.Wait()
		for range 2 * webhook.SpareConns {
			c := dial()
			if got := ask(t, c, "GET", "/health/live", ""); got != 200 {
				t.Fatalf("live = %d", got)
			}
			c.Close()
			synctest.Wait()
		}
		if got := ask(t, dial(), "POST", hookPath, event(1, 1)); got != 503 {
			t.Errorf("a delivery while the others came just now: %d, want 503", got)
		}
		time.Sleep(2 * time.Second) // the fake clock
		if got := ask(t, dial(), "POST", hookPath, event(2, 2)); got != 200 {
			t.Errorf("a delivery while the others stand still: %d", got)
		}
		if st := s.Stats(); st.Rejected["busy"] != 1 {
			t.Errorf("refused: %v", st.Rejected)
		}
	})
}
