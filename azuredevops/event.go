package azuredevops

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// An Event is one delivery of a service hook. Its resource is used only to find out
// what happened to what, never for its content.
type Event struct {
	ID             string // of the event; empty when the delivery has none
	SubscriptionID string
	NotificationID int64  // counts the deliveries of a subscription
	Type           string // such as "git.push"
	Publisher      string
	Project        string    // id; empty when the event does not tell
	URLs           []string  // addresses in the organization: base URLs first, then the resource's own
	Resource       []byte    // the member `resource` as it came; read-only
	Created        time.Time // zero when the delivery does not tell

	ids eventIDs
}

// eventIDs are what the resource of an event is about, as far as its type says;
// empty where it is silent.
type eventIDs struct {
	repository, repositoryURL string
	pull, source, target      string
	workItem, oldProject      string // the name of the project that the work item left
	build, pipeline           string
	running                   bool // the run has begun and not ended
	release, deployment       string
	releaseDefinition         string
}

// What is wrong with a delivery. Retrying does not help.
var (
	errNoEvent = errors.New("not an event")
	errBadID   = errors.New("want a GUID or a whole number")
)

const byteOrderMark = "\ufeff"

// maxNesting bounds the depth of an event, because JSON readers recurse. Real events
// have about a dozen levels.
const maxNesting = 100

// ParseEvent reads the body of a delivery. The error says why it is not an event:
// not a JSON object, without type, publisher or resource, or with a malformed id.
// Absent and null members are no error.
func ParseEvent(body []byte) (Event, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte(byteOrderMark)))
	switch {
	case rawjson.Deeper(body, maxNesting):
		return Event{}, fmt.Errorf("%w: nested too deeply", errNoEvent)
	case len(body) == 0 || body[0] != '{' || !rawjson.Valid(body):
		return Event{}, fmt.Errorf("%w: want an object of JSON", errNoEvent)
	}
	at := gjson.ParseBytes(body)
	e := Event{
		ID: textOfResult(at.Get("id")), SubscriptionID: textOfResult(at.Get("subscriptionId")),
		NotificationID: at.Get("notificationId").Int(),
		Type:           textOfResult(at.Get("eventType")), Publisher: textOfResult(at.Get("publisherId")),
	}
	e.Created, _ = timestamp(textOfResult(at.Get("createdDate")))
	resource := at.Get("resource")
	for _, m := range []struct {
		name string
		ok   bool
	}{{"eventType", e.Type != ""}, {"publisherId", at.Get("publisherId").Exists()}, {"resource", resource.Exists()}} {
		if !m.ok {
			return Event{}, fmt.Errorf("%w: %s is missing", errNoEvent, m.name)
		}
	}
	e.Resource = []byte(resource.Raw)
	for _, path := range []string{"account", "collection", "project"} {
		e.addURL(at.Get("resourceContainers." + path + ".baseUrl"))
	}
	r := idReader{at: resource}
	e.Project = (&idReader{at: at, err: &r.failed}).guid("resourceContainers.project.id")
	e.read(&r)
	if r.failed != nil {
		return Event{}, fmt.Errorf("%w: %w", errNoEvent, r.failed)
	}
	return e, nil
}

// read finds out what the resource is about.
func (e *Event) read(r *idReader) {
	for _, path := range []string{"project.id", "projectId", "repository.project.id", "release.projectReference.id", "targetRepository.project.id"} {
		if e.Project == "" {
			e.Project = r.guid(path)
		}
	}
	for _, path := range []string{"url", "repository.url", "targetRepository.url", "run.url", "repositoryUrl", "project.url"} {
		e.addURL(r.at.Get(path))
	}
	switch family(e.Type) {
	case "git.push", "git.repo":
		e.ids.repository = r.first((*idReader).guid, "repository.id", "targetRepository.id", "repositoryId")
	case "git.pullrequest":
		e.ids.repository, e.ids.pull = r.guid("repository.id"), r.number("pullRequestId")
		e.ids.source, e.ids.target = textOfResult(r.at.Get("sourceRefName")), textOfResult(r.at.Get("targetRefName"))
	case "workitem":
		e.readWorkItem(r)
	case "build":
		e.ids.build, e.ids.pipeline = r.number("id"), r.number("definition.id")
	case "ms.vss-pipelines", "ms.vss-pipelinechecks-events":
		e.ids.build, e.ids.pipeline = r.number("run.id"), r.first((*idReader).number, "pipeline.id", "run.pipeline.id")
		e.ids.running = textOfResult(r.at.Get("run.state")) == "inProgress"
	case "ms.vss-release":
		e.readRelease(r)
	case "ms.vss-alerts":
		e.ids.repository = r.first((*idReader).guid, "repositoryId", "repository.id")
		e.ids.repositoryURL = textOfResult(r.at.Get("repositoryUrl"))
	}
}

// readWorkItem finds the item. The `id` of an update counts the updates of the item;
// it is not the item's.
func (e *Event) readWorkItem(r *idReader) {
	e.ids.workItem = r.first((*idReader).number, "workItemId", "revision.id")
	if e.ids.workItem == "" && e.Type != "workitem.updated" {
		e.ids.workItem = r.number("id")
	}
	if e.ids.workItem == "" {
		e.ids.workItem = numberBehind(textOfResult(r.at.Get("url")), "/workitems/")
	}
	moved := r.at.Get(`fields.System\.TeamProject`)
	if old := textOfResult(moved.Get("oldValue")); old != "" && old != textOfResult(moved.Get("newValue")) {
		e.ids.oldProject = old
	}
}

