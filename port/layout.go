package port

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// exporter is the feature under which entities of a resync and of live events
// are written, as opposed to gitops.
const exporter = "exporter"

// layoutState knows the order of the User-Agent. Until auto is decided calls
// that do not touch entities use the documented one: nobody keeps theirs.
type layoutState struct {
	agents   [2][2][]string // layout (documented, ocean) and feature (none, exporter) → header
	chosen   atomic.Int32   // index into agents
	decided  atomic.Bool
	deciding sync.Mutex
}

func (l *layoutState) init(cfg ClientConfig) {
	documented := join("port-ocean", cfg.IntegrationType, cfg.Identifier, cfg.Version)
	ocean := join("port-ocean", cfg.IntegrationType, cfg.Version, cfg.Identifier)
	for i, s := range []string{documented, ocean} {
		l.agents[i] = [2][]string{{s}, {s + "/" + exporter}}
	}
	if cfg.UserAgentLayout == LayoutOcean {
		l.chosen.Store(1)
	}
	l.decided.Store(cfg.UserAgentLayout != LayoutAuto)
}

func join(parts ...string) string { return strings.Join(parts, "/") }

func (l *layoutState) agent(exporter bool) []string {
	a := &l.agents[l.chosen.Load()]
	if exporter {
		return a[1]
	}
	return a[0]
}

// Layout decides which order of identifier and version this installation
// writes under, and remembers it. It asks Port once when the setting is auto:
// where entities in the order of the Python integration exist, that order is
// kept, because otherwise the same entity would have a second owner.
func (c *Client) Layout(ctx context.Context) (Layout, error) {
	l := &c.layout
	if !l.decided.Load() {
		l.deciding.Lock()
		defer l.deciding.Unlock()
		if !l.decided.Load() {
			q := c.ownedQueries()[1]
			q.Limit = 1
			page, err := c.ownedPage(ctx, q)
			if err != nil {
				return "", err
			}
			if len(page.refs) > 0 {
				l.chosen.Store(1)
			}
			l.decided.Store(true)
		}
	}
	if l.chosen.Load() == 1 {
		return LayoutOcean, nil
	}
	return LayoutDocumented, nil
}

// ownedQueries are the queries for what this installation wrote as exporter,
// documented layout first. The version is left open: it changes with releases.
func (c *Client) ownedQueries() [2]ownedRequest {
	kind := "port-ocean/" + c.cfg.IntegrationType + "/"
	return [2]ownedRequest{
		{Prefix: kind + c.cfg.Identifier + "/", Suffix: "/" + exporter, Limit: ownedPageSize},
		{Prefix: kind, Suffix: "/" + c.cfg.Identifier + "/" + exporter, Limit: ownedPageSize},
	}
}

// integrationPath is the path of the installation with a tail.
func (c *Client) integrationPath(tail string) string {
	return "/integration/" + url.PathEscape(c.cfg.Identifier) + tail
}
