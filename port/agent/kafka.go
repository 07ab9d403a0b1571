package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/ado-port/ado-port/port"
)

// resets are the names that librdkafka has for where a new group begins.
var resets = map[string]kgo.Offset{
	"earliest": kgo.NewOffset().AtStart(), "smallest": kgo.NewOffset().AtStart(), "beginning": kgo.NewOffset().AtStart(),
	"latest": kgo.NewOffset().AtEnd(), "largest": kgo.NewOffset().AtEnd(), "end": kgo.NewOffset().AtEnd(),
	"error": kgo.NoResetOffset(),
}

// A broker is how to reach and to sign in at Port's brokers. Credentials are asked for
// again when they are old, since Port may change them.
type broker struct {
	agent *Agent

	mu        sync.Mutex
	addresses []string
	auth      scram.Auth
	asked     time.Time
}

// fresh is how long credentials are used without asking again.
const fresh = 5 * time.Minute

func (b *broker) ask(ctx context.Context) (scram.Auth, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.asked.IsZero() && time.Since(b.asked) < fresh {
		return b.auth, nil
	}
	text, err := b.agent.port.Do(ctx, port.Request{Method: http.MethodGet, Path: "/kafka-credentials"})
	if err != nil {
		return scram.Auth{}, err
	}
	var doc struct {
		Credentials struct {
			Brokers            []string `json:"brokers"`
			Username, Password string
		} `json:"credentials"`
	}
	if err := json.Unmarshal(text, &doc); err != nil || len(doc.Credentials.Brokers) == 0 {
		return scram.Auth{}, errors.New("port: the credentials of Kafka name no brokers")
	}
	c := doc.Credentials
	b.agent.Masker.Add(c.Password)
	b.addresses, b.auth, b.asked = c.Brokers, scram.Auth{User: c.Username, Pass: c.Password}, time.Now()
	return b.auth, nil
}

// mechanisms are those of the sign-in.
func (b *broker) mechanisms() []sasl.Mechanism {
	if !strings.HasPrefix(b.agent.Config.SecurityProtocol, "SASL") {
		return nil
	}
	switch b.agent.Config.Mechanism {
	case "SCRAM-SHA-512":
		return []sasl.Mechanism{scram.Sha512(b.ask)}
	case "SCRAM-SHA-256":
		return []sasl.Mechanism{scram.Sha256(b.ask)}
	}
	return []sasl.Mechanism{plain.Plain(func(ctx context.Context) (plain.Auth, error) {
		a, err := b.ask(ctx)
		return plain.Auth{User: a.User, Pass: a.Pass}, err
	})}
}

// A consumer reads the topics as a member of the group.
type consumer struct {
	*Agent
	client *kgo.Client
	offsets
}

// consume reads until ctx is done. What is read is committed when its effect is there,
// or is not to come.
func (a *Agent) consume(ctx context.Context) error {
	b := &broker{agent: a, addresses: strings.Split(a.Config.Brokers, ",")}
	if !a.Config.LocalPort {
		if _, err := b.ask(ctx); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the process ends
			}
			return err
		}
	}
	c := &consumer{Agent: a, offsets: offsets{partitions: map[partition]*progress{}, changed: make(chan struct{}, 1)}}
	client, err := kgo.NewClient(c.options(b)...)
	if err != nil {
		return err
	}
	c.client = client
	committing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var commits sync.WaitGroup
	commits.Go(func() { c.committing(committing) })
	c.read(ctx)
	a.drain() // before the partitions go to somebody else
	stop()
	commits.Wait()
	c.quit(ctx)
	return nil
}

func (c *consumer) options(b *broker) []kgo.Opt {
	cfg := c.Config
	return []kgo.Opt{
		kgo.SeedBrokers(b.addresses...), kgo.Dialer(c.Dial), kgo.SASL(b.mechanisms()...),
		kgo.ClientID(userAgent), kgo.ConsumerGroup(cfg.GroupID), kgo.ConsumeTopics(cfg.RunsTopic, cfg.ChangesTopic),
		kgo.ConsumeResetOffset(resets[cfg.OffsetReset]), kgo.DisableAutoCommit(), kgo.DisableClientMetrics(),
		kgo.SessionTimeout(time.Duration(cfg.SessionTimeoutMS) * time.Millisecond),
		kgo.HeartbeatInterval(min(3*time.Second, time.Duration(cfg.SessionTimeoutMS)*time.Millisecond/3)),
		// Those of port-agent, beside which an agent can be in one group.
		kgo.Balancers(kgo.RangeBalancer(), kgo.RoundRobinBalancer()),
		kgo.FetchMaxBytes(fetchBytes), kgo.FetchMaxPartitionBytes(fetchBytes), kgo.FetchMaxWait(fetchWait),
		kgo.BlockRebalanceOnPoll(), kgo.OnPartitionsAssigned(c.assigned), kgo.OnPartitionsRevoked(c.revoked), kgo.OnPartitionsLost(c.lost),
		kgo.WithHooks(reached{&c.health}),
	}
}

