package azuredevops

import (
	"errors"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

// tokenScopes are the scopes that a personal access token needs, by the area of
// the route.
//
// https://learn.microsoft.com/azure/devops/integrate/get-started/authentication/oauth#available-scopes
var tokenScopes = map[string]string{
	"_apis/projects":         "Project and Team (Read)",
	"_apis/teams":            "Project and Team (Read)",
	"_apis/git":              "Code (Read)",
	"_apis/policy":           "Code (Read)",
	"_apis/build":            "Build (Read)",
	"_apis/pipelines":        "Build (Read)",
	"_apis/distributedtask":  "Environment (Read & manage)", // there is no smaller one
	"_apis/release":          "Release (Read)",
	"_apis/test":             "Test Management (Read)",
	"_apis/wit":              "Work Items (Read)",
	"_apis/work":             "Work Items (Read)",
	"_apis/wiki":             "Wiki (Read)",
	"_apis/graph":            "Graph (Read)",
	"_apis/userentitlements": "Member Entitlement Management (Read)",
	"_apis/alert":            "Advanced Security (Read)",
}

// ScopeFor is the scope that a personal access token needs for the request that
// failed with err, as the page of tokens calls it; empty where that is not known.
func ScopeFor(err error) string {
	e, ok := errors.AsType[*rest.Error](err)
	if !ok {
		return ""
	}
	_, route, _ := strings.Cut(e.URL, "/_apis/")
	area, _, _ := strings.Cut(route, "/")
	return tokenScopes["_apis/"+area]
}
