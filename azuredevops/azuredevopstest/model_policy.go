package azuredevopstest

import (
	"strconv"
	"strings"
	"time"
)

// A Policy is a branch policy of a project.
type Policy struct {
	ID        int
	Type      string // display name, such as "Minimum number of reviewers"
	Enabled   bool
	Blocking  bool
	Revision  int
	Created   time.Time
	CreatedBy *Person
	Settings  map[string]any // besides the scope
	Scope     []PolicyScope

	project *Project
}

// A PolicyScope says which branches a policy guards. Without a repository it
// is every one of the project.
type PolicyScope struct {
	Repository *Repository
	// Ref is a full ref name, or its beginning when MatchKind is Prefix.
	Ref       string
	MatchKind string // Exact (default), Prefix or DefaultBranch
}

// AddPolicy adds an enabled, blocking policy.
func (p *Project) AddPolicy(typ string, settings map[string]any, scope ...PolicyScope) *Policy {
	w := p.world
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &Policy{
		ID: w.next("policy"), Type: typ, Enabled: true, Blocking: true, Revision: 1, Created: w.now(), CreatedBy: w.someone(),
		Settings: settings, Scope: scope, project: p,
	}
	p.Policies = append(p.Policies, c)
	return c
}

// RequireReviewers is the policy "Minimum number of reviewers" on the default
// branch of a repository.
func (r *Repository) RequireReviewers(n int) *Policy {
	return r.project.AddPolicy("Minimum number of reviewers",
		map[string]any{"minimumApproverCount": n, "creatorVoteCounts": false, "allowDownvotes": false, "resetOnSourcePush": true},
		PolicyScope{Repository: r, Ref: r.DefaultBranch, MatchKind: "Exact"})
}

// RequireWorkItem is the policy "Work item linking" on the default branch of a
// repository.
func (r *Repository) RequireWorkItem() *Policy {
	return r.project.AddPolicy("Work item linking", nil, PolicyScope{Repository: r, Ref: r.DefaultBranch, MatchKind: "Exact"})
}

// applies tells whether the policy guards a ref of a repository. Without a ref it
// has to guard the whole repository; a prefix is one of path segments.
func (c *Policy) applies(repository, ref string) bool {
	if repository == "" {
		return true
	}
	if len(c.Scope) == 0 {
		return true
	}
	for _, s := range c.Scope {
		if s.Repository != nil && !strings.EqualFold(s.Repository.ID, repository) {
			continue
		}
		switch {
		case s.MatchKind == "DefaultBranch":
			if ref != "" {
				return true
			}
		case s.MatchKind == "Prefix":
			if strings.HasPrefix(ref, strings.TrimSuffix(s.Ref, "/")+"/") {
				return true
			}
		case s.Ref == "" || s.Ref == ref:
			return true
		}
	}
	return false
}

// typeID is the type's well-known id, and a made-up one for other types.
func (c *Policy) typeID() string {
	switch c.Type {
	case "Minimum number of reviewers":
		return "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
	case "Build":
		return "0609b952-1397-4640-95ec-e00a01b2c241"
	case "Work item linking":
		return "40e92b44-2fe1-4dd6-b3d8-74a9c21d0c6e"
	case "Comment requirements":
		return "c6a1889d-b943-4856-b76f-9e46bb6b0df2"
	default:
		return c.project.world.idOf("policy type", c.Type)
	}
}

func (c *Policy) typeJSON() object {
	return object{"id", c.typeID(), "url", c.project.below("policy/types/" + c.typeID()), "displayName", c.Type}
}

func (c *Policy) json() object {
	settings := object{}
	for _, k := range sortedKeys(c.Settings) {
		settings = append(settings, k, c.Settings[k])
	}
	scope := array{}
	for _, s := range c.Scope {
		var id any
		if s.Repository != nil {
			id = s.Repository.ID
		}
		kind := s.MatchKind
		if kind == "" {
			kind = "Exact"
		}
		scope = append(scope, object{"refName", opt(s.Ref), "matchKind", kind, "repositoryId", id})
	}
	self := c.project.below("policy/configurations/" + strconv.Itoa(c.ID))
	return object{
		"createdBy", c.CreatedBy.ref(),
		"createdDate", c.Created,
		"isEnabled", c.Enabled,
		"isBlocking", c.Blocking,
		"isDeleted", false,
		"settings", append(settings, "scope", scope),
		"isEnterpriseManaged", false,
		"_links",
		object{"self", link(self), "policyType", link(c.project.below("policy/types/" + c.typeID()))},
		"revision", c.Revision,
		"id", c.ID,
		"url", self,
		"type", c.typeJSON(),
	}
}
