package agent

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A partition is one of a topic.
type partition struct {
	topic  string
	number int32
}

// offsets know, of each partition that this process reads, up to where everything has
// been dealt with: only that is committed.
type offsets struct {
	lock       sync.Mutex
	partitions map[partition]*progress
	changed    chan struct{} // there is something to commit
}

// progress is that of one partition.
type progress struct {
	partition
	gone    atomic.Bool // another process reads it now
	pending []*offset   // in their order
	next    int64       // everything before it has been dealt with
	epoch   int32
	dirty   bool  // next is to be committed
	high    int64 // the end of the partition
}

// An offset is a record under way.
type offset struct {
	of     *progress
	number int64
	epoch  int32
	done   bool
	given  atomic.Bool // left to the process that has the partition now
}

func (o *offset) revoked() bool { return o.of.gone.Load() }

// key names a record. The time tells it from one of a topic that was made anew.
func (*offset) key(r *kgo.Record) string {
	return fmt.Sprintf("record %s/%d/%d@%d", r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli())
}

// begin notes a record; nil when its partition has gone.
func (s *offsets) begin(r *kgo.Record) *offset {
	s.lock.Lock()
	defer s.lock.Unlock()
	p := s.partitions[partition{r.Topic, r.Partition}]
	if p == nil {
		return nil
	}
	o := &offset{of: p, number: r.Offset, epoch: r.LeaderEpoch}
	p.pending = append(p.pending, o)
	return o
}

// finish notes that a record has been dealt with.
func (s *offsets) finish(o *offset) {
	s.lock.Lock()
	defer s.lock.Unlock()
	o.done = true
	p := o.of
	for len(p.pending) > 0 && p.pending[0].done {
		p.next, p.epoch, p.dirty = p.pending[0].number+1, p.pending[0].epoch, true
		p.pending = p.pending[1:]
	}
	if p.dirty {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
}

// seen notes the end of a partition.
func (s *offsets) seen(at partition, high int64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if p := s.partitions[at]; p != nil && high > 0 {
		p.high = high
	}
}

// show sets the lag of each partition.
func (s *offsets) show(m *metrics) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for at, p := range s.partitions {
		behind := int64(len(p.pending))
		if p.next > 0 {
			behind = max(behind, p.high-p.next)
		}
		m.lag.WithLabelValues(at.topic, strconv.Itoa(int(at.number))).Set(float64(behind))
	}
}

// toCommit returns what has been dealt with since the last time.
func (s *offsets) toCommit() map[string]map[int32]kgo.EpochOffset {
	s.lock.Lock()
	defer s.lock.Unlock()
	out := map[string]map[int32]kgo.EpochOffset{}
	for at, p := range s.partitions {
		if !p.dirty {
			continue
		}
		if p.dirty = false; out[at.topic] == nil {
			out[at.topic] = map[int32]kgo.EpochOffset{}
		}
		out[at.topic][at.number] = kgo.EpochOffset{Epoch: p.epoch, Offset: p.next}
	}
	return out
}

// again makes everything one that is to be committed.
func (s *offsets) again(what map[string]map[int32]kgo.EpochOffset) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for at, p := range s.partitions {
		if _, ok := what[at.topic][at.number]; ok {
			p.dirty = true
		}
	}
}

const (
	commitWait  = 10 * time.Second
	commitRetry = time.Second
)

// committing commits what has been dealt with, until ctx is done.
func (c *consumer) committing(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
			if !c.commit(ctx) {
				_ = pause(ctx, commitRetry)
			}
			c.show(c.metrics)
		}
	}
}

// commit commits once.
func (c *consumer) commit(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitWait)
	defer cancel()
	what := c.toCommit()
	if len(what) == 0 {
		return true
	}
	var failed error
	c.client.CommitOffsetsSync(ctx, what, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		failed = err
		if err == nil {
			failed = refusedCommit(answer)
		}
	})
	if failed != nil {
		c.Log.WarnContext(ctx, "what was read could not be committed: it is tried again, and may come again", "err", failed)
		c.again(what)
		select {
		case c.changed <- struct{}{}:
		default:
		}
		return false
	}
	return true
}

// refusedCommit is why a partition was not committed. What is somebody else's by now
// is of no interest.
func refusedCommit(answer *kmsg.OffsetCommitResponse) error {
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil && kerr.IsRetriable(err) {
				return err
			}
		}
	}
	return nil
}

// assigned takes over partitions. Without one the agent stands by until another ends.
func (c *consumer) assigned(ctx context.Context, _ *kgo.Client, added map[string][]int32) {
	c.lock.Lock()
	for topic, numbers := range added {
		for _, n := range numbers {
			at := partition{topic, n}
			c.partitions[at] = &progress{partition: at}
		}
	}
	held := len(c.partitions)
	c.lock.Unlock()
	if held == 0 {
		c.Log.WarnContext(ctx, "other agents of the group have all partitions: this one stands by", "group", c.Config.GroupID)
		return
	}
	c.Log.InfoContext(ctx, "the topics are read", "partitions", held)
}

// revokeWait bounds the wait for calls under way when a partition goes to another
// process: longer, and the group would go on without this one.
const revokeWait = 20 * time.Second

// revoked gives partitions away. What waits is left to the next reader, and what is
// being executed is finished first.
func (c *consumer) revoked(ctx context.Context, _ *kgo.Client, taken map[string][]int32) {
	going := c.give(taken)
	end := time.Now().Add(min(revokeWait, time.Duration(c.Config.SessionTimeoutMS)*time.Millisecond/2))
	for c.executing(going) && time.Now().Before(end) && ctx.Err() == nil {
		_ = pause(ctx, 50*time.Millisecond)
	}
	c.commit(ctx)
	c.remove(going)
}

// lost forgets partitions that somebody else has already.
func (c *consumer) lost(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
	c.remove(c.give(taken))
}

func (s *offsets) give(taken map[string][]int32) []*progress {
	s.lock.Lock()
	defer s.lock.Unlock()
	var out []*progress
	for topic, numbers := range taken {
		for _, n := range numbers {
			if p := s.partitions[partition{topic, n}]; p != nil {
				p.gone.Store(true)
				out = append(out, p)
			}
		}
	}
	return out
}

// executing says that a record of these partitions is under way.
func (s *offsets) executing(of []*progress) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, p := range of {
		for _, o := range p.pending {
			if !o.done && !o.given.Load() {
				return true
			}
		}
	}
	return false
}

func (s *offsets) remove(of []*progress) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, p := range of {
		delete(s.partitions, p.partition)
	}
}
