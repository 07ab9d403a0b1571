package hooks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

const (
	summaryChunk = 200 // subscriptions in a query for counts
	detailChunk  = 20  // and in one for bodies
	detailPage   = 200 // notifications in an answer
	// More than that is cheaper to list again.
	maxFailedEvents = 5000
	maxFailedBytes  = 32 << 20
	// A delivery that failed may be that much older than one that came through.
	failedMargin = 10 * time.Minute
)

// failedEvents are the events that Azure DevOps could not deliver, oldest first,
// each once. Gaps are for those that it cannot show (any more): their kinds have
// to be listed again.
type failedEvents struct {
	bodies [][]byte // of deliveries; read-only
	gaps   []Gap
}

// failedNotifications asks for the events of our subscriptions that were not
// delivered since a time, and a little before. What was dropped while a
// subscription was off is not among them: reconcile tells of that. A host that
// does not answer gives an error that is joined with the others' and leaves the
// result usable.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/notifications/query
func (h *organization) failedNotifications(ctx context.Context, since time.Time) (*failedEvents, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return &failedEvents{}, err
	}
	defer unlock()
	ask := h.asks()
	list, err := h.listing(ctx, ask)
	if err != nil {
		return &failedEvents{}, err
	}
	f := &failedSearch{h: h, ask: ask, since: since.Add(-failedMargin), subs: map[string]*Subscription{}, seen: map[string]bool{}, out: &failedEvents{}}
	byHost := map[rest.Service][]string{}
	old := h.oldURLs(false)
	for _, s := range list.all {
		if h.ours(s, old) {
			f.subs[s.ID] = s
			byHost[home(s.Publisher)] = append(byHost[home(s.Publisher)], s.ID)
		}
	}
	var errs []error
	for publisher, err := range list.unknown {
		errs = append(errs, fmt.Errorf("subscriptions of %s: %w", publisher, err))
	}
	for _, host := range rest.Services() {
		errs = append(errs, f.host(ctx, host, byHost[host]))
	}
	slices.SortStableFunc(f.found, func(a, b notification) int { return a.created.Compare(b.created) })
	for _, n := range f.found {
		f.out.bodies = append(f.out.bodies, n.body)
	}
	return f.out, errors.Join(errs...)
}

// A failedSearch is one failedNotifications.
type failedSearch struct {
	h     *organization
	ask   rest.Sender
	since time.Time
	subs  map[string]*Subscription
	seen  map[string]bool // events
	found []notification
	gaps  map[topic]bool
	bytes int
	out   *failedEvents
}

// host collects what failed on a host.
func (f *failedSearch) host(ctx context.Context, host rest.Service, ids []string) error {
	counts, err := f.h.failureCounts(ctx, f.ask, host, ids, f.since)
	if err != nil {
		return err
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return counts[id] == 0 })
	for chunk := range slices.Chunk(ids, detailChunk) {
		if err := f.chunk(ctx, host, chunk); err != nil {
			return err
		}
	}
	return nil
}

// chunk pages through the failures of some subscriptions, backwards in time. A
// page that brings nothing new is the end, whatever the service promises; if
// there has to be more behind it, that is a gap.
func (f *failedSearch) chunk(ctx context.Context, host rest.Service, ids []string) error {
	known := map[string]bool{}
	q := notificationsQuery{
		SubscriptionIDs: ids, ResultType: "failed", IncludeDetails: true,
		MaxResults: detailPage, MaxResultsPerSubscription: detailPage, MinCreatedDate: timestamp(f.since),
	}
	for {
		page, err := f.h.queryNotifications(ctx, f.ask, host, q)
		if err != nil {
			return err
		}
		fresh, oldest := false, time.Time{}
		for _, n := range page.results {
			if key := n.subscription + " " + n.id; !known[key] {
				known[key], fresh = true, true
				if err := f.take(ctx, host, n); err != nil {
					return err
				}
			}
			if oldest.IsZero() || n.created.Before(oldest) {
				oldest = n.created
			}
		}
		if len(page.results) < detailPage || oldest.Before(f.since) {
			return nil
		}
		if !fresh {
			break
		}
		q.MaxCreatedDate = timestamp(oldest)
	}
	for _, id := range ids {
		f.gap(f.subs[id])
	}
	return nil
}

// take keeps the event of a notification.
func (f *failedSearch) take(ctx context.Context, host rest.Service, n notification) error {
	s := f.subs[n.subscription]
	if s == nil || n.result != "failed" || n.created.Before(f.since) {
		return nil
	}
	once := s.Event + " " + n.event
	if n.event != "" && f.seen[once] {
		return nil
	}
	if n.body == nil && n.id != "" {
		if err := f.fetch(ctx, host, &n); err != nil {
			return err
		}
	}
	if n.body == nil || len(f.found) >= maxFailedEvents || f.bytes+len(n.body) > maxFailedBytes {
		f.gap(s)
		return nil
	}
	f.seen[once] = true
	f.bytes += len(n.body)
	f.found = append(f.found, n)
	return nil
}

// fetch asks for a notification alone: a list may lack the events.
func (f *failedSearch) fetch(ctx context.Context, host rest.Service, n *notification) error {
	b, err := f.ask.Object(ctx, &rest.Request{
		Host: host, Route: subscriptionsRoute + "/{subscriptionId}/notifications/{notificationId}", Args: []string{n.subscription, n.id},
		Version: apiVersion(host),
	})
	switch {
	case errors.Is(err, rest.ErrNotFound):
		return nil // the history has dropped it
	case err != nil:
		return err
	}
	n.body = parseNotification(gjson.ParseBytes(b)).body
	return nil
}

