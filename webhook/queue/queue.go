// Package queue reads the events that Azure DevOps puts into an Azure Storage queue,
// for services that have no public address. Each message takes the way of a delivery
// that was posted, and is deleted from the queue when it is durable here.
//
// A message that is read is hidden from other readers for a while. If this process
// dies before it deletes it, it comes back; whoever handles deliveries recognizes
// copies, or does the same again.
package queue

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Config is what a Queue needs.
type Config struct {
	URL     string // of the queue
	Account string // that has it
	// Key of the account, never shown. Empty: the process proves who it is by its
	// identity (environment, workload identity, managed identity).
	Key       string
	Into      Receiver          // of messages
	Transport http.RoundTripper // to the storage account; nil: the usual one
	Registry  *prometheus.Registry
	Log       *slog.Logger // nil: nothing is logged
}

// A Receiver stores deliveries; *webhook.Server is one.
type Receiver interface {
	// Accept returns nil when a delivery is durable, and an error that wraps
	// webhook.ErrNoDelivery when it never will be.
	Accept(ctx context.Context, body []byte) error
	// Bury keeps what is no delivery as a dead letter.
	Bury(ctx context.Context, id, reason string, body []byte) error
}

// Connections is the most that a Transport has to keep open.
const Connections = mostHands + readers

const (
	batch = 32 // the most that the service gives at once
	// readers read at the same time while there is more than a batch.
	readers = 2
	// hidden is how long a message that was read is hidden from others. It has to be
	// longer than storing and deleting take; after a crash the message is late by that
	// much.
	hidden = 15 * time.Second

	// While nothing comes the queue is asked less and less often.
	shortestPause = 250 * time.Millisecond
	longestPause  = time.Second

	deleteWithin = 10 * time.Second // shorter than hidden

	// While the queue cannot be read it is tried again after such times.
	firstRetry, lastRetry = time.Second, 30 * time.Second
	// While deliveries cannot be stored, that is tried again after such times.
	firstWait, lastWait = 250 * time.Millisecond, 5 * time.Second
)

// A Queue is read by one process. A nil one has nothing.
type Queue struct {
	cfg     Config
	client  *azqueue.QueueClient
	metrics *metrics
	book    *book

	mu      sync.Mutex
	kept    map[string]time.Time // messages that are durable here and could not be deleted, and when that was tried
	refused error                // of a deletion in the background
	away    string               // why the queue cannot be read, as it was said; empty: it can
	stuck   bool                 // that deliveries cannot be stored has been said
}

// New makes what reads a queue; nil without a URL. It dials nothing.
func New(cfg Config) (*Queue, error) {
	if cfg.URL == "" {
		return nil, nil //nolint:nilnil // none is a good answer
	}
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	client, err := newClient(&cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Key == "" {
		cfg.Log.Warn(keyVariable + " is not set: the queue is read with the identity of the process, and no subscription can be made that puts events into it")
	}
	b := &book{status: Status{Activity: ActivityNone, State: StateNotAsked}}
	q := &Queue{cfg: cfg, client: client, kept: map[string]time.Time{}, metrics: newMetrics(b), book: b}
	return q, q.metrics.register(cfg.Registry)
}

// Run reads until ctx is done.
func (q *Queue) Run(ctx context.Context) {
	if q == nil {
		return
	}
	defer q.book.ends()
	pause, retry := shortestPause, firstRetry
	for ctx.Err() == nil {
		q.book.does(ActivityReading)
		n, err := q.read(ctx)
		q.tell(ctx, err)
		switch {
		case err != nil:
			q.book.does(ActivityRetrying)
			sleep(ctx, retry)
			retry = min(2*retry, lastRetry)
			continue
		case n == 0:
			q.book.does(ActivityWaiting)
			sleep(ctx, pause)
			pause = min(pause*5/4, longestPause)
		default:
			pause = shortestPause
		}
		retry = firstRetry
	}
}

// mostFailures in a row end a Drain.
const mostFailures = 5

// Drain reads until there is nothing more to read. What another process reads just
// now, or had when it died, is not waited for: it stays in the queue.
func (q *Queue) Drain(ctx context.Context) error {
	if q == nil {
		return nil
	}
	q.book.does(ActivityReading)
	defer q.book.ends()
	for failures, empty := 0, 0; empty < 2; {
		n, err := q.read(ctx)
		q.tell(ctx, err)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			if failures++; failures == mostFailures {
				return err
			}
			sleep(ctx, firstRetry)
		case n == 0:
			empty++
			sleep(ctx, shortestPause)
		default:
			failures, empty = 0, 0
		}
	}
	return nil
}

// read reads a batch, and what follows with several readers when it is full, until there
// is no more. It returns how many messages the first batch had.
func (q *Queue) read(ctx context.Context) (int, error) {
	h := newHands()
	n, err := q.round(ctx, h)
	h.wait()
	if err = cmp.Or(err, q.refusal()); err != nil || n < batch {
		return n, err
	}
	q.tell(ctx, nil)
	var all errgroup.Group
	for range readers {
		all.Go(func() error {
			for {
				if n, err := q.round(ctx, h); err != nil || n < batch {
					return err
				}
			}
		})
	}
	err = all.Wait()
	h.wait()
	return n, cmp.Or(err, q.refusal())
}

