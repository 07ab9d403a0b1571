package hooks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

// made notes a subscription that has just been written: it delivers again, and
// has our credentials.
func (h *organization) made(key topic, s *Subscription) {
	e := entry{Organization: h.c.Key(), Event: key.Event, Project: key.Project, Queue: key.Queue, Shape: h.shapeMark(s)}
	if to := h.target(key.Queue); to.secret != "" {
		e.Print = to.print()
	}
	h.state.set(s.ID, e)
	h.state.setRefused(h.c.Key(), key.String(), nil)
	h.state.setRefused(h.c.Key(), "write "+s.ID, nil)
}

// put replaces a subscription, which also switches it on again.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions/replace-subscription
func (h *organization) put(ctx context.Context, ask rest.Sender, key topic, old *Subscription) (*Subscription, error) {
	shown := maps.Clone(old.consumerInputs)
	for _, name := range secretInputs { // which are ours
		delete(shown, name)
	}
	if masked := unmask(shown); masked != nil {
		h.log.WarnContext(ctx, "a subscription is written without values that azure devops does not show: set them again",
			"subscription", old.ID, "event", old.Event, "inputs", masked)
	}
	return h.write(ctx, ask, key, &rest.Request{Method: http.MethodPut, Route: subscriptionsRoute + "/{subscriptionId}", Args: []string{old.ID}}, old)
}

// write sends a subscription to where its publisher lives. A service that does
// not have the version of the resource is asked for the one it has.
func (h *organization) write(ctx context.Context, ask rest.Sender, key topic, rq *rest.Request, old *Subscription) (*Subscription, error) {
	rq.Host = home(eventTypes[key.Event].publisher)
	rq.Version, rq.Write, rq.Hide = apiVersion(rq.Host), true, h.target(key.Queue).secret
	for _, pinned := range []bool{true, false} {
		body, err := h.body(key, old, pinned)
		if err != nil {
			return nil, err
		}
		rq.Body = body
		obj, err := ask.Object(ctx, rq)
		if pinned && statusOf(err) == http.StatusBadRequest && strings.Contains(strings.ToLower(messageOf(err)), "resource version") {
			continue
		}
		if err != nil {
			return nil, err
		}
		s := parseSubscription(gjson.ParseBytes(obj))
		if s.ID == "" {
			return nil, fmt.Errorf("%s: %w: a subscription without id", rq.Route, rest.ErrMalformed)
		}
		return s, nil
	}
	return nil, nil //nolint:nilnil // not reached: the second round ends
}

// post creates a subscription. An answer that may have been lost is no reason to
// create a second one: the list is looked at first. except is a subscription of
// the same key that is about to be replaced.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions/create
func (h *organization) post(ctx context.Context, ask rest.Sender, key topic, except string) (*Subscription, error) {
	const most = 3
	wait := time.Second
	for try := 1; ; try++ {
		s, err := h.write(ctx, ask, key, &rest.Request{Method: http.MethodPost, Route: subscriptionsRoute}, nil)
		if err == nil || ctx.Err() != nil || isRefusal(err) {
			return s, err
		}
		if err := rest.Sleep(ctx, wait); err != nil {
			return nil, err
		}
		found, lookErr := h.find(ctx, ask, key, except)
		switch {
		case lookErr != nil:
			return nil, errors.Join(err, lookErr)
		case found != nil:
			return found, nil
		case try == most:
			return nil, err
		}
		wait *= 2
	}
}

// find looks for an enabled subscription of ours.
func (h *organization) find(ctx context.Context, ask rest.Sender, key topic, except string) (*Subscription, error) {
	publisher := eventTypes[key.Event].publisher
	subs, err := h.list(ctx, ask, home(publisher), publisher, key.Event, h.target(key.Queue).consumer)
	if err != nil {
		return nil, err
	}
	for _, s := range subs {
		if s.ID != except && s.key() == key && s.Status == statusEnabled && s.address() == h.target(key.Queue).address && !foreignFilter(s.publisherInputs) {
			return s, nil
		}
	}
	return nil, nil //nolint:nilnil // none is an answer
}

// delete removes a subscription; that it is gone already is as good.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions/delete
func (h *organization) delete(ctx context.Context, ask rest.Sender, s *Subscription) error {
	host := home(s.Publisher)
	p, err := ask(ctx, &rest.Request{
		Method: http.MethodDelete, Host: host, Route: subscriptionsRoute + "/{subscriptionId}", Args: []string{s.ID},
		Version: apiVersion(host), Empty: true,
	})
	p.Free()
	if errors.Is(err, rest.ErrNotFound) {
		return nil
	}
	return err
}
