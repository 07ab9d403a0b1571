package azuredevopstest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// An Alert is a finding of Advanced Security.
type Alert struct {
	ID       int
	Type     string // code, dependency or secret
	Title    string
	Severity string
	State    string // active, dismissed, fixed, autoDismissed
	Seen     time.Time
}

// AddAlert adds an active alert to the repository, which thereby has Advanced
// Security.
func (r *Repository) AddAlert(typ, severity, title string) *Alert {
	w := r.project.world
	w.mu.Lock()
	defer w.mu.Unlock()
	a := &Alert{ID: len(r.Alerts) + 1, Type: typ, Title: title, Severity: severity, State: "active", Seen: w.now()}
	r.Alerts = append(r.Alerts, a)
	return a
}

func alertRoutes() []route {
	const one = "/{project}/_apis/alert/repositories/{repository}/alerts"
	return []route{
		{method: "GET", pattern: one, handler: listAlerts, host: "advsec", preview: true},
		{method: "GET", pattern: one + "/{alert}", handler: getAlert, host: "advsec", preview: true},
	}
}

// listAlerts answers 400 for a repository that never had an alert: Advanced
// Security is off there.
//
// https://learn.microsoft.com/rest/api/azure/devops/advancedsecurity/alerts/list
func listAlerts(q *request) *response {
	r := q.repository
	if r.Alerts == nil {
		return failure(http.StatusBadRequest, "Microsoft.AdvancedSecurity.WebApi.AdvancedSecurityNotEnabledException",
			"VS404018: Advanced Security is not enabled for this repository.")
	}
	wanted := func(name, have string) bool {
		want := q.get("criteria." + name)
		return want == "" || slices.Contains(strings.Split(strings.ToLower(want), ","), strings.ToLower(have))
	}
	list := slices.DeleteFunc(slices.Clone(r.Alerts), func(a *Alert) bool {
		return !wanted("states", a.State) || !wanted("severity", a.Severity) || !wanted("alerttype", a.Type)
	})
	return paged(q, list, 100, r.alert)
}

func getAlert(q *request) *response {
	for _, a := range q.repository.Alerts {
		if a.ID == q.number("alert") {
			return ok(q.repository.alert(a))
		}
	}
	return notFound("Microsoft.AdvancedSecurity.WebApi.AlertNotFoundException", "Alert "+q.param("alert")+" was not found.")
}

func (r *Repository) alert(a *Alert) object {
	return object{
		"alertId", a.ID, "severity", a.Severity, "title", a.Title, "tools",
		array{object{"name", "CodeQL", "version", "2.15.0", "rules", array{}}},
		"dismissal", nil, "repositoryUrl", r.web(), "gitRef", r.DefaultBranch, "alertType", a.Type,
		"firstSeenDate", a.Seen, "lastSeenDate", a.Seen, "introducedDate", a.Seen, "state", a.State,
		"physicalLocations",
		array{},
		"logicalLocations",
		array{},
		"confidence", "high", "projectId", r.project.ID, "repositoryId", r.ID,
	}
}
