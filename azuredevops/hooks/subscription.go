package hooks

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

const (
	defaultUser   = "port"
	maxCredential = 256 // characters that Azure DevOps keeps of a user or password
)

// An organization is the service hook subscriptions of one. What it finds and does
// is told in a Report; nothing is done to subscriptions of others. Its methods run
// one at a time, others wait.
type organization struct {
	c          *azuredevops.Client
	cfg        KeeperConfig
	web, queue *target
	state      *state
	log        *slog.Logger

	reading azuredevops.Reading // of the list of projects

	turn     chan struct{} // held by the method that runs
	reported string        // refusals that the log has seen
	health   *healthBook
}

// check completes the settings. The error names the one that is wrong.
func (cfg *KeeperConfig) check() error {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg.checkTargets()
}

// newOrganization takes settings that have been checked.
func newOrganization(c *azuredevops.Client, cfg KeeperConfig, s *state) *organization {
	h := &organization{
		c: c, cfg: cfg, web: newWebTarget(&cfg, s), queue: newQueueTarget(cfg.Queue, s), state: s,
		log:  cfg.Log.With("organization", c.Organization()),
		turn: make(chan struct{}, 1), health: newHealthBook(c.OrganizationName()),
	}
	for _, t := range []*target{h.web, h.queue} {
		t.print = sync.OnceValue(t.print)
	}
	return h
}

// lock waits for the methods that run.
func (h *organization) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case h.turn <- struct{}{}:
		return func() { <-h.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A topic is what there must be exactly one subscription for. Project is
// empty for the whole organization.
type topic struct {
	Event, Project string
	Queue          bool // the events go into the storage queue
}

func (k topic) String() string {
	text := strings.TrimSpace(k.Event + " " + k.Project)
	if k.Queue {
		text += " queue"
	}
	return text
}

// Values of Subscription.Status.
const (
	statusEnabled        = "enabled"
	statusOnProbation    = "onProbation"
	statusDisabledByUser = "disabledByUser"
)

// A Subscription is one service hook as Azure DevOps tells it, without
// credentials.
type Subscription struct {
	ID          string    `json:"id"`
	Publisher   string    `json:"publisher"`
	Event       string    `json:"event"`
	Project     string    `json:"project,omitempty"` // id; empty for the whole organization
	ProjectName string    `json:"projectName,omitempty"`
	Status      string    `json:"status"`
	URL         string    `json:"url"` // without user, password and query; azure-storage-queue://ACCOUNT/QUEUE for a queue
	Created     time.Time `json:"created,omitzero"`
	Modified    time.Time `json:"modified,omitzero"`
	Probed      time.Time `json:"probed,omitzero"` // last try on probation

	version         string
	consumer        string // consumer/action
	publisherInputs map[string]string
	consumerInputs  map[string]string
}

func (s *Subscription) key() topic { return topic{s.Event, s.Project, s.queue()} }

// foreignFilter tells whether the subscription is limited to a part of what we
// want: a person made it for something else.
func foreignFilter(inputs map[string]string) bool {
	for name, v := range inputs {
		switch strings.ToLower(name) {
		case "projectid", "hostid", "tfssubscriptionid":
		case "linkschanged":
			if v != "" && !strings.EqualFold(v, "false") {
				return true
			}
		default:
			if v != "" {
				return true
			}
		}
	}
	return false
}

// tidyURL is the address that subscriptions get: without user, fragment, double
// and trailing slashes, as the Python integration would have it from a tidy base
// URL.
func tidyURL(raw string) string {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.Host == "" {
		return strings.TrimSpace(raw)
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	for strings.Contains(u.Path, "//") {
		u.Path = strings.ReplaceAll(u.Path, "//", "/")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u.String()
}

// urlKey is equal for addresses that mean the same.
func urlKey(raw string) string {
	u, err := url.Parse(tidyURL(raw))
	if err != nil || u.Host == "" {
		return raw
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	return u.String()
}

// shownURL is an address without what may be secret in it.
func shownURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return rest.PlainURL(u)
}

// body is what is sent to create or replace a subscription. old is nil or the
// one that is replaced: what others may have set on it (headers for a gateway,
// say) stays. Without pinned the service chooses the version of the resource.
func (h *organization) body(key topic, old *Subscription, pinned bool) ([]byte, error) {
	event := eventTypes[key.Event]
	if !pinned {
		event.version = ""
	}
	b := struct {
		ID               string            `json:"id,omitempty"`
		Status           string            `json:"status"`
		PublisherID      string            `json:"publisherId"`
		EventType        string            `json:"eventType"`
		ResourceVersion  string            `json:"resourceVersion,omitempty"`
		ConsumerID       string            `json:"consumerId"`
		ConsumerActionID string            `json:"consumerActionId"`
		PublisherInputs  map[string]string `json:"publisherInputs"`
		ConsumerInputs   map[string]string `json:"consumerInputs"`
	}{
		Status: statusEnabled, PublisherID: event.publisher, EventType: key.Event, ResourceVersion: event.version,
		PublisherInputs: map[string]string{}, ConsumerInputs: map[string]string{},
	}
	to := h.target(key.Queue)
	b.ConsumerID, b.ConsumerActionID, _ = strings.Cut(to.consumer, "/")
	if old != nil {
		b.ID = old.ID
		maps.Copy(b.PublisherInputs, old.publisherInputs)
		maps.Copy(b.ConsumerInputs, old.consumerInputs)
		for _, name := range secretInputs {
			delete(b.ConsumerInputs, name)
		}
		unmask(b.PublisherInputs)
		unmask(b.ConsumerInputs)
	}
	if key.Project != "" {
		b.PublisherInputs["projectId"] = key.Project
	}
	maps.Copy(b.ConsumerInputs, to.inputs)
	return json.Marshal(b)
}

// mask is what the service shows instead of a secret.
const mask = "********"

// unmask leaves out the lines that the service does not show: written back, the mask
// would be the value. It returns the names of inputs that had some.
func unmask(inputs map[string]string) (masked []string) {
	for name, v := range inputs {
		lines := strings.Split(v, "\n")
		kept := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.Contains(line, mask) })
		switch {
		case len(kept) == len(lines):
			continue
		case len(kept) == 0:
			delete(inputs, name)
		default:
			inputs[name] = strings.Join(kept, "\n")
		}
		masked = append(masked, name)
	}
	slices.Sort(masked)
	return masked
}
