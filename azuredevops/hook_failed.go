package azuredevops

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

// A FailedEvent is an event that Azure DevOps could not deliver.
type FailedEvent struct {
	Organization   string
	SubscriptionID string
	EventID        string
	Event          string
	Created        time.Time // when it was to be delivered
	// Body is what would have been delivered; read-only.
	Body []byte
}

// FailedEvents are the events that Azure DevOps could not deliver, oldest first,
// each once. Gaps are for those that it cannot show (any more): their kinds have
// to be listed again.
type FailedEvents struct {
	Events []FailedEvent
	Gaps   []HookGap
}

// FailedNotifications asks for the events of our subscriptions that were not
// delivered since a time, and a little before. What was dropped while a
// subscription was off is not among them: Reconcile tells of that. A host that
// does not answer gives an error that is joined with the others' and leaves the
// result usable.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/notifications/query
func (h *Hooks) FailedNotifications(ctx context.Context, since time.Time) (*FailedEvents, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return &FailedEvents{}, err
	}
	defer unlock()
	l := h.lister()
	list, err := h.listing(ctx, l)
	if err != nil {
		return &FailedEvents{}, err
	}
	f := &failedSearch{h: h, l: l, since: since.Add(-failedMargin), subs: map[string]*Subscription{}, seen: map[string]bool{}, out: &FailedEvents{}}
	byHost := map[service][]string{}
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
	for _, host := range services() {
		errs = append(errs, f.host(ctx, host, byHost[host]))
	}
	slices.SortStableFunc(f.out.Events, func(a, b FailedEvent) int { return a.Created.Compare(b.Created) })
	return f.out, errors.Join(errs...)
}

// A failedSearch is one FailedNotifications.
type failedSearch struct {
	h     *Hooks
	l     *lister
	since time.Time
	subs  map[string]*Subscription
	seen  map[string]bool // events
	gaps  map[hookKey]bool
	bytes int
	out   *FailedEvents
}

// host collects what failed on a host.
func (f *failedSearch) host(ctx context.Context, host service, ids []string) error {
	counts, err := f.h.failureCounts(ctx, f.l, host, ids, f.since)
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
func (f *failedSearch) chunk(ctx context.Context, host service, ids []string) error {
	known := map[string]bool{}
	q := notificationsQuery{
		SubscriptionIDs: ids, ResultType: "failed", IncludeDetails: true,
		MaxResults: detailPage, MaxResultsPerSubscription: detailPage, MinCreatedDate: hookTime(f.since),
	}
	for {
		page, err := f.h.queryNotifications(ctx, f.l, host, q)
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
		q.MaxCreatedDate = hookTime(oldest)
	}
	for _, id := range ids {
		f.gap(f.subs[id])
	}
	return nil
}

// take keeps the event of a notification.
func (f *failedSearch) take(ctx context.Context, host service, n notification) error {
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
	if n.body == nil || len(f.out.Events) >= maxFailedEvents || f.bytes+len(n.body) > maxFailedBytes {
		f.gap(s)
		return nil
	}
	f.seen[once] = true
	f.bytes += len(n.body)
	f.out.Events = append(f.out.Events, FailedEvent{
		Organization: f.h.c.Organization(), SubscriptionID: s.ID, EventID: n.event, Event: s.Event, Created: n.created, Body: n.body,
	})
	return nil
}

// fetch asks for a notification alone: a list may lack the events.
func (f *failedSearch) fetch(ctx context.Context, host service, n *notification) error {
	b, err := f.l.object(ctx, &request{
		Host: host, Route: hooksRoute + "/{subscriptionId}/notifications/{notificationId}", Args: []string{n.subscription, n.id},
		Version: hookVersion(host),
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil // the history has dropped it
	case err != nil:
		return err
	}
	n.body = parseNotification(b).body
	return nil
}

// gap notes that events of a subscription cannot be shown.
func (f *failedSearch) gap(s *Subscription) {
	if s == nil || f.gaps[s.key()] {
		return
	}
	if f.gaps == nil {
		f.gaps = map[hookKey]bool{}
	}
	f.gaps[s.key()] = true
	gap := f.h.gapOf(s.key(), "", "undelivered", f.since)
	gap.Until = time.Now().UTC().Round(0)
	f.out.Gaps = append(f.out.Gaps, *gap)
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

func hookTime(t time.Time) string {
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
func (h *Hooks) queryNotifications(ctx context.Context, l *lister, host service, q notificationsQuery) (*notificationsPage, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	b, err := l.object(ctx, &request{Host: host, Route: "_apis/hooks/notificationsquery", Version: hookVersion(host), Body: body})
	if err != nil {
		return nil, err
	}
	return parseNotifications(b)
}

// failureCounts are the numbers of failures by subscription, without bodies. A
// service that gives no summary makes every subscription one to look at.
func (h *Hooks) failureCounts(ctx context.Context, l *lister, host service, ids []string, since time.Time) (map[string]int, error) {
	out := map[string]int{}
	for chunk := range slices.Chunk(ids, summaryChunk) {
		page, err := h.queryNotifications(ctx, l, host, notificationsQuery{
			SubscriptionIDs: chunk, ResultType: "failed", MaxResultsPerSubscription: 1, MinCreatedDate: hookTime(since),
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
	page := &notificationsPage{}
	if summary := rawjson.Array(b, "summary"); summary != nil {
		page.failed = map[string]int{}
		for obj := range rawjson.Elements(summary) {
			id := strings.ToLower(gjson.GetBytes(obj, "subscriptionId").String())
			for _, r := range gjson.GetBytes(obj, "results").Array() {
				if r.Get("result").String() == "failed" {
					page.failed[id] += int(r.Get("notificationCount").Int())
				}
			}
		}
	}
	if page.failed == nil && !rawjson.Has(b, "results") {
		return nil, fmt.Errorf("%w: neither notifications nor a summary", ErrMalformed)
	}
	for obj := range rawjson.Objects(b, "results") {
		page.results = append(page.results, parseNotification(obj))
	}
	return page, nil
}

// parseNotification reads one notification.
func parseNotification(obj []byte) notification {
	n := notification{
		id: rawjson.Text(obj, "id"), subscription: strings.ToLower(rawjson.Text(obj, "subscriptionId")), event: rawjson.Text(obj, "eventId"),
		result: rawjson.Text(obj, "result"), created: timeAt(obj, "createdDate"),
	}
	details := rawjson.Raw(obj, "details")
	if len(details) == 0 || details[0] != '{' {
		return n
	}
	n.failure = firstLine(cmp.Or(rawjson.Text(details, "errorMessage"), rawjson.Text(details, "response")))
	event := rawjson.Raw(details, "event")
	if len(event) == 0 || event[0] != '{' {
		return n
	}
	if n.event == "" {
		n.event = rawjson.Text(event, "id")
	}
	if resource := rawjson.Raw(event, "resource"); len(resource) > 0 && resource[0] == '{' {
		added := rawjson.Members{}.Text("subscriptionId", n.subscription)
		if _, err := strconv.ParseInt(n.id, 10, 64); err == nil {
			added = added.Raw("notificationId", []byte(n.id))
		}
		n.body = rawjson.With(event, added)
	}
	return n
}