// round reads one batch, stores it and has it deleted from the queue, and returns how many
// messages there were. It waits for as long as deliveries cannot be stored, or nobody has a
// hand free: nothing more is read then.
func (q *Queue) round(ctx context.Context, h *hands) (int, error) {
	messages, err := q.receive(ctx)
	if err != nil {
		return 0, err
	}
	q.book.hasRead()
	errs := make([]error, len(messages))
	var keep sync.WaitGroup
	for i, m := range messages {
		keep.Go(func() { errs[i] = q.keep(ctx, m) }) // all at once: they share commits of the spool
	}
	keep.Wait()
	for i, m := range messages {
		if errs[i] == nil {
			h.do(func() bool { return q.remove(ctx, m) })
		}
	}
	return len(messages), cmp.Or(cmp.Or(errs...), q.refusal()) // the others fail for the same reason
}

// refusal is the error of a deletion since the last call.
func (q *Queue) refusal() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	err := q.refused
	q.refused = nil
	return err
}

// receive reads a batch. A queue that is missing is made, and has nothing.
func (q *Queue) receive(ctx context.Context) ([]*azqueue.DequeuedMessage, error) {
	r, err := q.client.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{
		NumberOfMessages: new(int32(batch)), VisibilityTimeout: new(int32(hidden / time.Second)),
	})
	if missing(err) {
		return nil, q.create(ctx)
	}
	if err != nil {
		return nil, explain(err)
	}
	return r.Messages, nil
}

func (q *Queue) create(ctx context.Context) error {
	if _, err := q.client.Create(ctx, nil); err != nil {
		return explain(err)
	}
	q.cfg.Log.InfoContext(ctx, "the storage queue was missing and has been made", "queue", q.cfg.URL)
	return nil
}

// remove deletes a message that is durable here. If that fails it comes again, and is
// only deleted.
func (q *Queue) remove(ctx context.Context, m *azqueue.DequeuedMessage) (ok bool) {
	// It is deleted also when the process is about to end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteWithin)
	defer cancel()
	err := q.erase(ctx, *m.MessageID, *m.PopReceipt)
	q.removed(*m.MessageID, err)
	return err == nil
}

// erase deletes a message. Without an id all messages of the queue would be meant:
// https://learn.microsoft.com/rest/api/storageservices/clear-messages
func (q *Queue) erase(ctx context.Context, id, receipt string) error {
	if id == "" || receipt == "" {
		return errMalformed
	}
	_, err := q.client.DeleteMessage(ctx, id, receipt, nil)
	return err
}

// keep has a message stored, however long that takes, unless it is already. The error
// is that of ctx, or of a message without its parts.
func (q *Queue) keep(ctx context.Context, m *azqueue.DequeuedMessage) error {
	if m.MessageID == nil || *m.MessageID == "" || m.PopReceipt == nil || *m.PopReceipt == "" || m.MessageText == nil {
		return errMalformed
	}
	if q.isKept(*m.MessageID) {
		return nil
	}
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		result, err := q.store(ctx, m)
		if err == nil {
			q.unstick(ctx)
			q.metrics.messages.WithLabelValues(result).Inc()
			q.book.counts(result)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if wait > firstWait { // once is no news: the service begins
			q.stick(ctx, err)
		}
		sleep(ctx, wait)
	}
}

const (
	// mostKept bounds what is remembered of messages that could not be deleted.
	mostKept = 10_000
	// cameBack is when a message that could not be deleted has come again. One that has
	// not was deleted, and only the answer was lost. If it waits behind many others all
	// the same, it is stored once more and recognized as a copy.
	cameBack = 2 * hidden
)

func (q *Queue) isKept(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.kept[id].IsZero()
}

// removed notes what came of a deletion.
func (q *Queue) removed(id string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.kept, id)
	if err == nil || gone(err) {
		return
	}
	if len(q.kept) < mostKept {
		q.kept[id] = time.Now()
	}
	if !late(err) {
		q.refused = explain(err)
	}
}

// tell says once that the queue cannot be read, and why, and once that it can again.
func (q *Queue) tell(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	text := ""
	if err != nil {
		text = err.Error()
		q.metrics.failures.Inc()
	}
	q.mu.Lock()
	before := q.away
	if err == nil {
		maps.DeleteFunc(q.kept, func(_ string, tried time.Time) bool { return time.Since(tried) > cameBack })
		if len(q.kept) > 0 {
			text = before // deletions fail, whenever they are tried
		}
	}
	q.away = text
	q.mu.Unlock()
	q.book.reaches(text == "", err)
	switch {
	case err != nil && before == "":
		q.cfg.Log.WarnContext(ctx, "the storage queue cannot be read; trying again", "queue", q.cfg.URL, "err", err)
	case text == "" && before != "":
		q.cfg.Log.InfoContext(ctx, "the storage queue is read again", "queue", q.cfg.URL)
	}
}

// stick says once that nothing more is read until deliveries can be stored.
func (q *Queue) stick(ctx context.Context, err error) {
	q.mu.Lock()
	said := q.stuck
	q.stuck = true
	q.book.holds(err.Error())
	q.mu.Unlock()
	if !said {
		q.cfg.Log.WarnContext(ctx, "events stay in the storage queue until they can be stored here", "err", err)
	}
}

func (q *Queue) unstick(ctx context.Context) {
	q.mu.Lock()
	said := q.stuck
	q.stuck = false
	q.book.holds("")
	q.mu.Unlock()
	if said {
		q.cfg.Log.InfoContext(ctx, "events of the storage queue are stored again")
	}
}

// sleep waits, for no longer than ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
