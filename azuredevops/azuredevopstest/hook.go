package azuredevopstest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Values of Subscription.Status.
const (
	statusEnabled   = "enabled"
	statusProbation = "onProbation"
	statusDisabled  = "disabledBySystem"
)

// A Subscription is a service hook: events of one type that are posted to a URL, or put
// into a queue.
// Clients make them through the API, as with the service.
type Subscription struct {
	ID              string
	Status          string // enabled, onProbation, disabledBySystem or disabledByUser
	Publisher       string
	Event           string // type
	ResourceVersion string
	Consumer        string // webHooks or azureStorageQueue
	Action          string // httpRequest or enqueue
	PublisherInputs map[string]string
	ConsumerInputs  map[string]string
	Created         time.Time
	Modified        time.Time
	Probed          time.Time // last delivery on probation
}

func (s Subscription) delivers() bool {
	return s.Status == statusEnabled || s.Status == statusProbation
}

// wants tells whether the subscription is to events like this one. Inputs that
// are empty, or that the service adds by itself, do not narrow it.
func (s Subscription) wants(e Event) bool {
	if !s.delivers() || s.Publisher != e.Publisher || s.Event != e.Type {
		return false
	}
	for name, want := range s.PublisherInputs {
		got := e.Filters[name]
		match := strings.EqualFold(got, want)
		switch name {
		case "hostId", "tfsSubscriptionId", "linksChanged":
			continue
		case "projectId":
			match = strings.EqualFold(e.Project, want)
		case "branch":
			match = fullRef(got) == fullRef(want)
		case "areaPath": // and what is below
			match = match || strings.HasPrefix(strings.ToLower(got), strings.ToLower(want)+`\`)
		}
		if want != "" && !match {
			return false
		}
	}
	return true
}

// A Delivery is an event on its way to a subscription.
type Delivery struct {
	Subscription string // id
	Event        Event
}

// A Fate is what becomes of a delivery.
type Fate int

// The fates of a delivery.
const (
	Sent   Fate = iota // posted, and again when the consumer is busy or away
	Lost               // vanishes: no notification tells of it
	Failed             // as if the consumer could not be reached: only a notification tells of it
	Twice              // posted two times
)

// A Notification is what the service remembers of a delivery.
type Notification struct {
	Delivery

	ID       int // counts those of the subscription
	Result   string
	Attempts int
	Status   int    // the last answer's; 0 when there was none
	Problem  string // why it failed
	Created  time.Time
	Modified time.Time
}

// hooks are the subscriptions of an organization and what is on its way.
type hooks struct {
	world   *World
	retry   time.Duration
	client  *http.Client
	enqueue func(account, queue string, body []byte) // nil: no queues
	ctx     context.Context                          // ends with Close
	cancel  context.CancelFunc
	leave   func() // the world
	group   sync.WaitGroup

	mu      sync.Mutex // guards what follows
	serial  int
	all     []*hook
	decide  func(context.Context, Delivery) Fate
	pending int
	settled chan struct{} // closed when nothing is pending (any more)
	made    chan struct{} // closed when a subscription is made or replaced
	denied  int           // permissions that are taken away, see DenyHooks
}

// A hook is a subscription with its queue and its history.
type hook struct {
	Subscription

	serial   int
	failures int // notifications in a row
	queue    []*Notification
	working  bool
	gone     bool
	history  []*Notification
}

const (
	hookQueue   = 1000 // deliveries that wait for one subscription
	hookHistory = 1000 // notifications that one subscription remembers
)

func newHooks(w *World, o Options) *hooks {
	h := &hooks{world: w, retry: o.HookRetry, enqueue: o.Enqueue, settled: make(chan struct{}), made: make(chan struct{})}
	close(h.settled)
	if h.retry == 0 {
		h.retry = time.Second
	}
	h.client = &http.Client{
		Transport:     o.HookTransport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if o.HookTransport == nil {
		h.client.Transport = &http.Transport{DisableKeepAlives: true}
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.leave = w.Subscribe(h.announce)
	return h
}

// close ends all deliveries and waits for that.
func (h *hooks) close() {
	h.leave()
	h.mu.Lock()
	h.cancel()
	h.mu.Unlock()
	h.group.Wait()
}

// announce queues an event for every subscription that wants it.
func (h *hooks) announce(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return
	}
	for _, x := range h.all {
		if !x.wants(e) {
			continue
		}
		x.serial++
		n := &Notification{Delivery: Delivery{x.ID, e}, ID: x.serial, Created: h.world.now()}
		if len(x.queue) == hookQueue {
			n.Problem = "Too many deliveries wait."
			h.note(x, n, false)
			continue
		}
		if h.pending++; h.pending == 1 {
			h.settled = make(chan struct{})
		}
		x.queue = append(x.queue, n)
		if !x.working {
			x.working = true
			h.group.Go(func() { h.work(x) })
		}
	}
}

// answered ends n deliveries. The caller holds the lock.
func (h *hooks) answered(n int) {
	if n == 0 {
		return
	}
	if h.pending -= n; h.pending == 0 {
		close(h.settled)
	}
}

func (h *hooks) find(id string) *hook {
	i := slices.IndexFunc(h.all, func(x *hook) bool { return strings.EqualFold(x.ID, id) })
	if i < 0 {
		return nil
	}
	return h.all[i]
}

// Deliver decides what becomes of deliveries from now on; nil sends them all.
// The function is called before a delivery is posted, for the deliveries of a
// subscription one after the other, and may wait to delay them. Its context ends
// with the server.
func (s *Server) Deliver(decide func(ctx context.Context, d Delivery) Fate) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.decide = decide
}

// Once is a decision for [Server.Deliver]: the next delivery of an event type
// ("" for any) has this fate, all others are sent.
func Once(eventType string, fate Fate) func(context.Context, Delivery) Fate {
	var mu sync.Mutex
	return func(_ context.Context, d Delivery) Fate {
		mu.Lock()
		defer mu.Unlock()
		if fate == Sent || eventType != "" && d.Event.Type != eventType {
			return Sent
		}
		now := fate
		fate = Sent
		return now
	}
}

// Held is a decision for [Server.Deliver]: deliveries wait until the channel is
// closed.
func Held(release <-chan struct{}) func(context.Context, Delivery) Fate {
	return func(ctx context.Context, _ Delivery) Fate {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return Sent
	}
}

// Settled waits until every event that has happened so far is delivered: the
// consumer has answered, or the service has given up. Deliveries that are held
// are waited for.
func (s *Server) Settled(ctx context.Context) error {
	s.hooks.mu.Lock()
	settled := s.hooks.settled
	s.hooks.mu.Unlock()
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.hooks.ctx.Done():
		return errors.New("azuredevopstest: the server is closed")
	}
}

// Subscribed waits until there is a working subscription to each of the events.
func (s *Server) Subscribed(ctx context.Context, events ...string) error {
	for {
		s.hooks.mu.Lock()
		made := s.hooks.made
		s.hooks.mu.Unlock()
		missing := slices.DeleteFunc(slices.Clone(events), func(event string) bool {
			return slices.ContainsFunc(s.Subscriptions(), func(x Subscription) bool { return x.Event == event && x.Status == statusEnabled })
		})
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-made:
		case <-ctx.Done():
			return fmt.Errorf("no subscription to %s: %w", strings.Join(missing, ", "), ctx.Err())
		}
	}
}

// Subscriptions are those that there are, the oldest first.
func (s *Server) Subscriptions() []Subscription {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	var out []Subscription
	for _, x := range s.hooks.all {
		c := x.Subscription
		c.PublisherInputs, c.ConsumerInputs = maps.Clone(x.PublisherInputs), maps.Clone(x.ConsumerInputs)
		out = append(out, c)
	}
	return out
}

// SetSubscriptionStatus switches a subscription on or off, as a person or the
// service does.
func (s *Server) SetSubscriptionStatus(id, status string) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	if x := s.hooks.find(id); x != nil {
		x.Status, x.failures = status, 0
	}
}

// Notifications are the finished deliveries of all subscriptions that there
// are, those of a subscription in their order.
func (s *Server) Notifications() []Notification {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	var out []Notification
	for _, x := range s.hooks.all {
		for _, n := range x.history {
			out = append(out, *n)
		}
	}
	return out
}
