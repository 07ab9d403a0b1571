package hooks

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

const subscriptionsRoute = "_apis/hooks/subscriptions"

// apiVersion is the api-version of a service's hooks.
func apiVersion(s rest.Service) string {
	if s == rest.AdvSec {
		return "7.2-preview.1"
	}
	return "7.1-preview.1"
}

// A listing is every subscription to web hooks and queues that Azure DevOps shows, in order.
// Publishers that could not be listed are unknown: nothing is created or removed
// for them.
type listing struct {
	all     []*Subscription
	seen    map[string]bool  // by id
	unknown map[string]error // by publisher
	lacking map[string]bool  // events that the service does not have; for a plan
}

// hosts are the services to ask for a publisher's subscriptions: its own and the
// organization's, which may show others. Where both are one host, as on Server, it
// is asked once.
func (h *organization) hosts(publisher string) []rest.Service {
	s := home(publisher)
	if h.c.SameHost(s, rest.Core) {
		return []rest.Service{s}
	}
	return []rest.Service{s, rest.Core}
}

// listing lists the subscriptions of every publisher. The error is ctx's or
// rest.ErrUnauthorized; any other is that of a publisher.
func (h *organization) listing(ctx context.Context, ask rest.Sender) (*listing, error) {
	out := &listing{unknown: map[string]error{}, seen: map[string]bool{}}
	for _, publisher := range publishers() {
		for _, host := range h.hosts(publisher) {
			for _, consumer := range h.consumers() {
				subs, err := h.list(ctx, ask, host, publisher, "", consumer)
				if host != rest.Core && refused(err) && !unknownPublisher(err) {
					subs, err = h.remembered(ctx, ask, publisher, consumer, err)
				}
				switch {
				case ctx.Err() != nil:
					return nil, ctx.Err()
				case errors.Is(err, rest.ErrUnauthorized):
					return nil, err
				case host != home(publisher) && refused(err):
					// that host has nothing to say of the publisher
				case err != nil:
					out.unknown[publisher] = errors.Join(out.unknown[publisher], err)
				default:
					out.add(subs)
				}
			}
		}
	}
	return out, nil
}

// add takes subscriptions that were not listed before.
func (l *listing) add(subs []*Subscription) {
	for _, s := range subs {
		if !l.seen[s.ID] {
			l.seen[s.ID] = true
			l.all = append(l.all, s)
		}
	}
}

// refused tells whether a host will not let its subscriptions be read.
func refused(err error) bool { return isRefusal(err) || statusOf(err) == http.StatusMethodNotAllowed }

// unknownPublisher tells whether a service says that it has nothing of a publisher.
func unknownPublisher(err error) bool {
	e, ok := errors.AsType[*rest.Error](err)
	return ok && strings.HasSuffix(e.TypeKey, "PublisherNotFoundException")
}