// gap notes that events of a subscription cannot be shown.
func (f *failedSearch) gap(s *Subscription) {
	if s == nil || f.gaps[s.key()] {
		return
	}
	if f.gaps == nil {
		f.gaps = map[topic]bool{}
	}
	f.gaps[s.key()] = true
	gap := f.h.gapOf(s.key(), "", "undelivered", f.since)
	gap.Until = time.Now().UTC().Round(0)
	f.out.gaps = append(f.out.gaps, *gap)
}

// A notificationsQuery is the body of a query. Times are RFC 3339.
type notificationsQuery struct {
	SubscriptionIDs           []string `json:"subscriptionIds"`
	ResultType                string   `json:"resultType,omitempty"`
	IncludeDetails            bool     `json:"includeDetails"`
	MaxResults                int      `json:"maxResults,omitempty"`
	MaxResultsPerSubscription int      `json:"maxResultsPerSubscription,omitempty"`
	MinCreatedDate            string   `json:"minCreatedDate,omitempty"`
	MaxCreatedDate            string   `json:"maxCreatedDate,omitempty"`
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// A notification is an attempt to deliver an event, several tries included.
type notification struct {
	id, subscription, event, result string
	created                         time.Time
	failure                         string // first line of what went wrong
	body                            []byte // nil when the service does not show it
}

type notificationsPage struct {
	results []notification
	failed  map[string]int // by subscription; nil when the answer has no summary
}

// queryNotifications makes one query. The POST only reads.
func (h *organization) queryNotifications(ctx context.Context, ask rest.Sender, host rest.Service, q notificationsQuery) (*notificationsPage, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	b, err := ask.Object(ctx, &rest.Request{Host: host, Route: "_apis/hooks/notificationsquery", Version: apiVersion(host), Body: body})
	if err != nil {
		return nil, err
	}
	return parseNotifications(b)
}

// failureCounts are the numbers of failures by subscription, without bodies. A
// service that gives no summary makes every subscription one to look at.
func (h *organization) failureCounts(ctx context.Context, ask rest.Sender, host rest.Service, ids []string, since time.Time) (map[string]int, error) {
	out := map[string]int{}
	for chunk := range slices.Chunk(ids, summaryChunk) {
		page, err := h.queryNotifications(ctx, ask, host, notificationsQuery{
			SubscriptionIDs: chunk, ResultType: "failed", MaxResultsPerSubscription: 1, MinCreatedDate: timestamp(since),
		})
		if err != nil {
			return nil, err
		}
		for _, id := range chunk {
			switch {
			case page.failed == nil:
				out[id] = 1
			case page.failed[id] > 0:
				out[id] = page.failed[id]
			}
		}
	}
	return out, nil
}

// parseNotifications reads the answer to a query, which is a valid JSON object.
// The result shares no memory with b.
func parseNotifications(b []byte) (*notificationsPage, error) {
	answer := gjson.ParseBytes(b)
	page := &notificationsPage{}
	if summary := answer.Get("summary"); summary.IsArray() {
		if err := rest.CheckList(b, "summary", "subscriptionId"); err != nil {
			return nil, err
		}
		page.failed = map[string]int{}
		for _, of := range summary.Array() {
			if err := rest.CheckList([]byte(of.Raw), "results", "result"); err != nil {
				return nil, err
			}
			id := strings.ToLower(of.Get("subscriptionId").String())
			for _, r := range of.Get("results").Array() {
				if r.Get("result").String() == "failed" {
					page.failed[id] += int(r.Get("notificationCount").Int())
				}
			}
		}
	}
	results := answer.Get("results")
	if page.failed == nil && !results.Exists() {
		return nil, fmt.Errorf("%w: neither notifications nor a summary", rest.ErrMalformed)
	}
	if results.IsArray() {
		if err := rest.CheckList(b, "results", "id"); err != nil {
			return nil, err
		}
		for _, obj := range results.Array() {
			page.results = append(page.results, parseNotification(obj))
		}
	}
	return page, nil
}

// parseNotification reads one notification.
func parseNotification(obj gjson.Result) notification {
	event := obj.Get("details.event")
	return notification{
		id: obj.Get("id").String(), subscription: strings.ToLower(obj.Get("subscriptionId").String()),
		event:  cmp.Or(obj.Get("eventId").String(), event.Get("id").String()),
		result: obj.Get("result").String(), created: timeOf(obj.Get("createdDate").String()),
		failure: rest.FirstLine(cmp.Or(obj.Get("details.errorMessage").String(), obj.Get("details.response").String())),
		body:    delivery(event, obj.Get("subscriptionId"), obj.Get("id")),
	}
}

// delivery is the body that would have been delivered: an event, with the
// subscription and the notification that it was for. Nil for what is no event.
func delivery(event, subscription, notification gjson.Result) []byte {
	if !event.Get("resource").IsObject() {
		return nil
	}
	added := rawjson.Members{}.Text("subscriptionId", strings.ToLower(subscription.String()))
	if _, err := strconv.ParseInt(notification.String(), 10, 64); err == nil {
		added = added.Raw("notificationId", []byte(notification.String()))
	}
	return rawjson.With([]byte(event.Raw), added)
}
