package azuredevopstest

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hookRoutes are served by the hosts of publishers: releases and Advanced
// Security have their own.
func hookRoutes() []route {
	const one = "/_apis/hooks/subscriptions/{subscription}"
	var rows []route
	for _, host := range []string{"", "vsrm", "advsec"} {
		for _, r := range []route{
			{method: "GET", pattern: "/_apis/hooks/publishers/{publisher}/eventtypes/{event}", handler: getEventType},
			{method: "GET", pattern: "/_apis/hooks/subscriptions", handler: listSubscriptions},
			{method: "POST", pattern: "/_apis/hooks/subscriptions", handler: createSubscription},
			{method: "GET", pattern: one, handler: withHook(getSubscription)},
			{method: "PUT", pattern: one, handler: withHook(replaceSubscription)},
			{method: "DELETE", pattern: one, handler: withHook(deleteSubscription)},
			{method: "GET", pattern: one + "/notifications/{notification}", handler: withHook(getNotification)},
			{method: "POST", pattern: "/_apis/hooks/notificationsquery", handler: queryNotifications},
		} {
			r.host, r.preview, r.writes = host, true, true // hooks have a lock of their own
			rows = append(rows, r)
		}
	}
	return append(rows, route{
		method: "GET", pattern: "/_apis/permissions/{namespace}/{bits}", handler: hasPermissions, writes: true,
	})
}

// Permissions on subscriptions, bits of the security namespace ServiceHooks.
const (
	ViewHooks   = 1
	EditHooks   = 2
	DeleteHooks = 4
)

// DenyHooks takes permissions on subscriptions away; 0 gives all of them back.
func (s *Server) DenyHooks(bits int) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.denied = bits
}

// hasPermissions answers for each token of the query; it knows the namespace
// ServiceHooks only.
//
// https://learn.microsoft.com/rest/api/azure/devops/security/permissions/has-permissions
func hasPermissions(q *request) *response {
	h := q.server.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	list := array{}
	for range strings.SplitSeq(q.get("tokens"), ",") {
		list = append(list, h.denied&q.number("bits") == 0)
	}
	return ok(object{"count", len(list), "value", list})
}

// deny is the answer to what the identity may not do with subscriptions. The
// caller holds the lock.
func (h *hooks) deny(bit int, name string) *response {
	if h.denied&bit == 0 {
		return nil
	}
	return failure(http.StatusForbidden, hookErrors+"ServiceHookException", "Access denied. ado-port needs the following permission(s) on the resource "+
		"PublisherSecurity to perform this action: "+name)
}

// getEventType knows every event: nobody asks for those that are documented.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/publishers/get-event-type
func getEventType(q *request) *response {
	return ok(object{"id", q.param("event"), "publisherId", q.param("publisher")})
}

const hookErrors = "Microsoft.VisualStudio.Services.ServiceHooks.WebApi."

// withHook finds the subscription of the path; the handler holds the lock.
func withHook(handler func(*request, *hook) *response) func(*request) *response {
	return func(q *request) *response {
		h := q.server.hooks
		h.mu.Lock()
		defer h.mu.Unlock()
		x := h.find(q.param("subscription"))
		if x == nil || !q.publishes(x.Publisher) {
			return notFound(hookErrors+"SubscriptionNotFoundException", "The subscription "+q.param("subscription")+" was not found.")
		}
		return handler(q, x)
	}
}

// publishes tells whether the host of the request is that of a publisher.
func (q *request) publishes(publisher string) bool {
	return q.host == "*" || q.host == map[string]string{"rm": "vsrm", "advsec": "advsec"}[publisher]
}

// listSubscriptions filters by what the query names.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions/list
func listSubscriptions(q *request) *response {
	h := q.server.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	if resp := h.deny(ViewHooks, "View Subscriptions"); resp != nil {
		return resp
	}
	var list []*hook
	for _, x := range h.all {
		fits := q.publishes(x.Publisher)
		for name, value := range map[string]string{"publisherid": x.Publisher, "eventtype": x.Event, "consumerid": x.Consumer, "consumeractionid": x.Action} {
			fits = fits && (q.get(name) == "" || strings.EqualFold(q.get(name), value))
		}
		if fits {
			list = append(list, x)
		}
	}
	return collection(list, q.subscription)
}

func getSubscription(q *request, x *hook) *response { return ok(q.subscription(x)) }