// remembered are the subscriptions of a publisher and consumer that this installation knows of,
// for a host that does not let them be listed: that must not keep its events from
// being subscribed to, nor have them subscribed to again each time. Each is asked
// for; where that is refused too, it is taken to be as it was made.
func (h *organization) remembered(ctx context.Context, ask rest.Sender, publisher, consumer string, refusal error) ([]*Subscription, error) {
	h.log.InfoContext(ctx, "subscriptions cannot be listed, so those that are remembered count", "publisher", publisher, "err", refusal)
	host := home(publisher)
	var out []*Subscription
	for id, e := range h.state.of(h.c.Organization()) {
		if eventTypes[e.Event].publisher != publisher || h.target(e.Queue).consumer != consumer {
			continue
		}
		b, err := ask.Object(ctx, &rest.Request{
			Host: host, Route: subscriptionsRoute + "/{subscriptionId}", Args: []string{id}, Version: apiVersion(host),
		})
		switch {
		case err == nil:
			out = append(out, parseSubscription(gjson.ParseBytes(b)))
		case errors.Is(err, rest.ErrNotFound) && !errors.Is(refusal, rest.ErrNotFound):
			// It is gone.
		case refused(err):
			out = append(out, h.asMade(id, e))
		default:
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b *Subscription) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// asMade is a subscription as we write it.
func (h *organization) asMade(id string, e entry) *Subscription {
	to := h.target(e.Queue)
	s := &Subscription{
		ID: id, Publisher: eventTypes[e.Event].publisher, Event: e.Event, Project: e.Project, Status: statusEnabled, URL: to.shown,
		version: eventTypes[e.Event].version, consumer: to.consumer, publisherInputs: map[string]string{}, consumerInputs: maps.Clone(to.inputs),
	}
	delete(s.consumerInputs, "basicAuthPassword")
	delete(s.consumerInputs, "accountKey")
	if e.Project != "" {
		s.publisherInputs["projectId"] = e.Project
	}
	return s
}

// lacking are the wanted events that the reference does not have, and the service
// neither.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/publishers/get-event-type
func (h *organization) lacking(ctx context.Context, ask rest.Sender, events []string, list *listing) map[string]bool {
	out := map[string]bool{}
	for _, name := range events {
		e := eventTypes[name]
		if !e.asked || slices.ContainsFunc(list.all, func(s *Subscription) bool { return s.Event == name }) {
			continue
		}
		host := home(e.publisher)
		b, err := ask.Object(ctx, &rest.Request{
			Host: host, Route: "_apis/hooks/publishers/{publisherId}/eventtypes/{eventTypeId}", Args: []string{e.publisher, name}, Version: apiVersion(host),
		})
		out[name] = err != nil || !strings.EqualFold(gjson.GetBytes(b, "id").String(), name)
	}
	return out
}

// list lists the subscriptions of a publisher and a consumer, and of an event if one is
// given, that a host shows. Without the filters the list of a big organization has 13 MB.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions/list
func (h *organization) list(ctx context.Context, ask rest.Sender, host rest.Service, publisher, event, through string) ([]*Subscription, error) {
	consumer, action, _ := strings.Cut(through, "/")
	var out []*Subscription
	for p, err := range ask.Pages(ctx, &rest.Request{
		Host: host, Route: subscriptionsRoute, Version: apiVersion(host),
		Query: []string{"publisherId", publisher, "eventType", event, "consumerId", consumer, "consumerActionId", action},
	}, "value") {
		if err != nil {
			return nil, err
		}
		subs := parseSubscriptions(p.Body)
		p.Free()
		for _, s := range subs {
			if s.Publisher == publisher && s.consumer == through && (event == "" || s.Event == event) {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

// parseSubscriptions reads a list. Null inputs are left out. The result shares no
// memory with b, which is a list.
func parseSubscriptions(b []byte) (out []*Subscription) {
	for obj := range rawjson.Objects(b, "value") {
		out = append(out, parseSubscription(gjson.ParseBytes(obj)))
	}
	return out
}

// parseSubscription reads one subscription.
func parseSubscription(obj gjson.Result) *Subscription {
	text := func(name string) string { return obj.Get(name).String() }
	s := &Subscription{
		ID: strings.ToLower(text("id")), Publisher: text("publisherId"), Event: text("eventType"),
		Status:  cmp.Or(text("status"), statusEnabled), // old ones have none
		Created: timeOf(text("createdDate")), Modified: timeOf(text("modifiedDate")), Probed: timeOf(text("lastProbationRetryDate")),
		version:  text("resourceVersion"),
		consumer: text("consumerId") + "/" + text("consumerActionId"),

		publisherInputs: inputsOf(obj.Get("publisherInputs")), consumerInputs: inputsOf(obj.Get("consumerInputs")),
	}
	s.Project = azuredevops.IDOrNone(strings.ToLower(s.publisherInputs["projectId"]))
	if s.URL = shownURL(s.consumerInputs["url"]); s.queue() {
		s.URL = s.address()
	}
	return s
}

// inputsOf are the inputs that have a value.
func inputsOf(obj gjson.Result) map[string]string {
	out := map[string]string{}
	obj.ForEach(func(k, v gjson.Result) bool {
		if k.Type == gjson.String && v.Type != gjson.Null && v.Type != gjson.JSON {
			out[k.String()] = v.String()
		}
		return true
	})
	return out
}

// timeOf is a time in UTC, zero when there is none.
func timeOf(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		if t, err = time.Parse("2006-01-02T15:04:05.999999999", text); err != nil {
			return time.Time{}
		}
	}
	if t.Year() <= 1 {
		return time.Time{} // how the service writes never
	}
	return t.UTC()
}

// statusOf is the HTTP status of an error, or 0.
func statusOf(err error) int {
	if e, ok := errors.AsType[*rest.Error](err); ok {
		return e.StatusCode
	}
	return 0
}

// shape is what can be seen of the inputs that we decide on.
func (s *Subscription) shape() string {
	in := s.consumerInputs
	shape := []string{
		s.version, in["url"], strings.ToLower(in["resourceDetailsToSend"]), strings.ToLower(in["messagesToSend"]),
		strings.ToLower(in["detailedMessagesToSend"]), in["basicAuthUsername"],
	}
	if s.queue() {
		shape = append(shape, s.address(), in["ttl"], in["visiTimeout"])
	}
	return strings.Join(shape, "\n")
}

// wantedShape is the shape that a subscription to a topic should have.
func (h *organization) wantedShape(k topic) string {
	to := h.target(k.Queue)
	s := Subscription{version: eventTypes[k.Event].version, consumer: to.consumer, consumerInputs: to.inputs}
	return s.shape()
}

// shapeMark is empty for a subscription that looks as it should. Otherwise it
// stands for how it looks and how it should: an answer to our own writing that
// bears it shows how the service spells what we asked for, which is no reason to
// write again.
func (h *organization) shapeMark(s *Subscription) string {
	is, want := s.shape(), h.wantedShape(s.key())
	if is == want {
		return ""
	}
	sum := sha256.Sum256([]byte(want + "\n\n" + is))
	return hex.EncodeToString(sum[:8])
}
