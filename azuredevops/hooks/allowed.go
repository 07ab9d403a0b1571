package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

const (
	// The permissions on subscriptions, View, Edit and Delete, are bits of this
	// namespace; the places where they are given are called PublisherSecurity.
	//
	// https://learn.microsoft.com/azure/devops/organizations/security/namespace-reference
	hooksNamespace = "cb594ebe-87dd-4fc9-ac2c-6a10a4c92046"
	hooksPlace     = "PublisherSecurity"
	hooksBits      = "7"

	placesAtOnce = 25  // an address is limited to 2,000 characters in places
	mostPlaces   = 250 // projects that are asked about
)

// An Allowance is what the identity may do with the subscriptions of an organization.
type Allowance struct {
	// Unlisted is why the subscriptions cannot be seen; nil: they can.
	Unlisted error
	// Unknown is why nobody can say whether it may write them; nil: that is known.
	Unknown error
	// Refused are the projects in which it may not, or the whole organization.
	Refused []string
}

// Allowed finds out whether the identity may look after the subscriptions of an
// organization, without writing any.
func (k *Keeper) Allowed(ctx context.Context, org *azuredevops.Client, projects []azuredevops.Scope) Allowance {
	i := slices.IndexFunc(k.each, func(o *organization) bool { return o.c == org })
	if i < 0 {
		return Allowance{Unknown: errors.New("the organization has no subscriptions")}
	}
	h := k.each[i]
	ask := h.asks()
	var a Allowance
	if _, a.Unlisted = h.list(ctx, ask, rest.Core, publishers()[0], "", webHook); a.Unlisted != nil {
		return a
	}
	if !h.cfg.PerProject {
		projects = []azuredevops.Scope{{}}
	}
	for some := range slices.Chunk(projects[:min(len(projects), mostPlaces)], placesAtOnce) {
		may, err := h.mayWrite(ctx, ask, some)
		if err != nil {
			a.Unknown = err
			return a
		}
		for i, p := range some {
			if !may[i] {
				a.Refused = append(a.Refused, projectLabel(p.ProjectName, p.Project))
			}
		}
	}
	return a
}

// mayWrite asks whether the identity has all permissions in each of some places.
//
// https://learn.microsoft.com/rest/api/azure/devops/security/permissions/has-permissions
func (h *organization) mayWrite(ctx context.Context, ask rest.Sender, projects []azuredevops.Scope) ([]bool, error) {
	places := make([]string, len(projects))
	for i, p := range projects {
		places[i] = hooksPlace
		if p.Project != "" {
			places[i] = hooksPlace + "/" + p.Project
		}
	}
	b, err := ask.Object(ctx, &rest.Request{
		Route: "_apis/permissions/{securityNamespaceId}/{permissions}", Args: []string{hooksNamespace, hooksBits}, Query: []string{"tokens", strings.Join(places, ",")},
	})
	if err != nil {
		return nil, err
	}
	var out []bool
	for _, v := range gjson.GetBytes(b, "value").Array() {
		out = append(out, v.Bool())
	}
	if len(out) != len(projects) {
		return nil, fmt.Errorf("permissions: %w: %d answers for %d places", rest.ErrMalformed, len(out), len(projects))
	}
	return out, nil
}
