package azuredevops

import (
	"errors"
	"net/http"
	"testing"
)

func TestAlerts(t *testing.T) {
	repos := always(values(repoMain, repoBare, repoOff, repoOther))
	alert := func(id, repository string) string {
		return `{"alertId":` + id + `,"__repositoryId":"` + repository + `","__projectId":"p1"}`
	}
	const one = "p1/_apis/alert/repositories/R1/alerts"
	const asked = one + "?top=1000&criteria.states=active&criteria.states=fixed&criteria.severities=high&criteria.alertType=code"
	off := status(400, `{"message":"Advanced Security is not enabled","typeKey":"AdvancedSecurityNotEnabledException"}`)
	runKindCases(t, []kindCase{
		{
			name: "pages, repositories without, criteria", kind: "advanced-security-alert",
			selector: `{"criteria":{"states":["active","fixed"],"severity":["high"],"alertType":"code"}}`,
			serve: servers{
				"p1/_apis/git/repositories": repos, one: tokenPages(values(`{"alertId":1}`), values(), values(`{"alertId":2}`)),
				"p1/_apis/alert/repositories/r2/alerts": off, "p1/_apis/alert/repositories/r4/alerts": status(404, `{"message":"VS2150009: Advanced Security is not enabled","typeKey":"AdvSecNotEnabledException"}`),
			},
			want:  []string{alert("1", "R1"), alert("2", "R1")},
			scope: "p1/R1/1",
			sent: []string{
				"p1/_apis/git/repositories", "p2/_apis/git/repositories", asked, asked + "&continuationToken=1", asked + "&continuationToken=2",
				"p1/_apis/alert/repositories/r2/alerts?top=1000&criteria.states=active&criteria.states=fixed&criteria.severities=high&criteria.alertType=code",
				"p1/_apis/alert/repositories/r4/alerts?top=1000&criteria.states=active&criteria.states=fixed&criteria.severities=high&criteria.alertType=code",
			},
		},
		{
			name: "404, 403 and complaints are unknown", kind: "advanced-security-alert",
			serve: servers{
				"p1/_apis/git/repositories": repos, one: status(404, ""), "p1/_apis/alert/repositories/r2/alerts": status(403, ""),
				"p1/_apis/alert/repositories/r4/alerts": status(400, `{"typeKey":"VssPropertyValidationException"}`),
			},
			unknown: "p1/R1/ p1/r2/ p1/r4/",
		},
		{
			name: "400 for another reason is unknown", kind: "advanced-security-alert",
			serve: servers{
				"p1/_apis/git/repositories": repos, one: status(400, "<html>", "Content-Type", "text/html"), "p1/_apis/alert/repositories/r2/alerts": status(400, ""),
				"p1/_apis/alert/repositories/r4/alerts": status(400, `{"message":"VS2150000: something else","typeKey":"AlertServiceException"}`),
			},
			unknown: "p1/R1/ p1/r2/ p1/r4/",
		},
		{
			name: "400 in the middle is unknown", kind: "advanced-security-alert",
			serve: servers{
				"p1/_apis/git/repositories": always(values(repoMain)),
				one: func(r *http.Request) *http.Response {
					if r.URL.Query().Has("continuationToken") {
						return off(r)
					}
					return answer(200, values(`{"alertId":1}`), "x-ms-continuationtoken", "1")
				},
			},
			want: []string{alert("1", "R1")}, unknown: "p1/R1/",
		},
	})
	testKindBasics(t, "advanced-security-alert", servers{"p1/_apis/git/repositories": repos, one: always(values(`{"alertId":1}`))},
		map[string]string{
			`{"criteria":{"states":["open"]}}`:       "criteria.states[0]: want one of active, dismissed, fixed, autoDismissed",
			`{"criteria":{"severity":"high"}}`:       "criteria.severity: want a list",
			`{"criteria":{"alertType":"licence"}}`:   "criteria.alertType: want one of dependency, code, secret",
			`{"criteria":{"severities":["high"]}}`:   "criteria.severities: unknown key",
			`{"criteria":["states"]}`:                "criteria: want an object",
			`{"criteria":{"severity":["terrible"]}}`: "criteria.severity[0]: want one of low, medium, high, critical, note, warning, error",
		})
	if alertsOff(errors.New("x")) || alertsOff(nil) {
		t.Error("only a 400 says that it is off")
	}
}
