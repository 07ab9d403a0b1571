package azuredevops

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

var _ = register(row[userSelector]{Name: "user", List: listUsers, Live: live{OverTags: true}})

const (
	sourceGraph = "graph"
	// entitlementTop is far below the 10,000 that old versions allow, because an
	// entitlement takes kilobytes.
	entitlementTop = 1000
)

// userSelector chooses where users come from. The options of the other source are
// checked and have no effect.
type userSelector struct {
	Source string `json:"source" default:"entitlements" oneof:"graph,entitlements"`

	// Of graph users.
	SubjectTypes            []string `json:"subjectTypes"`
	IncludeGroupMemberships bool     `json:"includeGroupMemberships"`

	// Of entitlements.
	IncludeFields []string `json:"includeFields" oneof:"license,extensions,projects,groupRules"`
	APIVersion    string   `json:"apiVersion"`
}

// MarshalJSON leaves out the options of the other source: they do not decide what
// is fetched, so listings are shared whatever they are.
func (s userSelector) MarshalJSON() ([]byte, error) {
	type plain userSelector
	if s.Source == sourceGraph {
		s.IncludeFields, s.APIVersion = nil, ""
	} else {
		s.SubjectTypes, s.IncludeGroupMemberships = nil, false
	}
	return json.Marshal(plain(s))
}

// listUsers lists the users of the organization: those with a license, or those of
// the graph.
func listUsers(l *lister, sel userSelector) stream[Record] {
	switch {
	case sel.Source != sourceGraph:
		return l.entitlements(sel)
	case sel.IncludeGroupMemberships:
		return l.usersWithGroups(sel)
	}
	return records(l, func(ctx context.Context) iter.Seq2[batch, error] {
		org := Scope{Organization: l.c.Key()}
		return within(org, l.batches(ctx, graphUsers(sel), batch{scope: org, id: "descriptor"}))
	})
}

// entitlements lists the users with a license. Since version 6 the service pages by
// a token and calls the list items, or members; before, by top and skip, and there
// is nothing to select.
//
// https://learn.microsoft.com/rest/api/azure/devops/memberentitlementmanagement/user-entitlements/search-user-entitlements
func (l *lister) entitlements(sel userSelector) stream[Record] {
	rq := &request{Host: rest.VSAEX, Route: "_apis/userentitlements", Version: sel.APIVersion, ID: "id"}
	org := Scope{Organization: l.c.Key()}
	b := batch{scope: org, key: "items|members", id: "id"}
	major := majorOf(sel.APIVersion)
	if major >= 6 {
		rq.Query = []string{"select", strings.Join(sel.IncludeFields, ",")}
	}
	if major < 7 {
		b.key = "value|items|members"
	}
	return records(l, func(ctx context.Context) iter.Seq2[batch, error] {
		pages := l.pages(ctx, rq, b.key)
		if major < 6 {
			pages = l.offsetPages(ctx, rq, b.key, "top", "skip", entitlementTop)
		}
		return within(org, func(yield func(batch, error) bool) {
			for p, err := range pages {
				b.page = p
				if !yield(b, err) {
					return
				}
			}
		})
	})
}

// majorOf is the first number of an api-version; the latest without one.
func majorOf(version string) int {
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return 7
	}
	return n
}

// graphUsers asks for users, service identities included.
//
// https://learn.microsoft.com/rest/api/azure/devops/graph/users/list
func graphUsers(sel userSelector) *request {
	return &request{
		Host: rest.VSSPS, Route: "_apis/graph/users", Version: "7.1-preview.1",
		Query: []string{"subjectTypes", strings.Join(sel.SubjectTypes, ",")}, ID: "descriptor",
	}
}

// usersWithGroups lists graph users with `__groups`, the groups that they belong to
// directly, and `__projects`, the names in brackets before those groups' names,
// sorted (the organization's own among them). Where the groups cannot be read, both
// are left out, the record incomplete.
func (l *lister) usersWithGroups(sel userSelector) stream[Record] {
	org := Scope{Organization: l.c.Key()}
	users := func(ctx context.Context) iter.Seq2[[]byte, error] {
		return within(org, func(yield func([]byte, error) bool) {
			for p, err := range l.pages(ctx, graphUsers(sel), "value") {
				if err != nil {
					yield(nil, err)
					return
				}
				for obj := range p.Objects() {
					if !yield(bytes.Clone(obj), nil) {
						p.Free()
						return
					}
				}
				p.Free()
			}
		})
	}
	owners := each(wideRecords, users, one(func(ctx context.Context, obj []byte) (owner, error) {
		o := owner{JSON: obj, scope: org}
		o.ids, o.err = l.memberships(ctx, rawjson.Text(obj, "descriptor"), "Up", "containerDescriptor")
		return o, nil
	}))
	return l.lookedUp(owners, func(o owner, s *subjects, yield func(Record, error) bool) bool {
		added, err := groupMembers(o, s)
		rec := l.record(o.JSON, o.scope, cmp.Or(rawjson.Text(o.JSON, "id"), rawjson.Text(o.JSON, "descriptor")), added)
		if err != nil {
			rec.Missing = append(rec.Missing, fmt.Errorf("groups: %w", err))
		}
		return yield(rec, nil)
	})
}

// groupMembers are the members that tell the groups of a user.
func groupMembers(o owner, s *subjects) (rawjson.Members, error) {
	if o.err != nil {
		return rawjson.Members{}, o.err
	}
	var groups, projects []byte
	names := map[string]bool{}
	for _, id := range o.ids {
		obj, err := s.get(id)
		if err != nil {
			return rawjson.Members{}, err
		}
		groups = appendElement(groups, obj)
		if name := projectOfGroup(rawjson.Text(obj, "principalName")); name != "" {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		projects = appendElement(projects, gjson.AppendJSONString(nil, name))
	}
	return rawjson.Members{}.Raw("__groups", closeArray(groups)).Raw("__projects", closeArray(projects)), nil
}

// projectOfGroup is the name in brackets: [Fabrikam]\Readers.
func projectOfGroup(principal string) string {
	rest, ok := strings.CutPrefix(principal, "[")
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, "]")
	if !ok {
		return ""
	}
	return name
}
