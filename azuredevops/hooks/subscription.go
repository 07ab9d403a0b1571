package hooks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

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
	c     *azuredevops.Client
	cfg   KeeperConfig
	url   string // normalized
	state *state
	log   *slog.Logger

	print func() string // hash of the credentials

	reading azuredevops.Reading // of the list of projects

	turn     chan struct{} // held by the method that runs
	reported string        // refusals that the log has seen
	health   *healthBook
}

// check completes the settings. The error names the one that is wrong.
func (cfg *KeeperConfig) check() error {
	var errs []error
	if u, err := url.Parse(strings.TrimSpace(cfg.URL)); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, errors.New("OCEAN__BASE_URL: want a URL that begins with https://, such as https://ocean.example.com"))
	}
	if cfg.Secret != "" && !goodCredential(cfg.Secret.Reveal()) {
		errs = append(errs, fmt.Errorf("%sWEBHOOK_SECRET: %w: want 1 to %d characters without white space", rest.EnvPrefix, ErrCredential, maxCredential))
	}
	cfg.Username = cmp.Or(cfg.Username, defaultUser)
	if !goodCredential(cfg.Username) || strings.Contains(cfg.Username, ":") {
		errs = append(errs, fmt.Errorf("%sWEBHOOK_AUTH_USERNAME: %w: want 1 to %d characters without white space or colon", rest.EnvPrefix, ErrCredential, maxCredential))
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.URL = tidyURL(cfg.URL)
	return errors.Join(errs...)
}

// newOrganization takes settings that have been checked.
func newOrganization(c *azuredevops.Client, cfg KeeperConfig, s *state) *organization {
	return &organization{
		c: c, cfg: cfg, url: urlKey(cfg.URL), state: s,
		log:   cfg.Log.With("organization", c.Organization()),
		print: sync.OnceValue(func() string { return s.print(cfg.Username, cfg.Secret) }),
		turn:  make(chan struct{}, 1), health: newHealthBook(c.OrganizationName()),
	}
}

// ErrCredential says that Azure DevOps makes no subscription with the user or the
// password of the hooks. Resyncs and hooks that exist do not depend on it.
var ErrCredential = errors.New("azure devops refuses it")

func goodCredential(s string) bool {
	return s != "" && len(s) <= maxCredential && !strings.ContainsFunc(s, unicode.IsSpace)
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
}

func (k topic) String() string { return strings.TrimSpace(k.Event + " " + k.Project) }

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
	URL         string    `json:"url"` // without user, password and query
	Created     time.Time `json:"created,omitzero"`
	Modified    time.Time `json:"modified,omitzero"`
	Probed      time.Time `json:"probed,omitzero"` // last try on probation

	version         string
	consumer        string // consumer/action
	publisherInputs map[string]string
	consumerInputs  map[string]string
}

func (s *Subscription) key() topic { return topic{s.Event, s.Project} }

const webHook = "webHooks/httpRequest"

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
	b.ConsumerID, b.ConsumerActionID, _ = strings.Cut(webHook, "/")
	if old != nil {
		b.ID = old.ID
		maps.Copy(b.PublisherInputs, old.publisherInputs)
		maps.Copy(b.ConsumerInputs, old.consumerInputs)
		delete(b.ConsumerInputs, "basicAuthUsername")
		delete(b.ConsumerInputs, "basicAuthPassword")
		unmask(b.PublisherInputs)
		unmask(b.ConsumerInputs)
	}
	if key.Project != "" {
		b.PublisherInputs["projectId"] = key.Project
	}
	maps.Copy(b.ConsumerInputs, h.inputs())
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

// inputs are the consumer inputs that we decide on. Deliveries carry whole
// resources, which the service leaves out of some unless it is asked, and no texts for people.
func (h *organization) inputs() map[string]string {
	in := map[string]string{
		"url":                    h.cfg.URL,
		"resourceDetailsToSend":  "all",
		"messagesToSend":         "none",
		"detailedMessagesToSend": "none",
	}
	if h.cfg.Secret != "" {
		in["basicAuthUsername"], in["basicAuthPassword"] = h.cfg.Username, h.cfg.Secret.Reveal()
	}
	return in
}