const (
	fetchBytes = 4 << 20 // Port's messages have up to 1 MiB
	fetchWait  = time.Second
	// ahead is how many records are read before the first of them has its effect.
	ahead = 100
)

// reached notes that a broker answers.
type reached struct{ health *health }

// OnBrokerE2E is that of kgo.HookBrokerE2E.
func (r reached) OnBrokerE2E(_ kgo.BrokerMetadata, _ int16, e kgo.BrokerE2E) {
	if e.Err() == nil {
		r.health.well()
	}
}

// read takes records until ctx is done.
func (c *consumer) read(ctx context.Context) {
	failed := ""
	for ctx.Err() == nil {
		c.pool.room(ahead)
		fetches := c.client.PollRecords(ctx, ahead)
		if ctx.Err() != nil {
			c.client.AllowRebalance()
			return
		}
		if err := fetches.Err(); err != nil {
			if text := err.Error(); text != failed {
				failed = text
				c.Log.ErrorContext(ctx, "the topics cannot be read: it is tried again", "err", err)
			}
			_ = pause(ctx, time.Second)
		} else {
			failed = ""
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			c.seen(partition{p.Topic, p.Partition}, p.HighWatermark)
		})
		fetches.EachRecord(func(r *kgo.Record) { c.take(ctx, r) })
		c.client.AllowRebalance()
		c.show(c.metrics)
	}
}

// take begins to execute a record. Its offset can be committed when that has ended.
func (c *consumer) take(ctx context.Context, r *kgo.Record) {
	o := c.begin(r)
	if o == nil {
		return // the partition is somebody else's
	}
	j := c.offer(ctx, r, o)
	if j == nil {
		c.finish(o)
		return
	}
	go func() { // as many as the pool has jobs
		<-j.ended
		if !j.skipped && !o.given.Load() {
			c.finish(o)
		}
	}()
}

// offer adds a job for a record; nil: there is nothing to do.
func (c *consumer) offer(ctx context.Context, r *kgo.Record, o *offset) *job {
	q := runsTopic
	if r.Topic == c.Config.ChangesTopic {
		q = changesTopic
	}
	inv, err := readRecord(q, r.Value)
	if err == nil {
		_, err = c.prepare(ctx, inv)
	}
	at := o.key(r)
	key := at
	switch {
	case err == nil:
		if q == runsTopic && inv.run != "" {
			key = "run " + inv.run
		}
	case errors.Is(err, errNotForAgent):
		return nil
	case errors.Is(err, errMalformed):
		c.metrics.count(q, resultMalformed)
		c.Log.ErrorContext(ctx, "a message cannot be understood and is passed over", "record", at, "err", err)
		return nil
	default:
		c.leave(ctx, inv, err)
		if !errors.Is(err, errUnsigned) || !inv.node {
			return nil
		} // a node would wait for ever: its failure is reported
	}
	n := note{Queue: q, Raw: r.Value, Run: inv.run, Node: inv.node, Since: time.Now()}
	return c.pool.add(key, inv.lane, func(ctx context.Context) {
		if o.revoked() {
			o.given.Store(true)
			return
		}
		if c.ledger.hasEnded(key) {
			c.Log.InfoContext(ctx, "a message that was dealt with came again", "record", at, "run", inv.run)
			return
		}
		if known, ok := c.ledger.get(key); ok {
			n = known
		}
		c.execute(ctx, key, n)
	})
}

// Farewell to the group.
const leaveWait = 3 * time.Second

// quit commits what is left and gives the partitions to other agents at once.
func (c *consumer) quit(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWait)
	defer cancel()
	c.commit(ctx)
	_ = c.client.LeaveGroupContext(ctx) // it is forgotten soon anyway
	c.client.CloseAllowingRebalance()
	// Closing polls what was still buffered, which counts as a poll under way: what
	// leaves the group in the background would wait for its end for ever.
	c.client.AllowRebalance()
}
