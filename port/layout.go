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
	ocean   atomic.Bool // the order of the Python integration
	mu      sync.Mutex  // held while it is decided
	decided bool
}

// agent is the User-Agent of a call.
func (c *Client) agent(k *call) string {
	if c.cfg.UserAgent != "" {
		return c.cfg.UserAgent
	}
	names := []string{"port-ocean", c.cfg.IntegrationType, c.cfg.Identifier, c.cfg.Version}
	if c.layout.ocean.Load() {
		names[2], names[3] = names[3], names[2]
	}
	if k.entities {
		names = append(names, k.feature.String())
	}
	return strings.Join(names, "/")
}

// decideLayout decides which order of identifier and version this installation
// writes under. It asks Port once when the setting is auto: where entities in the
// order of the Python integration exist, that order is kept, because otherwise the
// same entity would have a second owner.
func (c *Client) decideLayout(ctx context.Context) error {
	l := &c.layout
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.decided {
		return nil
	}
	q := c.ownedQueries()[1]
	q.Limit = 1
	page, err := c.ownedPage(ctx, q)
	if err != nil {
		return err
	}
	l.ocean.Store(len(page.refs) > 0)
	l.decided = true
	return nil
}

// ownedQueries are the queries for what this installation wrote as an exporter,
// documented layout first. The version is left open: it changes with releases.
func (c *Client) ownedQueries() [2]ownedRequest {
	kind, feature := "port-ocean/"+c.cfg.IntegrationType+"/", "/"+FeatureExporter.String()
	return [2]ownedRequest{
		{Prefix: kind + c.cfg.Identifier + "/", Suffix: feature, Limit: ownedPageSize},
		{Prefix: kind, Suffix: "/" + c.cfg.Identifier + feature, Limit: ownedPageSize},
	}
}

// integrationPath is the path of the installation with a tail.
func (c *Client) integrationPath(tail string) string {
	return "/integration/" + url.PathEscape(c.cfg.Identifier) + tail
}
