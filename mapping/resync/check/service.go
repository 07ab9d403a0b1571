package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/port/ocean"
)

// address looks at the public address. From here it may be out of reach for good
// reasons, so what cannot be reached is a warning only.
func (c *check) address(ctx context.Context) {
	const example = "such as https://ocean.example.com"
	base := strings.TrimRight(c.cfg.Settings.BaseURL, "/")
	switch {
	case !c.live():
		c.ok("base url", "", "not needed: the event listener follows no live events")
		return
	case base == "" && c.cfg.Settings.StorageQueue.URL != "":
		c.ok("base url", "", "not needed: events come through the storage queue")
		return
	case base == "":
		c.warn("base url", "", "OCEAN__BASE_URL is not set: there are no live events, changes arrive with the next resync",
			"set it to the address at which Azure DevOps reaches the service, "+example+", or use a storage queue (OCEAN__HOOKS__STORAGE_QUEUE_URL)")
		return
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		c.fail("base url", "", "OCEAN__BASE_URL is no address", "want an address that begins with https://, "+example)
		return
	}
	switch {
	case u.Scheme == "http" && c.cfg.AzureDevOps.WebhookSecret != "":
		c.fail("base url", "", base+" is not https: Azure DevOps sends the password of deliveries over https only", "serve the address over https, or unset the secret")
		return
	case u.Scheme == "http":
		c.warn("base url", "", base+" is not https: deliveries can be read and made up on their way", "serve the address over https")
	}
	if private(u.Hostname()) && !c.onServer() {
		c.warn("base url", "", base+" is an address of a private network, which Azure DevOps Services does not reach", "publish the service, "+example)
		return
	}
	status, _, _, err := reach(ctx, c.cfg.OtherSide, c.cfg.Settings.PublicURL("/health/live"))
	const remedy = "when the service runs, and the address can be reached from here: check DNS, ingress and certificate; otherwise look from outside"
	switch {
	case err != nil:
		c.warn("base url", "", fmt.Sprintf("%s does not answer from here: %v", base, err), remedy)
	case status >= http.StatusInternalServerError || status == http.StatusNotFound:
		c.warn("base url", "", fmt.Sprintf("%s answers from here, but no service behind it (%d)", base, status), remedy)
	default:
		c.ok("base url", "", "%s answers from here", base)
	}
}

// live tells whether live events are to be followed.
func (c *check) live() bool { return c.cfg.Settings.FollowsEvents() }

func (c *check) onServer() bool {
	for _, org := range c.cfg.Organizations {
		if !org.OnServer() {
			return false
		}
	}
	return true
}

// private tells whether a host is certain not to be reachable from the internet.
func private(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".internal") || !strings.Contains(host, ".")
}

// queue sends a message through the storage queue and reads it again.
func (c *check) queue(ctx context.Context) {
	q := &c.cfg.Settings.StorageQueue
	if !c.live() || q.URL == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	other, err := c.cfg.ProveQueue(ctx)
	switch {
	case err != nil:
		c.fail("storage queue", "", fmt.Sprintf("no message gets through %s: %v", q.URL, err), "the account has to be reachable from here, and the identity or the key able to make the queue, and to add, read and delete messages")
	case other:
		c.ok("storage queue", "", "a message was sent, and a running service has read it")
	default:
		c.ok("storage queue", "", "a message was sent and read")
	}
	if q.AccountKey == "" {
		c.warn("storage queue", "", "OCEAN__HOOKS__STORAGE_ACCOUNT_KEY is not set: the queue can be read, but no subscription can be made that puts events into it",
			"set the key of the storage account: Azure DevOps needs it to write")
	}
}

// sharedQueue has the Redis that several processes share do what they need of it.
func (c *check) sharedQueue(ctx context.Context) {
	if c.cfg.ProveSharedQueue == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := c.cfg.ProveSharedQueue(ctx)
	if err != nil {
		c.fail("shared queue", "", "Redis cannot be used: "+err.Error(), "correct OCEAN__SHARED_QUEUE_URL, or the user and the network of this Redis")
		return
	}
	if p == nil {
		return
	}
	for _, l := range p.Losses {
		c.warn("shared queue", "", "Redis can lose deliveries that were acknowledged: "+l.Text, l.Remedy)
	}
	if p.Silent {
		c.warn("shared queue", "", "Redis does not let this user ask whether it keeps its data",
			"allow the user INFO (+info), or see that it has appendonly yes and maxmemory-policy noeviction")
	}
	c.ok("shared queue", "", "%s can be used", strings.TrimSpace("Redis "+p.Version))
}

// hooks looks whether the service may look after its subscriptions.
func (c *check) hooks(ctx context.Context) {
	if !c.live() || c.cfg.Settings.BaseURL == "" && c.cfg.Settings.StorageQueue.URL == "" {
		return
	}
	k, err := c.cfg.Keeper()
	if err != nil {
		c.fail("service hooks", "", err.Error(), "correct the setting: the service does not start with it")
		return
	}
	const give = "make the identity a project administrator, or give it View, Edit and Delete Subscriptions (a collection administrator can, in the namespace ServiceHooks)"
	for i, org := range c.cfg.Organizations {
		if c.probes[i] == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		a := k.Allowed(ctx, org, c.probes[i].Projects)
		cancel()
		subject := org.Organization()
		switch {
		case errors.Is(a.Unlisted, azuredevops.ErrUnauthorized) && c.usesToken():
			c.fail("service hooks", subject, "the personal access token may not list subscriptions", "give the token one of the scopes Code, Build and Work Items (Read): they include service hooks")
		case errors.Is(a.Unlisted, azuredevops.ErrForbidden):
			c.fail("service hooks", subject, "subscriptions may not be listed: "+a.Unlisted.Error(), give)
		case a.Unlisted != nil:
			c.warn("service hooks", subject, "not checked: "+a.Unlisted.Error(), "try again")
		case len(a.Refused) > 0:
			c.fail("service hooks", subject, "subscriptions may be listed, but not written in "+some(a.Refused), give)
		case a.Unknown != nil:
			c.warn("service hooks", subject, "subscriptions may be listed; whether they may be written cannot be asked: "+a.Unknown.Error(),
				"see what `ado-port hooks` says when the service has run")
		default:
			c.ok("service hooks", subject, "subscriptions may be listed and written")
		}
	}
}

// some names a few of many.
func some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// leastFree is what the state should find free on its volume: deliveries that wait
// may take 1 GiB, the memory of Azure DevOps 256 MiB.
const leastFree = 512 << 20

// state looks at the state directory.
func (c *check) state() {
	s, err := ocean.InspectState(c.cfg.Settings.StateDirectory, c.cfg.Environ)
	const remedy = "name a directory on a volume with OCEAN__STATE_DIRECTORY"
	switch {
	case err != nil && s.Directory == "" && c.cfg.Settings.StateDirectory != "":
		c.fail("state", "", err.Error(), "see what the line says, or name another directory with OCEAN__STATE_DIRECTORY")
	case err != nil:
		c.warn("state", "", "no directory can be used, so everything stays in memory and is lost at a restart: "+strings.ReplaceAll(err.Error(), "\n", "; "), remedy)
	case s.Free > 0 && s.Free < leastFree:
		c.warn("state", "", fmt.Sprintf("%s has only %d MiB free", s.Directory, s.Free>>20), "make room: deliveries that wait may take 1 GiB")
	case s.Exists:
		c.ok("state", "", "%s can be used%s", s.Directory, free(s.Free))
	default:
		c.ok("state", "", "%s can be made%s", s.Directory, free(s.Free))
	}
}

func free(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d MiB are free", n>>20)
}
