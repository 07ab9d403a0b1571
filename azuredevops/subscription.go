package azuredevops

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
)

// HooksConfig says where Azure DevOps is to deliver events.
type HooksConfig struct {
	URL     string   // of the receiver, as it is seen from Azure DevOps: {base}{prefix}/integration/webhook
	OldURLs []string // that this installation had before; subscriptions that deliver there are moved
	// Secret is the password that deliveries carry, 1 to 256 characters without
	// white space; empty means none. Username goes with it; empty means "port".
	Secret   Secret
	Username string
	// PerProject makes a set of subscriptions for each project without an
	// excluded tag, else there is one for the whole organization.
	PerProject bool
	// EnableDisabledByUser switches on again what a person has switched off.
	EnableDisabledByUser bool
	MaxDeletions         int        // per run; 0 means 200
	State                *HookState // nil means one in memory
	Log                  *slog.Logger
}

const (
	defaultHookUser     = "port"
	defaultMaxDeletions = 200
	maxHookCredential   = 256 // live-events.md 2.2
)

// Hooks look after the service hook subscriptions of one organization. What it
// finds and does is told in a HookReport; nothing is done to subscriptions of
// others. Its methods run one at a time, others wait.
type Hooks struct {
	c     *Client
	cfg   HooksConfig
	url   string // normalized
	state *HookState
	log   *slog.Logger

	print func() string // hash of the credentials

	turn     chan struct{} // held by the method that runs
	reported string        // refusals that the log has seen
}

// NewHooks checks cfg. It dials nothing. The error names the setting.
func NewHooks(c *Client, cfg HooksConfig) (*Hooks, error) {
	var errs []error
	if u, err := url.Parse(strings.TrimSpace(cfg.URL)); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, errors.New("OCEAN__BASE_URL: want a URL that begins with https://, such as https://ocean.example.com"))
	}
	if cfg.Secret != "" && !goodHookCredential(cfg.Secret.Reveal()) {
		errs = append(errs, fmt.Errorf("%sWEBHOOK_SECRET: want 1 to %d characters without white space", envPrefix, maxHookCredential))
	}
	cfg.Username = cmp.Or(cfg.Username, defaultHookUser)
	if !goodHookCredential(cfg.Username) || strings.Contains(cfg.Username, ":") {
		errs = append(errs, fmt.Errorf("%sWEBHOOK_AUTH_USERNAME: want 1 to %d characters without white space or colon", envPrefix, maxHookCredential))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if cfg.MaxDeletions <= 0 {
		cfg.MaxDeletions = defaultMaxDeletions
	}
	if cfg.State == nil {
		cfg.State = NewHookState()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.URL = hookURL(cfg.URL)
	return &Hooks{
		c: c, cfg: cfg, url: hookURLKey(cfg.URL), state: cfg.State,
		log:   cfg.Log.With("organization", c.Organization()),
		print: sync.OnceValue(func() string { return cfg.State.print(cfg.Username, cfg.Secret) }),
		turn:  make(chan struct{}, 1),
	}, nil
}

func goodHookCredential(s string) bool {
	return s != "" && len(s) <= maxHookCredential && !strings.ContainsFunc(s, unicode.IsSpace)
}

// lock waits for the methods that run.
func (h *Hooks) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case h.turn <- struct{}{}:
		return func() { <-h.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Wanted says what subscriptions are for.
type Wanted struct {
	Kinds   []string // that the mapping has, those of blocks that were rejected too
	GitOps  bool     // port.yml files are read on pushes
	Actions bool     // action runs wait for their pipelines
}

// Events are the types of events that are needed, sorted.
func (w Wanted) Events() []string {
	events := EventsOf(w.Kinds...)
	if w.GitOps {
		events = append(events, "git.push")
	}
	if w.Actions {
		events = append(events, runStateChanged)
	}
	slices.Sort(events)
	return slices.Compact(events)
}

// A hookKey is what there must be exactly one subscription for. Project is
// empty for the whole organization.
type hookKey struct {
	Event, Project string
}

func (k hookKey) String() string { return strings.TrimSpace(k.Event + " " + k.Project) }

// Values of Subscription.Status.
const (
	HookEnabled        = "enabled"
	HookOnProbation    = "onProbation"
	HookDisabledByUser = "disabledByUser"
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

func (s *Subscription) key() hookKey { return hookKey{s.Event, s.Project} }

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

// hookURL is the address that subscriptions get: without user, fragment, double
// and trailing slashes, as the Python integration would have it from a tidy base
// URL (S-14).
func hookURL(raw string) string {
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

// hookURLKey is equal for addresses that mean the same.
func hookURLKey(raw string) string {
	u, err := url.Parse(hookURL(raw))
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
	return plainURL(u)
}

// body is what is sent to create or replace a subscription. old is nil or the
// one that is replaced: what others may have set on it (headers for a gateway,
// say) stays. Without pinned the service chooses the version of the resource.
func (h *Hooks) body(key hookKey, old *Subscription, pinned bool) ([]byte, error) {
	event := hookEvents[key.Event]
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
		Status: HookEnabled, PublisherID: event.publisher, EventType: key.Event, ResourceVersion: event.version,
		PublisherInputs: map[string]string{}, ConsumerInputs: map[string]string{},
	}
	b.ConsumerID, b.ConsumerActionID, _ = strings.Cut(webHook, "/")
	if old != nil {
		b.ID = old.ID
		maps.Copy(b.PublisherInputs, old.publisherInputs)
		maps.Copy(b.ConsumerInputs, old.consumerInputs)
		delete(b.ConsumerInputs, "basicAuthUsername")
		delete(b.ConsumerInputs, "basicAuthPassword")
	}
	if key.Project != "" {
		b.PublisherInputs["projectId"] = key.Project
	}
	maps.Copy(b.ConsumerInputs, h.inputs())
	return json.Marshal(b)
}

// inputs are the consumer inputs that we decide on. Deliveries carry whole
// resources, which the service leaves out of some unless it is asked
// (live-events.md 2.13), and no texts for people.
func (h *Hooks) inputs() map[string]string {
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
