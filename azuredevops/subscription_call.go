package azuredevops

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// made notes a subscription that has just been written: it delivers again, and
// has our credentials.
func (h *Hooks) made(key hookKey, s *Subscription) {
	e := hookEntry{Organization: h.c.Organization(), Event: key.Event, Project: key.Project, Shape: h.shapeMark(s)}
	if h.cfg.Secret != "" {
		e.Print = h.print()
	}
	h.state.set(s.ID, e)
	h.state.setRefused(h.c.Organization(), key.String(), nil)
	h.state.setRefused(h.c.Organization(), "write "+s.ID, nil)
}

// put replaces a subscription, which also switches it on again.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions/replace-subscription
func (h *Hooks) put(ctx context.Context, l *lister, key hookKey, old *Subscription) (*Subscription, error) {
	return h.write(ctx, l, key, &request{Method: http.MethodPut, Route: hooksRoute + "/{subscriptionId}", Args: []string{old.ID}}, old)
}

// write sends a subscription to where its publisher lives. A service that does
// not have the version of the resource is asked for the one it has.
func (h *Hooks) write(ctx context.Context, l *lister, key hookKey, rq *request, old *Subscription) (*Subscription, error) {
	rq.Host = home(hookEvents[key.Event].publisher)
	rq.Version, rq.Write, rq.Hide = hookVersion(rq.Host), true, h.cfg.Secret
	for _, pinned := range []bool{true, false} {
		body, err := h.body(key, old, pinned)
		if err != nil {
			return nil, err
		}
		rq.Body = body
		obj, err := l.object(ctx, rq)
		if pinned && statusOf(err) == http.StatusBadRequest && strings.Contains(strings.ToLower(messageOf(err)), "resource version") {
			continue
		}
		if err != nil {
			return nil, err
		}
		s := parseSubscription(obj)
		if s.ID == "" {
			return nil, fmt.Errorf("%s: %w: a subscription without id", rq.Route, ErrMalformed)
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
func (h *Hooks) post(ctx context.Context, l *lister, key hookKey, except string) (*Subscription, error) {
	const most = 3
	wait := firstBackoff
	for try := 1; ; try++ {
		s, err := h.write(ctx, l, key, &request{Method: http.MethodPost, Route: hooksRoute}, nil)
		if err == nil || ctx.Err() != nil || isRefusal(err) {
			return s, err
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
		found, lookErr := h.find(ctx, l, key, except)
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
func (h *Hooks) find(ctx context.Context, l *lister, key hookKey, except string) (*Subscription, error) {
	publisher := hookEvents[key.Event].publisher
	subs, err := h.list(ctx, l, home(publisher), publisher, key.Event)
	if err != nil {
		return nil, err
	}
	for _, s := range subs {
		if s.ID != except && s.key() == key && s.Status == HookEnabled && hookURLKey(s.consumerInputs["url"]) == h.url && !foreignFilter(s.publisherInputs) {
			return s, nil
		}
	}
	return nil, nil //nolint:nilnil // none is an answer
}

// delete removes a subscription; that it is gone already is as good.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions/delete
func (h *Hooks) delete(ctx context.Context, l *lister, s *Subscription) error {
	host := home(s.Publisher)
	p, err := l.send(ctx, &request{
		Method: http.MethodDelete, Host: host, Route: hooksRoute + "/{subscriptionId}", Args: []string{s.ID},
		Version: hookVersion(host), Empty: true,
	})
	p.free()
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
