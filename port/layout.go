package port

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// A Feature is the part of the installation that reads or writes entities. Port
// keeps it with the writer of an entity: the entities of one feature are not
// those of another. The zero value is FeatureExporter.
type Feature uint8

// The features that Port knows.
const (
	FeatureExporter Feature = iota // resync and live events
	FeatureGitOps                  // entities that spec files in repositories declare
	features
)

// String is the last segment of the User-Agent.
func (f Feature) String() string {
	if f == FeatureGitOps {
		return "gitops"
	}
	return "exporter"
}

// layoutState knows the order of the User-Agent. Until auto is decided calls
// that do not touch entities use the documented one, because Port does not keep theirs.
type layoutState struct {
	plain    [2][]string           // layout (documented, ocean) → header
	agents   [2][features][]string // of calls about entities
	chosen   atomic.Int32          // index into plain and agents
	decided  atomic.Bool
	deciding sync.Mutex
}

func (l *layoutState) init(cfg ClientConfig) {
	documented := join("port-ocean", cfg.IntegrationType, cfg.Identifier, cfg.Version)
	ocean := join("port-ocean", cfg.IntegrationType, cfg.Version, cfg.Identifier)
	for i, s := range []string{documented, ocean} {
		l.plain[i] = []string{s}
		for f := range features {
			l.agents[i][f] = []string{s + "/" + f.String()}
		}
	}
	if cfg.UserAgentLayout == LayoutOcean {
		l.chosen.Store(1)
	}
	l.decided.Store(cfg.UserAgentLayout != LayoutAuto)
}

func join(parts ...string) string { return strings.Join(parts, "/") }

// agent is the header of a call.
func (l *layoutState) agent(k *call) []string {
	layout := l.chosen.Load()
	if k.entities {
		return l.agents[layout][k.feature]
	}
	return l.plain[layout]
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
			q := c.ownedQueries(FeatureExporter)[1]
			q.Limit = 1
			page, err := c.ownedPage(ctx, FeatureExporter, q)
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

// ownedQueries are the queries for what this installation wrote with a feature,
// documented layout first. The version is left open: it changes with releases.
func (c *Client) ownedQueries(f Feature) [2]ownedRequest {
	kind := "port-ocean/" + c.cfg.IntegrationType + "/"
	return [2]ownedRequest{
		{Prefix: kind + c.cfg.Identifier + "/", Suffix: "/" + f.String(), Limit: ownedPageSize},
		{Prefix: kind, Suffix: "/" + c.cfg.Identifier + "/" + f.String(), Limit: ownedPageSize},
	}
}

// integrationPath is the path of the installation with a tail.
func (c *Client) integrationPath(tail string) string {
	return "/integration/" + url.PathEscape(c.cfg.Identifier) + tail
}
