package webhook_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/replica/replicatest"
	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/spool/redis"
)

// parse reads the envelope as the service does, as far as the room needs it.
func parse(body []byte) (webhook.Envelope, error) {
	var e webhook.Envelope
	if !gjson.ValidBytes(body) {
		return e, errors.New("no JSON")
	}
	all := gjson.ParseBytes(body)
	for _, name := range []string{"eventType", "publisherId", "resource"} {
		if !all.Get(name).Exists() {
			return e, errors.New("a member is missing")
		}
	}
	res := all.Get("resource")
	return webhook.Envelope{
		Key: all.Get("eventType").String() + ":" + res.Get("id").String(), EventType: all.Get("eventType").String(),
		EventID: all.Get("id").String(), SubscriptionID: all.Get("subscriptionId").String(), Resource: []byte(res.Raw),
		Known: true,
	}, nil
}

// payload is a delivery of the size of a real one.
func payload(n, object int) []byte {
	return fmt.Appendf(nil, `{"subscriptionId":"11111111-1111-1111-1111-111111111111","notificationId":%d,"id":"event-%d","eventType":"workitem.updated",
"publisherId":"tfs","message":{"text":"%s"},"resource":{"id":%d,"rev":%d,"fields":{%s}},"resourceVersion":"1.0","createdDate":"2025-01-01T00:00:00Z"}`,
		n, n, strings.Repeat("Bug #5 updated. ", 20), object, n, field(n))
}

func field(n int) string {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, `"Custom.Field%d":{"oldValue":"value %d","newValue":"value %d"},`, i, n*i, n+i)
	}
	return b.String() + `"System.State":"Active"`
}

type handlerFunc func(ctx context.Context, key string, deliveries []webhook.Delivery) error

func (f handlerFunc) Handle(ctx context.Context, key string, deliveries []webhook.Delivery) error {
	return f(ctx, key, deliveries)
}

// BenchmarkAccept measures deliveries from HTTP request to durable answer, the
// senders on the same machine: over loopback with connections kept open.
func BenchmarkAccept(b *testing.B) { benchmarkAccept(b, func(*testing.B, *webhook.Config) {}) }

// BenchmarkAcceptShared is BenchmarkAccept where deliveries go to a Redis that writes
// each change to its disk before it answers, as processes that share the work have one.
func BenchmarkAcceptShared(b *testing.B) {
	benchmarkAccept(b, func(b *testing.B, cfg *webhook.Config) {
		b.Helper()
		g, err := replica.New(replica.Config{Settings: replica.Settings{URL: replicatest.Start(b).URL()}, Name: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(g.Start(b.Context()))
		wait(b, "Redis", func() bool { return g.Failing() == nil })
		cfg.Spool = redis.Opener(g, 0)
	})
}

// benchmarkAccept is BenchmarkAccept with what change makes of the server.
func benchmarkAccept(b *testing.B, change func(b *testing.B, cfg *webhook.Config)) {
	b.Helper()
	for _, senders := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			cfg := webhook.Config{Directory: b.TempDir(), Settings: webhook.Settings{SpoolMaxDeliveries: 1 << 30, SpoolMaxBytes: 1 << 40}}
			change(b, &cfg)
			s := serve(b, cfg)
			var next atomic.Int64
			took := make([][]time.Duration, senders)
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range senders {
				wg.Go(func() {
					conn, err := net.Dial("tcp", s.Addr().String())
					if err != nil {
						b.Error(err)
						return
					}
					defer conn.Close()
					r := bufio.NewReader(conn)
					for {
						n := int(next.Add(1))
						if n > b.N {
							return
						}
						body := payload(n, n)
						start := time.Now()
						if status, err := post(conn, r, body); err != nil || status != http.StatusOK {
							b.Errorf("POST = %d, %v", status, err)
							return
						}
						took[i] = append(took[i], time.Since(start))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			all := slices.Sorted(slices.Values(slices.Concat(took...)))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "accepts/s")
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(len(payload(1, 1))), "body-bytes")
		})
	}
}

// post sends one request over a connection that stays open.
func post(conn io.Writer, r *bufio.Reader, body []byte) (int, error) {
	var head bytes.Buffer
	fmt.Fprintf(&head, "POST /integration/webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
	head.Write(body)
	if _, err := conn.Write(head.Bytes()); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Body.Close()
}

// BenchmarkHandle measures what comes after the answer: taking from the spool,
// calling a handler that does nothing, and forgetting.
func BenchmarkHandle(b *testing.B) {
	var left sync.WaitGroup
	s := serve(b, webhook.Config{
		Directory: b.TempDir(), Settings: webhook.Settings{SpoolMaxDeliveries: 1 << 30, SpoolMaxBytes: 1 << 40},
		Handler: handlerFunc(func(_ context.Context, _ string, list []webhook.Delivery) error {
			left.Add(-len(list))
			return nil
		}),
	})
	left.Add(b.N)
	var next atomic.Int64
	var senders sync.WaitGroup
	for range 64 {
		senders.Go(func() {
			for n := int(next.Add(1)); n <= b.N; n = int(next.Add(1)) {
				if status := send(s, string(payload(n, n))); status != http.StatusOK {
					b.Errorf("POST = %d", status)
					left.Done()
				}
			}
		})
	}
	senders.Wait()
	b.ResetTimer()
	s.Start()
	left.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "handled/s")
}

// BenchmarkIdle measures one delivery at a time, from the request until a
// handler has it: what the room adds to the time in which an event becomes an
// entity.
func BenchmarkIdle(b *testing.B) {
	handled := make(chan struct{})
	s := serve(b, webhook.Config{Directory: b.TempDir(), Handler: handlerFunc(func(context.Context, string, []webhook.Delivery) error {
		handled <- struct{}{}
		return nil
	})})
	s.Start()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		body := payload(n, n)
		start := time.Now()
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			if status, err := post(conn, r, body); err != nil || status != http.StatusOK {
				b.Errorf("POST = %d, %v", status, err)
			}
		}()
		<-handled
		took = append(took, time.Since(start))
		<-answered
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
