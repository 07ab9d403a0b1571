package azuredevopstest

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// An Event is a change that the service announces by service hooks. It holds
// what a delivery is made of. The server delivers it to the subscriptions that
// clients have made.
type Event struct {
	// ID is unique to the event, not to a delivery.
	ID string
	// Type is the event type, such as "git.push"; Publisher its publisher:
	// tfs, pipelines or rm.
	Type, Publisher string
	// ResourceVersion is the version of the resource's shape.
	ResourceVersion string
	// Project is the id of the project.
	Project string
	// Filters are the values that subscriptions filter on besides the project,
	// by the name of the publisher input: repository, branch, workItemType, …
	Filters map[string]string
	// Resource is the member `resource` of the delivery.
	Resource json.RawMessage
	// Text is the one-line message.
	Text string
	Time time.Time

	account string
	org     string
}

// Payload is the body of a delivery of the event.
//
// https://learn.microsoft.com/azure/devops/service-hooks/events
func (e Event) Payload(subscription string, notification int) []byte {
	return e.payload(object{"subscriptionId", subscription, "notificationId", notification}, true, true, true)
}

// payload is the event behind what names the delivery, with the parts that a
// subscription wants.
func (e Event) payload(delivery object, resource, messages, detailed bool) []byte {
	part := func(want bool, v any) any {
		if want {
			return v
		}
		return nil
	}
	text := object{"text", e.Text, "html", e.Text, "markdown", e.Text}
	return encode(append(delivery,
		"id", e.ID,
		"eventType", e.Type,
		"publisherId", e.Publisher,
		"message", part(messages, text),
		"detailedMessage", part(detailed, text),
		"resource", part(resource, e.Resource),
		"resourceVersion", e.ResourceVersion,
		"resourceContainers",
		object{
			"collection",
			object{"id", e.account, "baseUrl", e.org + "/"},
			"account",
			object{"id", e.account, "baseUrl", e.org + "/"},
			"project",
			object{"id", e.Project, "baseUrl", e.org + "/"},
		},
		"createdDate", e.Time,
	))
}

// Subscribe registers a function that gets every event after the change is
// visible, on the goroutine that made the change. cancel removes it. The
// function may read the world and call the server, but not change the world.
func (w *World) Subscribe(f func(Event)) (cancel func()) {
	w.subMu.Lock()
	defer w.subMu.Unlock()
	w.subID++
	id := w.subID
	w.subs[id] = f
	return func() {
		w.subMu.Lock()
		defer w.subMu.Unlock()
		delete(w.subs, id)
	}
}

// news makes the events of a change; nil when nothing changed.
type news func() []Event

// change runs f under the lock and then announces the events that its result
// makes there.
func (w *World) change(f func() news) []Event {
	w.mu.Lock()
	var events []Event
	if tell := f(); tell != nil && !w.silent {
		events = tell()
	}
	w.mu.Unlock()
	if len(events) == 0 {
		return nil
	}
	w.subMu.Lock()
	var subs []func(Event)
	for _, id := range slices.Sorted(maps.Keys(w.subs)) {
		subs = append(subs, w.subs[id])
	}
	w.subMu.Unlock()
	for _, e := range events {
		for _, f := range subs {
			f(e)
		}
	}
	return events
}

// event completes an event of a project. The caller holds the lock.
func (w *World) event(p *Project, typ, publisher, version, text string, filters map[string]string, resource object) Event {
	return Event{
		ID: w.newID("event"), Type: typ, Publisher: publisher, ResourceVersion: version, Project: p.ID,
		Filters: filters, Resource: encode(resource), Text: text, Time: w.now(),
		account: w.idOf("account"), org: w.orgURL(),
	}
}

// only is the event of a change that announces exactly one.
func only(events []Event) Event {
	if len(events) == 0 {
		return Event{}
	}
	return events[0]
}
