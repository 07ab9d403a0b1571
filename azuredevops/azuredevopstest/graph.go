package azuredevopstest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// graphPage is the size of a page of users and groups; $top is ignored.
const graphPage = 500

// A Group is a group of the organization or, with a project, of that project.
type Group struct {
	ID          string
	Name        string
	Description string
	Project     *Project
	Members     []*Person
	Groups      []*Group // members that are groups

	world *World
}

// AddGroup adds a group. Without a project it belongs to the organization.
func (w *World) AddGroup(p *Project, name string, members ...*Person) *Group {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := &Group{ID: w.newID("group"), Name: name, Project: p, Members: members, world: w}
	w.Groups = append(w.Groups, g)
	return g
}

// Descriptor is the subject descriptor of the graph.
func (g *Group) Descriptor() string { return "vssgp." + strings.ReplaceAll(g.ID, "-", "") }

func graphRoutes() []route {
	return []route{
		{method: "GET", pattern: "/_apis/graph/users", handler: listGraphUsers, host: "vssps", preview: true},
		{method: "GET", pattern: "/_apis/graph/groups", handler: listGroups, host: "vssps", preview: true},
		{method: "GET", pattern: "/_apis/graph/memberships/{subject}", handler: listMemberships, host: "vssps", preview: true},
		{method: "POST", pattern: "/_apis/graph/subjectlookup", handler: lookupSubjects, host: "vssps", preview: true},
		{method: "GET", pattern: "/_apis/userentitlements", handler: listEntitlements, host: "vsaex", scope: "Member Entitlement Management"},
	}
}

func (w *World) graphLinks(kind, descriptor string) object {
	base := w.hostURL("vssps") + "/_apis/Graph/"
	return object{
		"_links",
		object{
			"self", link(base + kind + "/" + descriptor),
			"memberships", link(base + "Memberships/" + descriptor),
			"membershipState", link(base + "MembershipStates/" + descriptor),
			"storageKey", link(base + "StorageKeys/" + descriptor),
		},
		"url", base + kind + "/" + descriptor,
		"descriptor", descriptor,
	}
}

func (p *Person) subject() object {
	alias, _, _ := strings.Cut(p.Mail, "@")
	return append(object{
		"subjectKind", "user", "metaType", "member", "directoryAlias", alias, "domain", p.world.idOf("directory"),
		"principalName", p.Mail, "mailAddress", p.Mail, "origin", "aad", "originId", p.world.idOf("origin", p.ID), "displayName", p.Name,
	}, p.world.graphLinks("Users", p.Descriptor())...)
}

func (g *Group) subject() object {
	scope := g.world.Organization
	domain := "vstfs:///Framework/IdentityDomain/" + g.world.idOf("collection")
	if g.Project != nil {
		scope, domain = g.Project.Name, "vstfs:///Classification/TeamProject/"+g.Project.ID
	}
	return append(object{
		"subjectKind", "group", "description", g.Description, "domain", domain, "principalName", "[" + scope + `]\` + g.Name,
		"mailAddress", nil, "origin", "vsts", "originId", g.ID, "displayName", g.Name,
	}, g.world.graphLinks("Groups", g.Descriptor())...)
}

// listGraphUsers filters by the kinds of subjects, the part of a descriptor
// before the dot.
//
// https://learn.microsoft.com/rest/api/azure/devops/graph/users/list
func listGraphUsers(q *request) *response {
	list := q.world.People
	if types := q.get("subjecttypes"); types != "" {
		list = slices.DeleteFunc(slices.Clone(list), func(*Person) bool { return !slices.Contains(strings.Split(types, ","), "aad") })
	}
	q.query.Del("$top")
	return paged(q, list, graphPage, (*Person).subject)
}

func listGroups(q *request) *response {
	q.query.Del("$top")
	return paged(q, q.world.Groups, graphPage, (*Group).subject)
}

// listMemberships lists the direct members of a group (direction=Down), or the
// groups that a subject is a direct member of.
//
// https://learn.microsoft.com/rest/api/azure/devops/graph/memberships/list
func listMemberships(q *request) *response {
	subject := q.param("subject")
	down := strings.EqualFold(q.get("direction"), "Down")
	var list []object
	for _, g := range q.world.Groups {
		var members []string
		for _, p := range g.Members {
			members = append(members, p.Descriptor())
		}
		for _, sub := range g.Groups {
			members = append(members, sub.Descriptor())
		}
		for _, m := range members {
			if down && g.Descriptor() == subject || !down && m == subject {
				list = append(list, object{"containerDescriptor", g.Descriptor(), "memberDescriptor", m})
			}
		}
	}
	return collection(list, itself)
}

// lookupSubjects answers a map; unknown descriptors are not in it.
//
// https://learn.microsoft.com/rest/api/azure/devops/graph/subject-lookup/lookup-subjects
func lookupSubjects(q *request) *response {
	var in struct {
		LookupKeys []struct {
			Descriptor string `json:"descriptor"`
		} `json:"lookupKeys"`
	}
	if err := json.Unmarshal(q.body, &in); err != nil || len(in.LookupKeys) > 500 {
		return failure(http.StatusBadRequest, errBadRequest, "The request needs at most 500 lookupKeys.")
	}
	known := map[string]func() object{}
	for _, p := range q.world.People {
		known[p.Descriptor()] = p.subject
	}
	for _, g := range q.world.Groups {
		known[g.Descriptor()] = g.subject
	}
	found := object{}
	for _, k := range in.LookupKeys {
		if subject := known[k.Descriptor]; subject != nil {
			found = append(found, k.Descriptor, subject())
		}
	}
	return ok(object{"count", len(found) / 2, "value", found})
}

// listEntitlements pages by a token in the body, with items and members the
// same list.
//
// https://learn.microsoft.com/rest/api/azure/devops/memberentitlementmanagement/user-entitlements/search-user-entitlements
func listEntitlements(q *request) *response {
	entitlement := func(p *Person) object {
		return object{
			"id", p.ID, "user", p.subject(), "extensions",
			array{},
			"accessLevel",
			object{
				"licensingSource", "account", "accountLicenseType", "express", "msdnLicenseType", "none",
				"licenseDisplayName", "Basic", "status", "active", "statusMessage", "", "assignmentSource", "unknown",
			},
			"lastAccessedDate", q.world.now(), "dateCreated",
			time.Time{},
			"projectEntitlements",
			array{},
			"groupAssignments",
			array{},
		}
	}
	resp := paged(q, q.world.People, 100, entitlement)
	if resp.status != http.StatusOK {
		return resp
	}
	token := resp.header.Get("X-Ms-Continuationtoken")
	resp.header.Del("X-Ms-Continuationtoken")
	var page struct{ Value json.RawMessage }
	if err := json.Unmarshal(resp.body, &page); err != nil {
		return failure(http.StatusInternalServerError, errArgument, err.Error())
	}
	return ok(object{"members", page.Value, "items", page.Value, "totalCount", len(q.world.People), "continuationToken", opt(token)})
}
