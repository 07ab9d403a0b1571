package azuredevops

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

var _ = register(row[alertSelector]{
	Name: "advanced-security-alert", List: listAlerts, Incremental: true,
	Events: inRepository("ms.vss-alerts.alert-created-event", "ms.vss-alerts.alert-state-changed-event", "ms.vss-alerts.alert-updated-event"),
	Live:   live{OldRepository: func(Change) bool { return true }},
})

type alertSelector struct {
	Criteria *alertCriteria `json:"criteria" strict:"true"`
}

// alertCriteria filter on the server; a zero field means no filter.
type alertCriteria struct {
	States    []string `json:"states" oneof:"active,dismissed,fixed,autoDismissed"`
	Severity  []string `json:"severity" oneof:"low,medium,high,critical,note,warning,error"`
	AlertType string   `json:"alertType" oneof:"dependency,code,secret"`
}

// query names the filters. The service calls the one for severities in the plural,
// and wants the key again for each value: a text with commas is one value to it.
func (c *alertCriteria) query() []string {
	if c == nil {
		return nil
	}
	var out []string
	for _, s := range c.States {
		out = append(out, "criteria.states", s)
	}
	for _, s := range c.Severity {
		out = append(out, "criteria.severities", s)
	}
	return append(out, "criteria.alertType", c.AlertType)
}

// listAlerts lists the alerts of every healthy repository with `__repositoryId` and
// `__projectId`. A repository that says that Advanced Security is off has none.
//
// https://learn.microsoft.com/rest/api/azure/devops/advancedsecurity/alerts/list
func listAlerts(l *lister, sel alertSelector) stream[Record] {
	return l.perRepository((*repository).healthy, func(ctx context.Context, r *repository) iter.Seq2[batch, error] {
		alerts := l.batches(ctx, &request{
			Host: rest.AdvSec, Project: r.Project.ID, Route: "_apis/alert/repositories/{repositoryId}/alerts", Args: []string{r.ID},
			Version: "7.2-preview.1", Query: slices.Concat([]string{"top", listTop}, sel.Criteria.query(), []string{"criteria.modifiedSince", stamp(l.since)}), // not $top, which is not known here
		}, batch{
			scope: r.inside(), id: "alertId",
			added: rawjson.Members{}.Text("__repositoryId", r.ID).Text("__projectId", r.Project.ID),
		})
		return func(yield func(batch, error) bool) {
			first := true
			for b, err := range alerts {
				if first && alertsOff(err) || !yield(b, err) {
					return
				}
				first = false
			}
		}
	})
}

// alertsOff tells whether an error says that a repository does not have Advanced
// Security. The service says so with 400 or 404; every other error leaves the
// alerts unknown.
func alertsOff(err error) bool {
	e, ok := errors.AsType[*rest.Error](err)
	if !ok || e.StatusCode != http.StatusBadRequest && e.StatusCode != http.StatusNotFound {
		return false
	}
	return e.TypeKey == "AdvSecNotEnabledException" || e.TypeKey == "AdvancedSecurityNotEnabledException" ||
		strings.HasPrefix(e.Message, "VS2150009")
}