// createSubscription takes web hooks only.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions/create
func createSubscription(q *request) *response {
	in, wrong := q.readSubscription()
	if wrong != nil {
		return wrong
	}
	h := q.server.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	if resp := h.deny(EditHooks, "Edit Subscriptions"); resp != nil {
		return resp
	}
	h.serial++
	in.ID, in.Created = q.world.idOf("subscription", h.serial), q.world.now()
	x := &hook{}
	h.all = append(h.all, x)
	h.set(x, in)
	return ok(q.subscription(x))
}

// replaceSubscription also switches it on again.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/subscriptions/replace-subscription
func replaceSubscription(q *request, x *hook) *response {
	in, wrong := q.readSubscription()
	if wrong != nil {
		return wrong
	}
	if resp := q.server.hooks.deny(EditHooks, "Edit Subscriptions"); resp != nil {
		return resp
	}
	in.ID, in.Created, in.Probed = x.ID, x.Created, x.Probed
	for _, name := range secretInputs {
		if in.ConsumerInputs[name] == masked {
			in.ConsumerInputs[name] = x.ConsumerInputs[name]
		}
	}
	q.server.hooks.set(x, in)
	return ok(q.subscription(x))
}

// set makes a subscription what a client has asked for.
func (h *hooks) set(x *hook, in Subscription) {
	in.Modified = h.world.now()
	in.PublisherInputs["hostId"], in.PublisherInputs["tfsSubscriptionId"] = h.world.idOf("account"), h.world.idOf("tfs subscription", in.ID)
	x.Subscription, x.failures = in, 0
	close(h.made)
	h.made = make(chan struct{})
}

func deleteSubscription(q *request, x *hook) *response {
	h := q.server.hooks
	if resp := h.deny(DeleteHooks, "Delete Subscriptions"); resp != nil {
		return resp
	}
	x.gone = true
	h.answered(len(x.queue))
	x.queue = nil
	h.all = slices.DeleteFunc(h.all, func(o *hook) bool { return o == x })
	return answerBytes(http.StatusNoContent, "", nil)
}

// readSubscription reads and checks a body.
func (q *request) readSubscription() (Subscription, *response) {
	var in struct {
		Status, PublisherID, EventType, ResourceVersion, ConsumerID, ConsumerActionID string
		PublisherInputs, ConsumerInputs                                               map[string]string
	}
	bad := func(text string) (Subscription, *response) {
		return Subscription{}, failure(http.StatusBadRequest, hookErrors+"SubscriptionInputException", text)
	}
	if err := json.Unmarshal(q.body, &in); err != nil {
		return bad("The subscription could not be read.")
	}
	switch {
	case in.EventType == "" || !q.publishes(in.PublisherID) || !slices.Contains([]string{"tfs", "pipelines", "rm", "advsec"}, in.PublisherID):
		return bad("There is no registered handler for the service hooks event type " + in.EventType + " of publisher " + in.PublisherID + ".")
	case in.ConsumerID == queueConsumer && in.ConsumerActionID == "enqueue" && q.server.hooks.enqueue != nil:
		for _, name := range []string{"accountName", "accountKey", "queueName", "ttl", "visiTimeout"} {
			if in.ConsumerInputs[name] == "" {
				return bad("The subscription input " + name + " is required and has no value.")
			}
		}
	case in.ConsumerID != "webHooks" || in.ConsumerActionID != "httpRequest":
		return bad("There is no consumer " + in.ConsumerID + " with the action " + in.ConsumerActionID + ".")
	case !validTarget(in.ConsumerInputs["url"]):
		return bad("The URL of the consumer is not valid.")
	}
	if id := in.PublisherInputs["projectId"]; id != "" && q.world.Project(id) == nil {
		return Subscription{}, noProject(id)
	}
	if in.PublisherInputs == nil {
		in.PublisherInputs = map[string]string{}
	}
	return Subscription{
		Status: cmp.Or(in.Status, statusEnabled), Publisher: in.PublisherID, Event: in.EventType, ResourceVersion: cmp.Or(in.ResourceVersion, "1.0"),
		Consumer: in.ConsumerID, Action: in.ConsumerActionID, PublisherInputs: in.PublisherInputs, ConsumerInputs: in.ConsumerInputs,
	}, nil
}

func validTarget(raw string) bool {
	to, err := url.Parse(raw)
	return err == nil && to.Host != "" && (to.Scheme == "http" || to.Scheme == "https")
}

