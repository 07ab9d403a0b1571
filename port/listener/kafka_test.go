package listener_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/ado-port/ado-port/port/listener"
)

const asks = `{"context":{"integrationId":"mine"}}`

// A broker has an organization's topics of Port, and a producer.
type broker struct {
	addresses      []string
	dial           func(ctx context.Context, network, address string) (net.Conn, error)
	user, password string
	organization   string
	producer       *kgo.Client
}

// newBroker is a simulated broker, or with realBroker in the environment a real one.
func newBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{dial: new(net.Dialer).DialContext, user: "user", password: "password", organization: "org_1"}
	description := os.Getenv(realBroker)
	if description != "" {
		b.is(t, description)
	} else {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, b.requests(), b.changes()), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", b.user, b.password))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		b.addresses = c.ListenAddrs()
	}
	var err error
	b.producer, err = kgo.NewClient(kgo.SeedBrokers(b.addresses...), kgo.Dialer(b.dial), kgo.SASL(scram.Auth{User: b.user, Pass: b.password}.AsSha512Mechanism()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.producer.Close)
	if description != "" {
		b.create(t, b.requests(), b.changes())
	}
	return b
}

// realBroker is the variable that describes a broker as JSON: saslSsl is its address,
// with SCRAM-SHA-512 over TLS, caFile who has signed its certificate; username, password.
const realBroker = "ADO_PORT_TEST_KAFKA"

// is makes it a real one, with topics of its own for every test.
func (b *broker) is(t *testing.T, description string) {
	t.Helper()
	d := gjson.Parse(description)
	ca, err := os.ReadFile(d.Get("caFile").Str)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	b.addresses, b.user, b.password, b.organization = []string{d.Get("saslSsl").Str}, d.Get("username").Str, d.Get("password").Str, "org_"+rand.Text()
	b.dial = (&tls.Dialer{Config: &tls.Config{RootCAs: roots}}).DialContext
}

// create makes topics of one partition.
func (b *broker) create(t *testing.T, topics ...string) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range topics {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
		req.Topics = append(req.Topics, topic)
	}
	res, err := req.RequestWith(t.Context(), b.producer)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range res.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			t.Fatal(topic.Topic, err)
		}
	}
}

// The topics that hold nothing but requests, and all changes.
func (b *broker) requests() string { return b.organization + ".integration.resync.requests" }
func (b *broker) changes() string  { return b.organization + ".change.log" }

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
		Brokers: b.addresses, Mechanism: "SCRAM-SHA-512", Dial: b.dial,
		Topic:       func(context.Context) (string, bool, error) { return b.organization, true, nil },
		Credentials: func(context.Context) (string, string, error) { return b.user, b.password, nil },
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
		b.send(t, b.requests(), other)
	}
	b.send(t, b.requests(), asks)
	if cause := <-causes; cause != listener.CauseAsked {
		t.Errorf("cause %q", cause)
	}
	stop()
	if n := len(causes); n != 0 {
		t.Errorf("%d more resyncs", n)
	}
	// What comes while nobody reads is read by the next process.
	b.send(t, b.requests(), asks)
	causes, _ = listen(t, b.config(log))
	<-causes
}

func TestKafkaReadsTheTopicOfAllChanges(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	log := make(lines, 100)
	cfg := b.config(log)
	cfg.Topic = func(context.Context) (string, bool, error) { return b.organization, false, nil }
	causes, stop := listen(t, cfg)
	log.until(t, "Kafka topic is read")
	const state = `{"diff":{"after":{"identifier":"mine","updatedAt":"2","resyncState":{"updatedAt":"2"},"changelogDestination":{"type":"KAFKA"}}}}`
	for _, m := range []string{
		state, strings.Replace(state, "mine", "other", 1), `{"action":"DELETE","diff":{"after":null},"context":{"integrationId":"mine"}}`,
		strings.Replace(strings.Replace(state, `"2"`, `"3"`, 1), `"KAFKA"`, `"WEBHOOK"`, 1), `{"action":"RESYNC","context":{"integrationId":"other"}}`,
	} {
		b.send(t, b.changes(), m)
	}
	b.send(t, b.changes(), strings.Replace(state, `"2"`, `"3"`, 1)) // another mapping
	<-causes
	b.send(t, b.changes(), `{"action":"RESYNC","context":{"integrationId":"mine"}}`)
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
		return b.user, password, nil
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
	password = b.password
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
	b.send(t, b.requests(), asks)
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
	b.send(t, b.requests(), asks)
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
