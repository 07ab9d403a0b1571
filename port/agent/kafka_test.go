//go:build !race

package agent_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ado-port/ado-port/port/porttest"
)

// kafka is a broker with the topics of an organization.
type kafka struct {
	*world
	cluster *kfake.Cluster
	commits chan string // topic/partition@offset
}

// withKafka runs f with a broker and a clock that does not have to be waited for.
func withKafka(t *testing.T, f func(k *kafka)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newKafka(t)) })
}

func newKafka(t *testing.T) *kafka {
	t.Helper()
	var wire kfake.VirtualNetwork // sockets would not know of the clock
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(wire.Listen), kfake.Ports(9092), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "user", "kafka-password"), kfake.SeedTopics(1, "org.runs", "org.change.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := newWorld(t)
	w.dial = wire.DialContext
	k := &kafka{world: w, cluster: cluster, commits: make(chan string, 1000)}
	k.port = porttest.NewUnstarted(porttest.Options{ClientSecret: secret, Kafka: porttest.Kafka{Username: "user", Password: "kafka-password", Brokers: cluster.ListenAddrs()}})
	t.Cleanup(k.port.Close)
	maps.Copy(k.env, map[string]string{
		"STREAMER_NAME": "KAFKA", "KAFKA_CONSUMER_GROUP_ID": "org.agent", "KAFKA_CONSUMER_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
		"KAFKA_CONSUMER_AUTHENTICATION_MECHANISM": "SCRAM-SHA-512", "KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "6000",
	})
	runs := cluster.TopicInfo("org.runs").TopicID
	cluster.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		for _, topic := range r.(*kmsg.OffsetCommitRequest).Topics {
			for _, p := range topic.Partitions {
				name := topic.Topic
				if topic.TopicID == runs {
					name = "org.runs"
				}
				k.commits <- fmt.Sprintf("%s/%d@%d", name, p.Partition, p.Offset)
			}
		}
		return nil, nil, false
	})
	return k
}

// send writes messages to a topic.
func (k *kafka) send(topic string, messages ...string) {
	k.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(k.cluster.ListenAddrs()...), kgo.SASL(scramUser()), kgo.Dialer(k.dial))
	if err != nil {
		k.t.Fatal(err)
	}
	defer c.Close()
	for _, m := range messages {
		if err := c.ProduceSync(k.t.Context(), &kgo.Record{Topic: topic, Value: []byte(m)}).FirstErr(); err != nil {
			k.t.Fatal(err)
		}
	}
}

// committed waits until an offset is committed.
func (k *kafka) committed(want string) {
	k.t.Helper()
	for {
		select {
		case got := <-k.commits:
			if got == want {
				return
			}
		case <-k.t.Context().Done():
			k.t.Fatalf("%s was not committed", want)
		}
	}
}

// message is a signed message of a run.
func message(id, url string) string {
	const timestamp = "1770113730"
	m := func(headers string) string {
		return fmt.Sprintf(`{"action":"deploy","context":{"runId":%q},"payload":{"action":{"invocationMethod":{"type":"WEBHOOK","agent":true,"url":%q,"synchronized":true}},"properties":{"x":"user-data"}},"headers":{%s}}`, id, url, headers)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "." + m("")))
	return m(fmt.Sprintf(`"X-Port-Signature":"v1,%s","X-Port-Timestamp":%s`, base64.StdEncoding.EncodeToString(mac.Sum(nil)), timestamp))
}

func change(name string) string {
	return fmt.Sprintf(`{"action":"UPDATE","context":{"entity":%q},"changelogDestination":{"type":"WEBHOOK","agent":true,"url":"%s/%s"}}`, name, hook, name)
}

func TestKafka(t *testing.T) {
	t.Parallel()
	withKafka(t, func(k *kafka) {
		k.port.AddRunFor("r_1")
		k.port.AddRunFor("r_2")
		k.send("org.runs",
			"not JSON", "", "[]", `{"payload":null}`, message("r_1", hook),
			strings.Replace(message("r_forged", hook), "user-data", "other", 1), message("r_2", "http://service.example/refuses"))
		k.send("org.change.log", change("a"), `{"changelogDestination":{"agent":false}}`, change("b"))
		k.answer = func(_ int, c call) (*http.Response, error) {
			if strings.Contains(c.url, "refuses") {
				return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("nobody listens")}
			}
			return respond(200, `{"ok":true}`), nil
		}
		p := k.start()
		k.committed("org.runs/0@7")
		p.stop()
		seen := map[string]int{}
		for _, c := range k.called() {
			seen[c.url]++
		}
		if seen[hook] != 1 || seen[hook+"/a"] != 1 || seen[hook+"/b"] != 1 || seen["http://service.example/refuses"] != 3 {
			t.Errorf("calls: %v", seen)
		}
		if a, b := k.run("r_1").Status, k.run("r_2").Status; a != "SUCCESS" || b != "FAILURE" {
			t.Errorf("%s and %s, want SUCCESS and FAILURE", a, b)
		}
		// The next process goes on behind them.
		k.port.AddRunFor("r_3")
		k.send("org.runs", message("r_3", hook))
		p = k.start()
		k.committed("org.runs/0@8")
		p.stop()
		if n := len(k.called()); n != 7 {
			t.Errorf("%d calls, want 7", n)
		}
	})
}

// A process that is killed before it could commit reads its messages again, and the
// ledger says that they have been dealt with.
func TestKafkaKilled(t *testing.T) {
	t.Parallel()
	withKafka(t, func(k *kafka) {
		k.port.AddRunFor("r_1")
		k.send("org.runs", message("r_1", hook))
		var p *process
		ready := make(chan struct{})
		k.port.Fault(porttest.Slow(runRoute, 0).Calling(func() { <-ready; p.kill() }).Times(1))
		p = k.start()
		close(ready)
		<-p.done
		for len(k.commits) > 0 {
			<-k.commits
		}
		p = k.start()
		k.send("org.runs", message("r_1", hook)) // and once more, as another message
		k.committed("org.runs/0@2")
		p.stop()
		if n := len(k.called()); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
		if s := k.run("r_1").Status; s != "SUCCESS" {
			t.Error(s)
		}
	})
}

// The second of two agents stands by, and takes over.
func TestKafkaStandby(t *testing.T) {
	t.Parallel()
	withKafka(t, func(k *kafka) {
		k.port.AddRunFor("r_1")
		k.port.AddRunFor("r_2")
		k.send("org.runs", message("r_1", hook))
		first := k.start()
		k.committed("org.runs/0@1")
		k.state = t.TempDir()
		second := k.start()
		first.stop()
		k.send("org.runs", message("r_2", hook))
		k.committed("org.runs/0@2")
		second.stop()
		if n := len(k.called()); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
	})
}