// queueConsumer puts events into a queue of an Azure Storage account.
//
// https://learn.microsoft.com/azure/devops/service-hooks/consumers#azure-storage
const queueConsumer = "azureStorageQueue"

// masked is what readers see of secretInputs.
const masked = "********"

var secretInputs = []string{"basicAuthPassword", "accountKey"}

// subscription is the JSON of a subscription.
func (q *request) subscription(x *hook) object {
	inputs := maps.Clone(x.ConsumerInputs)
	for _, name := range secretInputs {
		if inputs[name] != "" {
			inputs[name] = masked
		}
	}
	self := q.world.orgURL() + "/_apis/hooks/subscriptions/" + x.ID
	return object{
		"id", x.ID,
		"url", self,
		"status", x.Status,
		"publisherId", x.Publisher,
		"eventType", x.Event,
		"subscriber", nil,
		"resourceVersion", x.ResourceVersion,
		"eventDescription", "Any",
		"consumerId", x.Consumer,
		"consumerActionId", x.Action,
		"actionDescription", "To " + x.ConsumerInputs["url"] + x.ConsumerInputs["queueName"],
		"createdDate", x.Created,
		"modifiedDate", x.Modified,
		"lastProbationRetryDate", opt(x.Probed),
		"publisherInputs", x.PublisherInputs,
		"consumerInputs", inputs,
		"_links",
		object{"self", link(self)},
	}
}

// queryNotifications lists the newest first, at most maxResults of them, and
// counts all that were asked for.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/notifications/query
func queryNotifications(q *request) *response {
	var in struct {
		SubscriptionIDs                       []string `json:"subscriptionIds"`
		ResultType                            string
		IncludeDetails                        bool
		MaxResults, MaxResultsPerSubscription int
		MinCreatedDate, MaxCreatedDate        time.Time
	}
	if err := json.Unmarshal(q.body, &in); err != nil {
		return failure(http.StatusBadRequest, errBadRequest, "The query could not be read: "+err.Error())
	}
	h := q.server.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []*Notification
	summary := array{}
	for _, id := range in.SubscriptionIDs {
		x := h.find(id)
		if x == nil {
			continue
		}
		counts, taken := map[string]int{}, 0
		for _, n := range slices.Backward(x.history) {
			if in.ResultType != "" && n.Result != in.ResultType || n.Created.Before(in.MinCreatedDate) ||
				!in.MaxCreatedDate.IsZero() && n.Created.After(in.MaxCreatedDate) {
				continue
			}
			counts[n.Result]++
			if taken++; in.MaxResultsPerSubscription == 0 || taken <= in.MaxResultsPerSubscription {
				found = append(found, n)
			}
		}
		results := array{}
		for _, result := range sortedKeys(counts) {
			results = append(results, object{"result", result, "notificationCount", counts[result]})
		}
		summary = append(summary, object{"subscriptionId", x.ID, "results", results})
	}
	slices.SortStableFunc(found, func(a, b *Notification) int { return b.Created.Compare(a.Created) })
	if in.MaxResults > 0 && len(found) > in.MaxResults {
		found = found[:in.MaxResults]
	}
	results := array{}
	for _, n := range found {
		results = append(results, n.json(in.IncludeDetails))
	}
	return ok(object{"summary", summary, "results", results})
}

// getNotification shows one notification with its event.
//
// https://learn.microsoft.com/rest/api/azure/devops/hooks/notifications/get
func getNotification(q *request, x *hook) *response {
	for _, n := range x.history {
		if strconv.Itoa(n.ID) == q.param("notification") {
			return ok(n.json(true))
		}
	}
	return notFound(hookErrors+"NotificationNotFoundException", "The notification "+q.param("notification")+" was not found.")
}

func (n *Notification) json(details bool) object {
	o := object{
		"id", n.ID,
		"subscriptionId", n.Subscription,
		"eventId", n.Event.ID,
		"status", "completed",
		"result", n.Result,
		"createdDate", n.Created,
		"modifiedDate", n.Modified,
	}
	if !details {
		return o
	}
	return append(o, "details", object{
		"eventType", n.Event.Type,
		"publisherId", n.Event.Publisher,
		"event", raw(n.Event.payload(nil, true, true, true)),
		"response", some(n.Status > 0, "HTTP/1.1 "+strconv.Itoa(n.Status)+" "+http.StatusText(n.Status)),
		"errorMessage", opt(n.Problem),
		"requestAttempts", n.Attempts,
	})
}