// readRelease finds the release and, if any, the deployment. Sample events have
// zeros in places.
func (e *Event) readRelease(r *idReader) {
	e.ids.release = r.first((*idReader).number, "deployment.release.id", "release.id", "environment.releaseId", "environment.release.id", "approval.release.id")
	e.ids.deployment = r.number("deployment.id")
	e.ids.releaseDefinition = r.first((*idReader).number,
		"release.releaseDefinition.id", "environment.releaseDefinition.id", "deployment.releaseDefinition.id", "approval.releaseDefinition.id")
}

// family is the type without its last part; "git.push" is a family of its own.
func family(eventType string) string {
	if eventType == "git.push" {
		return eventType
	}
	i := strings.LastIndexByte(eventType, '.')
	return eventType[:max(i, 0)]
}

func (e *Event) addURL(v gjson.Result) {
	s := strings.TrimRight(textOfResult(v), "/")
	if s != "" && !slices.Contains(e.URLs, s) {
		e.URLs = append(e.URLs, s)
	}
}

// Key names the object that an event is about. Deliveries with equal keys are to
// be worked on one after the other.
func (e *Event) Key() string {
	id := &e.ids
	switch f := family(e.Type); {
	case f == "ms.vss-alerts" && id.repository != "":
		return "alerts/" + id.repository
	case f == "ms.vss-alerts" && id.repositoryURL != "":
		return "alerts/" + strings.ToLower(id.repositoryURL)
	case id.pull != "":
		return "pull-request/" + id.pull
	case id.repository != "":
		return "repository/" + id.repository
	case id.workItem != "":
		return "work-item/" + id.workItem
	case id.build != "":
		return "build/" + id.build
	case id.release != "":
		return "release/" + id.release
	}
	return e.Type + "/" + e.Project
}

// Repository is the id of the repository that an event is about, in lower case;
// empty when it names none.
func (e *Event) Repository() string { return e.ids.repository }

// An idReader reads ids and notes the first that is none.
type idReader struct {
	at     gjson.Result
	failed error
	err    *error // where to note it instead
}

func (r *idReader) fail(path string) {
	at := &r.failed
	if r.err != nil {
		at = r.err
	}
	if *at == nil {
		*at = fmt.Errorf("%s: %w", path, errBadID)
	}
}

// guid reads a GUID, in lower case; "" when it is absent, null or all zeros, which
// samples have in place of null.
func (r *idReader) guid(path string) string {
	v := r.at.Get(path)
	if v.Type == gjson.Null {
		return ""
	}
	if v.Type != gjson.String || !isGUID(v.Str) {
		r.fail(path)
		return ""
	}
	return IDOrNone(strings.ToLower(v.Str))
}

// IDOrNone is "" for an id that is all zeros: so the service writes that there is
// none, for GUIDs as for commits.
func IDOrNone(id string) string {
	if strings.Trim(id, "0-") == "" {
		return ""
	}
	return id
}

// number reads a whole number; "" when it is absent, null or zero, which samples
// have in place of null.
func (r *idReader) number(path string) string {
	v := r.at.Get(path)
	text := v.Raw
	switch v.Type {
	case gjson.Null:
		return ""
	case gjson.String:
		text = v.Str
	default: // a number, or what fails to be read as one
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		r.fail(path)
	}
	if err != nil || n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// first is the first path with an id.
func (r *idReader) first(read func(*idReader, string) string, paths ...string) string {
	for _, path := range paths {
		if id := read(r, path); id != "" {
			return id
		}
	}
	return ""
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch ch := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if ch != '-' {
				return false
			}
		case ch >= '0' && ch <= '9', ch >= 'a' && ch <= 'f', ch >= 'A' && ch <= 'F':
		default:
			return false
		}
	}
	return true
}

// numberBehind is the number that follows a part of an address.
func numberBehind(address, part string) string {
	i := strings.Index(strings.ToLower(address), part)
	if i < 0 {
		return ""
	}
	rest := address[i+len(part):]
	end := strings.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' })
	if end >= 0 {
		rest = rest[:end]
	}
	if n, err := strconv.ParseInt(rest, 10, 64); err != nil || n <= 0 {
		return ""
	}
	return rest
}

// textOfResult is a string that does not alias the body; "" for everything else.
func textOfResult(v gjson.Result) string {
	if v.Type != gjson.String {
		return ""
	}
	return strings.Clone(v.Str)
}

// ErrNoOrganization is returned by Resolve.
var ErrNoOrganization = errors.New("no organization for the event")

// Resolve finds the organization of an event: by its subscription, if registered
// knows it; else the only one; else by the addresses in the event. Nothing is
// guessed: the error is ErrNoOrganization.
func Resolve(e *Event, clients []*Client, registered func(subscription string) *Client) (*Client, error) {
	if registered != nil && e.SubscriptionID != "" {
		if c := registered(e.SubscriptionID); c != nil {
			return c, nil
		}
	}
	if len(clients) == 1 {
		return clients[0], nil
	}
	for _, address := range e.URLs {
		for _, c := range clients {
			if c.holds(address) {
				return c, nil
			}
		}
	}
	return nil, fmt.Errorf("%w %s of subscription %q", ErrNoOrganization, e.Type, e.SubscriptionID)
}

// holds tells whether an address lies in the organization, on whatever host of
// the service.
func (c *Client) holds(address string) bool {
	return strings.HasPrefix(OrganizationKey(address)+"/", c.Key()+"/")
}
