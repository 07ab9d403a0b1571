package ocean

import (
	"errors"
	"net/url"
	"regexp"
	"strings"

	"github.com/ado-port/ado-port/port"
)

// StorageQueue is where live events come from without a public address.
type StorageQueue struct {
	// URL has no trailing slash.
	URL string `env:"STORAGE_QUEUE_URL" form:"url" doc:"Queue of an Azure Storage account into which Azure DevOps puts events, such as https://ACCOUNT.queue.core.windows.net/QUEUE: live events without a public address. It is made when it is missing."`
	// AccountKey is base64.
	AccountKey port.Secret `env:"STORAGE_ACCOUNT_KEY" doc:"Key of that storage account. Subscriptions cannot be made without it: Azure DevOps needs it to write. Unset, the queue is read with the identity of the process (environment, workload identity, managed identity)."`
}

// Names as Azure Storage has them.
//
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
var (
	storageAccount = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	queueName      = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)
)

// Parts are the storage account and the name of the queue, empty when there is none.
func (q *StorageQueue) Parts() (account, name string) {
	account, name, _ = q.parts()
	return account, name
}

// parts reads the URL. A host that is no account of its own, as that of an emulator,
// has the account in the path.
func (q *StorageQueue) parts() (account, name string, ok bool) {
	u, err := url.Parse(q.URL)
	if err != nil || q.URL == "" {
		return "", "", err == nil
	}
	path := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch len(path) {
	case 1:
		account, _, ok = strings.Cut(u.Hostname(), ".")
		name = path[0]
	case 2:
		account, name, ok = path[0], path[1], true
	}
	plain := u.RawQuery == "" && u.Fragment == "" && u.User == nil
	if !ok || !plain || !storageAccount.MatchString(account) || len(name) > 63 || !queueName.MatchString(name) {
		return "", "", false
	}
	return account, name, true
}

// Validate refuses what is no queue, and a key for none.
func (q *StorageQueue) Validate() error {
	if _, _, ok := q.parts(); !ok {
		return errors.New("OCEAN__HOOKS__STORAGE_QUEUE_URL: want the address of a queue, such as https://ACCOUNT.queue.core.windows.net/QUEUE, " +
			"without a signature; a name has 3 to 63 lower-case letters, digits and single hyphens")
	}
	if q.URL == "" && q.AccountKey != "" {
		return errors.New("OCEAN__HOOKS__STORAGE_ACCOUNT_KEY is set without OCEAN__HOOKS__STORAGE_QUEUE_URL: want the address of the queue too")
	}
	return nil
}

// FollowsEvents reports whether this process handles live events: it does not where it
// ends after one resync.
func (s *Settings) FollowsEvents() bool {
	return s.EventListener.ProcessesWebhooks() && s.EventListener.Type != ListenOnce || s.EventsOnly()
}

// EventsOnly reports whether this process ends after it has handled what waits in the
// storage queue.
func (s *Settings) EventsOnly() bool { return s.EventListener.Type == ListenOnce && s.OnceEventsOnly }
