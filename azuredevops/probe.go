package azuredevops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

const (
	probeProjects = 3  // projects that a probe looks into
	probeRecords  = 5  // records after which it has seen enough of a kind
	probeCalls    = 40 // requests after which it has tried enough
)

// errEnough ends a listing that has used up its requests.
var errEnough = errors.New("enough has been read")

// A Probe finds out what of an organization the identity may read, by reading a
// little of each kind.
type Probe struct {
	// Total is how many projects there are; Projects are those that have no excluded
	// tag. Where there are such tags these are only the ones that are looked into.
	Total    int
	Projects []Scope

	c    *Client
	some *memo[*projectList]
}

// Probe lists the projects and chooses the first few. The error is why there is no
// list, or why the tags of a project cannot be read.
func (c *Client) Probe(ctx context.Context) (*Probe, error) {
	l := &lister{Snapshot: c.Snapshot()}
	p, list := &Probe{c: c}, &projectList{}
	for pr, err := range l.listProjects(ctx) {
		if err != nil {
			return nil, err
		}
		p.Total++
		chosen := len(list.entries) < probeProjects
		if chosen {
			out, err := l.excluded(ctx, pr)
			if err != nil {
				return nil, unknown(pr.scope, fmt.Errorf("project tags: %w", err))
			}
			if chosen = !out; chosen {
				list.entries = append(list.entries, result[*project]{value: pr})
			}
		}
		if chosen || len(c.excluded) == 0 {
			p.Projects = append(p.Projects, pr.scope)
		}
	}
	p.some = newMemo[*projectList]()
	p.some.got.Store(&result[*projectList]{value: list})
	return p, ctx.Err()
}

// Seen is what a probe saw of a kind.
type Seen struct {
	Records []Record
	// Errors are those of the parts that could not be read, and what records lack.
	Errors []error
}

// Look lists a little of a kind, with the files that the mapping wants. That it saw
// no record means nothing: other projects may have some.
func (p *Probe) Look(ctx context.Context, l *Listing, files []string) Seen {
	var seen Seen
	s := p.c.Snapshot()
	s.projects, s.left = p.some, &atomic.Int64{}
	s.left.Store(probeCalls)
	for rec, err := range l.Records(ctx, s, ListOptions{Files: files}) {
		switch {
		case errors.Is(err, errEnough):
			return seen
		case err != nil:
			seen.Errors = append(seen.Errors, err)
			continue
		}
		rec.JSON = bytes.Clone(rec.JSON)
		seen.Records = append(seen.Records, rec)
		for _, err := range rec.Missing {
			if !errors.Is(err, errEnough) {
				seen.Errors = append(seen.Errors, err)
			}
		}
		if len(seen.Records) == probeRecords {
			break
		}
	}
	return seen
}

// anonymous is the id of everybody who is not signed in.
const anonymous = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"

// Identity is the name of who is signed in. It needs no scope: an answer means that
// the credential is good.
func (c *Client) Identity(ctx context.Context) (string, error) {
	b, err := c.Sender(rest.Caller{Budget: &rest.Budget{}}).Object(ctx, &request{Route: "_apis/connectionData", Version: "7.1-preview.1"})
	if err != nil {
		return "", err
	}
	user := rawjson.Get(b, "authenticatedUser")
	if id := user.Get("id").String(); id == "" || strings.EqualFold(id, anonymous) {
		return "", ErrUnauthorized
	}
	for _, name := range []string{"customDisplayName", "providerDisplayName"} {
		if text := user.Get(name).String(); text != "" {
			return strings.Clone(text), nil
		}
	}
	return "", nil
}
