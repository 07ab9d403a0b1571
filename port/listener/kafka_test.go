package listener_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/ado-port/ado-port/port/listener"
)

const (
	requestsTopic = "org_1.integration.resync.requests"
	changesTopic  = "org_1.change.log"
	asks          = `{"context":{"integrationId":"mine"}}`
)

// A broker is a simulated one with Port's topics, a log that tells when it has shown
// something, and a producer.
type broker struct {
	*kfake.Cluster
	producer *kgo.Client
}

func newBroker(t *testing.T, opts ...kfake.Opt) *broker {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(1), kfake.SeedTopics(1, requestsTopic, changesTopic), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "user", "password"),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.SASL(scram.Auth{User: "user", Pass: "password"}.AsSha512Mechanism()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return &broker{c, p}
}

func (b *broker) send(t *testing.T, topic, message string) {
	t.Helper()
	if err := b.producer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(message)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// lines is a log that tells of each line.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func (l lines) until(t *testing.T, text string) {
	t.Helper()
	for {
		select {
		case line := <-l:
			if strings.Contains(line, text) {
				return
			}
		case <-t.Context().Done():
			t.Fatalf("the log does not say %q", text)
		}
	}
}

func (b *broker) config(log lines) listener.KafkaConfig {
	return listener.KafkaConfig{
		Brokers: b.ListenAddrs(), Mechanism: "SCRAM-SHA-512", Dial: new(net.Dialer).DialContext,
		Topic:       func(context.Context) (string, bool, error) { return "org_1", true, nil },
		Credentials: func(context.Context) (string, string, error) { return "user", "password", nil },
		Type:        "azure-devops", Identifier: "mine", Log: slog.New(slog.NewTextHandler(log, nil)),
	}
}

// listen runs a listener until stop, and tells the causes of its resyncs.
func listen(t *testing.T, cfg listener.KafkaConfig, change ...func(*listener.Config)) (causes chan string, stop func()) {
	t.Helper()
	k := listener.NewKafka(cfg)
	causes = make(chan string, 100)
	lc := listener.Config{Kafka: k, Resync: func(_ context.Context, cause string) error { causes <- cause; return nil }}
	for _, f := range change {
		f(&lc)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var done sync.WaitGroup
	done.Go(func() { _ = listener.Run(ctx, lc) })
	stop = func() { cancel(); done.Wait() }
	t.Cleanup(stop)
	return causes, stop
}

func TestKafkaAsksForResyncs(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	log := make(lines, 100)
	causes, stop := listen(t, b.config(log))
	log.until(t, "Kafka topic is read")
	for _, other := range []string{`{"context":{"integrationId":"other"}}`, `no JSON`, ``} {
		b.send(t, requestsTopic, other)
	}
	b.send(t, requestsTopic, asks)
	if cause := <-causes; cause != listener.CauseAsked {
		t.Errorf("cause %q", cause)
	}
	stop()
	if n := len(causes); n != 0 {
		t.Errorf("%d more resyncs", n)
	}
	// What comes while nobody reads is read by the next process.
	b.send(t, requestsTopic, asks)
	causes, _ = listen(t, b.config(log))
	<-causes
}

func TestKafkaReadsTheTopicOfAllChanges(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	log := make(lines, 100)
	cfg := b.config(log)
	cfg.Topic = func(context.Context) (string, bool, error) { return "org_1", false, nil }
	causes, stop := listen(t, cfg)
	log.until(t, "Kafka topic is read")
	const state = `{"diff":{"after":{"identifier":"mine","updatedAt":"2","resyncState":{"updatedAt":"2"},"changelogDestination":{"type":"KAFKA"}}}}`
	for _, m := range []string{
		state, strings.Replace(state, "mine", "other", 1), `{"action":"DELETE","diff":{"after":null},"context":{"integrationId":"mine"}}`,
		strings.Replace(strings.Replace(state, `"2"`, `"3"`, 1), `"KAFKA"`, `"WEBHOOK"`, 1), `{"action":"RESYNC","context":{"integrationId":"other"}}`,
	} {
		b.send(t, changesTopic, m)
	}
	b.send(t, changesTopic, strings.Replace(state, `"2"`, `"3"`, 1)) // another mapping
	<-causes
	b.send(t, changesTopic, `{"action":"RESYNC","context":{"integrationId":"mine"}}`)
	<-causes
	stop()
	if n := len(causes); n != 0 {
		t.Errorf("%d more resyncs", n)
	}
}

// While the topic cannot be read Port is polled; while it can, polling asks for nothing.
func TestPollingTakesThePlaceOfKafka(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	log := make(lines, 100)
	cfg := b.config(log)
	var mu sync.Mutex
	password := "another"
	cfg.Credentials = func(context.Context) (string, string, error) {
		mu.Lock()
		defer mu.Unlock()
		return "user", password, nil
	}
	requested := time.Now()
	polled := make(chan struct{})
	causes, _ := listen(t, cfg, func(lc *listener.Config) {
		lc.Interval = time.Millisecond
		lc.Requested = func(context.Context) (time.Time, error) {
			select {
			case polled <- struct{}{}:
			default:
			}
			mu.Lock()
			defer mu.Unlock()
			return requested, nil
		}
	})
	log.until(t, "cannot be read")
	mu.Lock()
	requested = requested.Add(time.Second)
	mu.Unlock()
	<-causes
	mu.Lock()
	password = "password"
	mu.Unlock()
	log.until(t, "Kafka topic is read")
	mu.Lock()
	requested = requested.Add(time.Second)
	mu.Unlock()
	<-polled
	<-polled
	<-polled
	if n := len(causes); n != 0 {
		t.Error("a request came both ways")
	}
	b.send(t, requestsTopic, asks)
	<-causes
}

// Of two processes one reads; it is the other one's turn when it ends.
func TestKafkaOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	first, second := make(lines, 100), make(lines, 100)
	_, stop := listen(t, b.config(first))
	first.until(t, "Kafka topic is read")
	causes, _ := listen(t, b.config(second))
	second.until(t, "another process of this installation reads")
	stop()
	second.until(t, "Kafka topic is read")
	b.send(t, requestsTopic, asks)
	<-causes
}

func TestPortDoesNotTellTheTopic(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	log := make(lines, 100)
	cfg := b.config(log)
	cfg.Topic = func(context.Context) (string, bool, error) { return "", false, errors.New("port is down") }
	listen(t, cfg)
	log.until(t, "port is down")
}
