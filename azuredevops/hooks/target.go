package hooks

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

// Consumers and their actions: what Azure DevOps does with an event.
//
// https://learn.microsoft.com/azure/devops/service-hooks/consumers
const (
	webHook      = "webHooks/httpRequest"
	storageQueue = "azureStorageQueue/enqueue"
)

// A StorageQueue is where Azure DevOps puts events that it does not post.
type StorageQueue struct {
	Account, Name string
	// Key of the account, which Azure DevOps needs to write. Empty: subscriptions can
	// neither be made nor mended, those that exist are used.
	Key rest.Secret
}

// QueueOf is a StorageQueue, nil without a name.
func QueueOf(account, name, key string) *StorageQueue {
	if name == "" {
		return nil
	}
	return &StorageQueue{account, name, rest.Secret(key)}
}

const (
	queueScheme = "azure-storage-queue"
	// A message that nobody reads is kept for seven days, the longest that Azure DevOps
	// takes, and can be read at once.
	queueTTL   = "604800"
	queueDelay = "0"
	// queueKeeps is how long nobody may read before a resync has to make up for it: a
	// day less than that, to be sure.
	queueKeeps = 6 * 24 * time.Hour
)

// queueAddress stands for a queue where web hooks have a URL.
func queueAddress(account, name string) string {
	if account == "" && name == "" {
		return ""
	}
	return strings.ToLower((&url.URL{Scheme: queueScheme, Host: account, Path: "/" + name}).String())
}

// check completes the settings. The error names the one that is wrong.
func (cfg *KeeperConfig) checkTargets() error {
	var errs []error
	u, err := url.Parse(strings.TrimSpace(cfg.URL))
	if (cfg.URL != "" || cfg.Queue == nil) && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		errs = append(errs, errors.New("OCEAN__BASE_URL: want a URL that begins with https://, such as https://ocean.example.com"))
	}
	cfg.URL, cfg.Username = tidyURL(cfg.URL), cmp.Or(cfg.Username, defaultUser)
	if cfg.URL == "" {
		return errors.Join(errs...) // nothing has the credentials
	}
	if cfg.Secret != "" && !goodCredential(cfg.Secret.Reveal()) {
		errs = append(errs, fmt.Errorf("%sWEBHOOK_SECRET: %w: want 1 to %d characters without white space", rest.EnvPrefix, ErrCredential, maxCredential))
	}
	if !goodCredential(cfg.Username) || strings.Contains(cfg.Username, ":") {
		errs = append(errs, fmt.Errorf("%sWEBHOOK_AUTH_USERNAME: %w: want 1 to %d characters without white space or colon", rest.EnvPrefix, ErrCredential, maxCredential))
	}
	return errors.Join(errs...)
}

// ErrCredential says that Azure DevOps makes no subscription with the user or the
// password of the hooks. Resyncs and hooks that exist do not depend on it.
var ErrCredential = errors.New("azure devops refuses it")

func goodCredential(s string) bool {
	return s != "" && len(s) <= maxCredential && !strings.ContainsFunc(s, unicode.IsSpace)
}

// A target is where events are delivered: by web hook, or into a queue. One without an
// address is not used.
type target struct {
	consumer string
	address  string        // normalized
	shown    string        // for people
	inputs   inputs        // of a subscription, its secret included
	secret   rest.Secret   // among them
	print    func() string // hash of the credentials
}

type inputs = map[string]string

// details are the inputs that both consumers have: whole resources, which the service
// leaves out of some events unless it is asked, and no texts for people.
func details() inputs {
	return inputs{"resourceDetailsToSend": "all", "messagesToSend": "none", "detailedMessagesToSend": "none"}
}

func newWebTarget(cfg *KeeperConfig, s *state) *target {
	t := &target{
		consumer: webHook, address: urlKey(cfg.URL), shown: shownURL(cfg.URL), inputs: details(), secret: cfg.Secret,
		print: func() string { return s.print(cfg.Username, cfg.Secret) },
	}
	t.inputs["url"] = cfg.URL
	if cfg.Secret != "" {
		t.inputs["basicAuthUsername"], t.inputs["basicAuthPassword"] = cfg.Username, cfg.Secret.Reveal()
	}
	return t
}

func newQueueTarget(q *StorageQueue, s *state) *target {
	if q == nil {
		return &target{consumer: storageQueue, inputs: details(), print: func() string { return "" }}
	}
	t := &target{
		consumer: storageQueue, address: queueAddress(q.Account, q.Name), inputs: details(), secret: q.Key,
		print: func() string { return s.print(q.Account, q.Key) },
	}
	t.shown = t.address
	maps.Copy(t.inputs, inputs{
		"accountName": q.Account, "accountKey": q.Key.Reveal(), "queueName": q.Name, "ttl": queueTTL, "visiTimeout": queueDelay,
	})
	return t
}

// used tells whether events are to be delivered there.
func (t *target) used() bool { return t.address != "" }

// keyless tells that subscriptions can neither be made nor mended.
func (t *target) keyless() bool { return t.consumer == storageQueue && t.secret == "" }

const noKey = "OCEAN__HOOKS__STORAGE_ACCOUNT_KEY: without the key of the storage account no subscription can be made that puts events into the queue, nor mended"

// secretInputs are those that the service does not show, and the user that belongs to
// one of them: they are ours.
var secretInputs = []string{"basicAuthUsername", "basicAuthPassword", "accountKey"}

// target is where subscriptions of a topic deliver.
func (h *organization) target(queue bool) *target {
	if queue {
		return h.queue
	}
	return h.web
}

// shown are the addresses, for people.
func (h *organization) shown() string {
	both := slices.DeleteFunc([]string{h.web.shown, h.queue.shown}, func(s string) bool { return s == "" })
	return strings.Join(both, " and ")
}

// consumers are those whose subscriptions may be ours: there were queues, or there is
// one.
func (h *organization) consumers() []string {
	for at := range h.oldURLs(false) {
		if strings.HasPrefix(at, queueScheme+":") {
			return []string{webHook, storageQueue}
		}
	}
	if h.queue.used() {
		return []string{webHook, storageQueue}
	}
	return []string{webHook}
}

// queue tells whether a subscription puts events into a queue.
func (s *Subscription) queue() bool { return s.consumer == storageQueue }

// address is where a subscription delivers, normalized.
func (s *Subscription) address() string {
	if s.queue() {
		return queueAddress(s.consumerInputs["accountName"], s.consumerInputs["queueName"])
	}
	return urlKey(s.consumerInputs["url"])
}

// label names the event of a subscription, for people.
func (s *Subscription) label() string {
	if s.queue() {
		return s.Event + " (storage queue)"
	}
	return s.Event
}
