package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/rest"
	"github.com/ado-port/ado-port/mapping/resync"
)

const (
	tokenVariable = rest.EnvPrefix + "PERSONAL_ACCESS_TOKEN"
	tokenPage     = "Azure DevOps: User settings, Personal access tokens" //nolint:gosec // no credential
)

// A refusal is an organization that could not be listed.
type refusal struct {
	org *azuredevops.Client
	err error
}

// azureDevOps signs in to every organization and lists its projects. What a refusal
// means depends on the others, so refusals come last.
func (c *check) azureDevOps(ctx context.Context) {
	var refused []refusal
	taken := false
	for i, org := range c.cfg.Organizations {
		ctx, cancel := context.WithTimeout(ctx, patience)
		_, ahead, known, err := reach(ctx, c.cfg.OtherSide, org.Organization())
		if err != nil {
			cancel()
			c.fail("azure devops", org.Organization(), "it cannot be reached: "+err.Error(),
				"check the address, the firewall, the proxy (HTTPS_PROXY) and its certificate (SSL_CERT_FILE)")
			continue
		}
		c.clock(org.Organization(), ahead, known)
		p, err := org.Probe(ctx)
		if err != nil {
			refused = append(refused, refusal{org, err})
			cancel()
			continue
		}
		taken = true
		c.probes[i] = p
		who := ""
		if name, err := org.Identity(ctx); err == nil && name != "" {
			who = " as " + name
		}
		cancel()
		if p.Total == 0 {
			c.warn("azure devops", org.Organization(), "signed in"+who+", but it shows no project", "give the identity Reader in the projects")
			continue
		}
		c.ok("azure devops", org.Organization(), "signed in%s; it shows %s", who, count(p.Total, "project"))
	}
	for _, r := range refused {
		text, remedy := c.explain(ctx, r, taken)
		c.fail("azure devops", r.org.Organization(), text, remedy)
	}
}

// explain says what a refused list of projects means, and what to do.
func (c *check) explain(ctx context.Context, r refusal, elsewhere bool) (text, remedy string) {
	e, _ := errors.AsType[*rest.Error](r.err)
	status := 0
	if e != nil {
		status = e.StatusCode
	}
	switch {
	case !errors.Is(r.err, azuredevops.ErrUnauthorized) && status == http.StatusNotFound:
		return "there is no such organization (404)", "check " + rest.EnvPrefix + "ORGANIZATION_URL: want https://dev.azure.com/ and the name of the organization"
	case errors.Is(r.err, azuredevops.ErrForbidden):
		return r.err.Error(), "give the identity access to the organization, and Reader in the projects"
	case !errors.Is(r.err, azuredevops.ErrUnauthorized):
		return r.err.Error(), "try again later; a resync would fail now"
	case !c.usesToken():
		return r.err.Error(), "see what the line says; the identity needs access to the organization (Organization settings, Users)"
	case elsewhere:
		return fmt.Sprintf("it does not take the personal access token (%d), another organization does", status),
			"create a token for all accessible organizations, of a user who has access to this one, and set " + tokenVariable
	}
	asking, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if who, err := r.org.Identity(asking); err == nil {
		return fmt.Sprintf("signed in as %s, but the personal access token may not list projects", who),
			"add the scope Project and Team (Read) to the token (" + tokenPage + ")"
	}
	if status == http.StatusUnauthorized {
		return "the personal access token is refused (401): it has expired, was revoked or is of another organization",
			"extend it or create a new one (" + tokenPage + ") and set " + tokenVariable
	}
	return fmt.Sprintf("the personal access token is not known (%d, sign-in page): it is wrong or mistyped", status),
		"copy the whole token, or create a new one (" + tokenPage + "), and set " + tokenVariable
}

// kindsAtOnce is how many kinds of an organization are tried at the same time.
const kindsAtOnce = 4

// A sample is what was read for the resources of one listing.
type sample struct {
	group   *resync.Group
	records []azuredevops.Record
}

// kinds reads a little of every kind of the mapping.
func (c *check) kinds(ctx context.Context) {
	if c.mapping == nil {
		return
	}
	groups, err := resync.Groups(c.mapping.Resources)
	if err != nil {
		c.fail("mapping", "", err.Error(), "correct the mapping")
		return
	}
	for i, p := range c.probes {
		if p == nil {
			continue
		}
		seen := make([]azuredevops.Seen, len(groups))
		var at errgroup.Group
		at.SetLimit(kindsAtOnce)
		for n, g := range groups {
			at.Go(func() error {
				ctx, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				seen[n] = p.Look(ctx, g.Listing, g.Files)
				return nil
			})
		}
		_ = at.Wait() // nobody returns an error
		for n, g := range groups {
			c.samples = append(c.samples, sample{g, seen[n].Records})
			c.kind(c.cfg.Organizations[i], g, seen[n], p)
		}
	}
}

// kind says what came of one kind.
func (c *check) kind(org *azuredevops.Client, g *resync.Group, seen azuredevops.Seen, p *azuredevops.Probe) {
	name := g.Listing.Kind
	subject := name + " (" + blocks(g) + ")"
	if len(c.cfg.Organizations) > 1 {
		subject += " in " + org.OrganizationName()
	}
	i := slices.IndexFunc(seen.Errors, func(err error) bool {
		return errors.Is(err, azuredevops.ErrUnauthorized) || errors.Is(err, azuredevops.ErrForbidden)
	})
	if i < 0 && len(seen.Errors) > 0 {
		i = 0
	}
	if i < 0 && len(seen.Records) == 0 {
		c.ok("kind", subject, "nothing was refused; no record was found in %s", count(min(p.Total, 3), "project"))
		return
	}
	if i < 0 {
		c.ok("kind", subject, "can be read; %s of %s looked at", count(len(seen.Records), "record"), count(min(p.Total, 3), "project"))
		return
	}
	err := seen.Errors[i]
	switch scope := azuredevops.ScopeFor(err); {
	case errors.Is(err, azuredevops.ErrNotOffered):
		c.warn("kind", subject, "this server does not offer it", "remove the kind from the mapping; its entities are kept")
	case errors.Is(err, azuredevops.ErrUnauthorized) && c.usesToken() && scope != "":
		c.fail("kind", subject, "the personal access token lacks the scope "+scope, "add the scope "+scope+" to the token ("+tokenPage+")")
	case errors.Is(err, azuredevops.ErrUnauthorized), errors.Is(err, azuredevops.ErrForbidden) && len(seen.Records) == 0:
		c.fail("kind", subject, err.Error(), needs(scope))
	case errors.Is(err, azuredevops.ErrForbidden):
		c.warn("kind", subject, "a part of it cannot be read: "+err.Error(), needs(scope))
	default:
		c.warn("kind", subject, "a part of it could not be read: "+err.Error(), "try again; what stays unreadable keeps its entities")
	}
}

// needs is advice for an identity without scopes, or one that lacks a permission.
func needs(scope string) string {
	switch area, _, _ := strings.Cut(scope, " ("); area {
	case "Advanced Security":
		return "give the identity the permission Advanced Security: read alerts in the repository"
	case "Graph", "Member Entitlement Management":
		return "let the identity read users and groups of the organization (Organization settings, Permissions)"
	case "":
		return "give the identity Reader in the project"
	default:
		return "give the identity Reader in the project, and the permission to view " + area
	}
}

// blocks names the blocks of a listing as people count them in the mapping.
func blocks(g *resync.Group) string {
	var out []string
	for _, r := range g.Resources {
		out = append(out, fmt.Sprintf("resources[%d]", r.Index))
	}
	return strings.Join(out, ", ")
}
