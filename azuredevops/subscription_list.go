package azuredevops

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

const hooksRoute = "_apis/hooks/subscriptions"

// hookVersion is the api-version of a service's hooks (live-events.md 2.8).
func hookVersion(s service) string {
	if s == advsec {
		return "7.2-preview.1"
	}
	return "7.1-preview.1"
}

// A hookListing is every web hook that Azure DevOps shows, by id and in order.
// Publishers that could not be listed are unknown: nothing is created or removed
// for them.
type hookListing struct {
	all     []*Subscription
	unknown map[string]error // by publisher
}

// hosts are the services to ask for a publisher's subscriptions: its own and the
// organization's, which may show others (S-24). Where both are one host, as on
// Server, it is asked once.
func (c *Client) hosts(publisher string) []service {
	s := home(publisher)
	if s == core || c.base[s] == c.base[core] {
		return []service{s}
	}
	return []service{s, core}
}

// listing lists the web hooks of every publisher. The error is ctx's or
// ErrUnauthorized; any other is that of a publisher.
func (h *Hooks) listing(ctx context.Context, l *lister) (*hookListing, error) {
	out := &hookListing{unknown: map[string]error{}}
	seen := map[string]bool{}
	for _, publisher := range publishers() {
		for _, host := range h.c.hosts(publisher) {
			subs, err := h.list(ctx, l, host, publisher, "")
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case errors.Is(err, ErrUnauthorized):
				return nil, err
			case host != home(publisher) && (errors.Is(err, ErrNotFound) || statusOf(err) == http.StatusBadRequest):
				continue // that host does not know the publisher
			case err != nil:
				out.unknown[publisher] = errors.Join(out.unknown[publisher], err)
				continue
			}
			for _, s := range subs {
				if !seen[s.ID] {
					seen[s.ID] = true
					out.all = append(out.all, s)
				}
			}
		}
	}
	return out, nil
}

// list lists the web hooks of a publisher, and of an event if one is given, that
// a host shows. Without the filters the list of a big organization has 13 MB
// (live-events.md 2.5).
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions/list
func (h *Hooks) list(ctx context.Context, l *lister, host service, publisher, event string) ([]*Subscription, error) {
	consumer, action, _ := strings.Cut(webHook, "/")
	var out []*Subscription
	for p, err := range l.pages(ctx, &request{
		Host: host, Route: hooksRoute, Version: hookVersion(host),
		Query: []string{"publisherId", publisher, "eventType", event, "consumerId", consumer, "consumerActionId", action},
	}, "value") {
		if err != nil {
			return nil, err
		}
		subs, err := parseSubscriptions(p.b)
		p.free()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", hooksRoute, err)
		}
		for _, s := range subs {
			if s.Publisher == publisher && s.consumer == webHook && (event == "" || s.Event == event) {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

// parseSubscriptions reads a list. A list with fewer entries than it says is
// ErrMalformed. Entries without an id are left out, and so are null inputs
// (S-31). The result shares no memory with b, which is valid JSON.
func parseSubscriptions(b []byte) ([]*Subscription, error) {
	all := rawjson.Array(b, "value")
	if all == nil {
		return nil, fmt.Errorf("%w: no list of subscriptions", ErrMalformed)
	}
	var out []*Subscription
	n := 0
	for obj := range rawjson.Elements(all) {
		n++
		if obj[0] != '{' {
			continue
		}
		if s := parseSubscription(obj); s.ID != "" {
			out = append(out, s)
		}
	}
	if count, err := strconv.Atoi(rawjson.Text(b, "count")); err == nil && count > n {
		return nil, fmt.Errorf("%w: %d subscriptions of %d", ErrMalformed, n, count)
	}
	return out, nil
}

// parseSubscription reads one subscription.
func parseSubscription(obj []byte) *Subscription {
	s := &Subscription{
		ID: strings.ToLower(rawjson.Text(obj, "id")), Publisher: rawjson.Text(obj, "publisherId"), Event: rawjson.Text(obj, "eventType"),
		Status:  rawjson.Text(obj, "status"),
		Created: timeAt(obj, "createdDate"), Modified: timeAt(obj, "modifiedDate"), Probed: timeAt(obj, "lastProbationRetryDate"),
		version:  rawjson.Text(obj, "resourceVersion"),
		consumer: rawjson.Text(obj, "consumerId") + "/" + rawjson.Text(obj, "consumerActionId"),

		publisherInputs: inputsAt(obj, "publisherInputs"), consumerInputs: inputsAt(obj, "consumerInputs"),
	}
	if s.Status == "" {
		s.Status = HookEnabled // old ones have none (fixtures of the reference)
	}
	s.Project = strings.ToLower(s.publisherInputs["projectId"])
	s.URL = shownURL(s.consumerInputs["url"])
	return s
}

// inputsAt are the inputs that have a value.
func inputsAt(obj []byte, name string) map[string]string {
	out := map[string]string{}
	gjson.ParseBytes(rawjson.Raw(obj, name)).ForEach(func(k, v gjson.Result) bool {
		if k.Type == gjson.String && v.Type != gjson.Null && v.Type != gjson.JSON {
			out[strings.Clone(k.String())] = strings.Clone(v.String())
		}
		return true
	})
	return out
}

// timeAt is a time in UTC, zero when there is none.
func timeAt(obj []byte, name string) time.Time {
	text := rawjson.Text(obj, name)
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
	if e, ok := errors.AsType[*Error](err); ok {
		return e.StatusCode
	}
	return 0
}

// shape is what can be seen of the inputs that we decide on.
func (s *Subscription) shape() string {
	in := s.consumerInputs
	return strings.Join([]string{
		s.version, in["url"], strings.ToLower(in["resourceDetailsToSend"]), strings.ToLower(in["messagesToSend"]),
		strings.ToLower(in["detailedMessagesToSend"]), in["basicAuthUsername"],
	}, "\n")
}

// wantedShape is the shape that a subscription to an event should have.
func (h *Hooks) wantedShape(event string) string {
	s := Subscription{version: hookEvents[event].version, consumerInputs: h.inputs()}
	return s.shape()
}

// shapeMark is empty for a subscription that looks as it should. Otherwise it
// stands for how it looks and how it should: an answer to our own writing that
// bears it shows how the service spells what we asked for, which is no reason to
// write again.
func (h *Hooks) shapeMark(s *Subscription) string {
	is, want := s.shape(), h.wantedShape(s.Event)
	if is == want {
		return ""
	}
	sum := sha256.Sum256([]byte(want + "\n\n" + is))
	return hex.EncodeToString(sum[:8])
}
