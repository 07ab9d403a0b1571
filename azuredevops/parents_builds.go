package azuredevops

import (
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

const (
	// A build takes 3 to 5 kB in the list and an organization may have 100,000
	// of them: these bound the part of the list that is held at once to a few MB.
	buildsTop  = "500"
	wideBuilds = 3

	wideCalls = 16 // calls per build or run: as many as may be in flight
)

const routeBuilds = "_apis/build/builds"

// buildsOf asks for all builds of a project that are still retained.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/builds/list
func buildsOf(p *project) *request {
	return &request{
		Project: p.ID, Route: routeBuilds, Shared: true,
		Query: []string{"queryOrder", "queueTimeDescending", "$top", buildsTop},
	}
}

// buildMembers are the keys that a build gets.
func buildMembers(p *project) rawjson.Members {
	return rawjson.Members{}.Text("__projectId", p.ID).Raw("__project", p.JSON)
}

// buildRevision tells versions of a finished build apart; "" means that the
// build may still change. What belongs to a finished build, its timeline and its
// changes, depends on its id and revision only: a stage that runs again makes it
// unfinished first.
func buildRevision(build []byte) string {
	changed := rawjson.Text(build, "lastChangedDate")
	if rawjson.Text(build, "status") != "completed" || changed == "" {
		return ""
	}
	return changed + " " + rawjson.Text(build, "finishTime") + " " + rawjson.Text(build, "result")
}

// started tells whether the build itself says that it has begun. Before that it has
// no timeline.
func started(build []byte) bool {
	at := rawjson.Text(build, "startTime")
	return at != "" && !strings.HasPrefix(at, "0001-01-01")
}
