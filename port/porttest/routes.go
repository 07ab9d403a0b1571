package porttest

import (
	"net/http"
	"strings"
)

// register declares the routes. Their patterns are what rules and the request
// log name. A locked handler runs with the organization locked.
func (s *Server) register() {
	locked := func(pattern string, h handler) {
		s.route(pattern, func(c *call) reply {
			c.o.mu.Lock()
			defer c.o.mu.Unlock()
			return h(c)
		})
	}
	s.route(tokenRoute, (*call).accessToken)
	locked("GET /v1/organization", (*call).getOrganization)
	locked("PATCH /v1/organization", (*call).patchOrganization)
	locked("GET /v1/kafka-credentials", (*call).kafkaCredentials)

	locked("POST /v1/integration", (*call).createIntegration)
	locked("GET /v1/integration/provision-enabled", (*call).provisionEnabled)
	locked("GET /v1/integration/{integration}", (*call).getIntegration)
	locked("PATCH /v1/integration/{integration}", (*call).patchIntegration)
	locked("DELETE /v1/integration/{integration}", (*call).deleteIntegration)
	locked("PATCH /v1/integration/{integration}/config", (*call).patchConfig)
	locked("PATCH /v1/integration/{integration}/resync-state", (*call).patchResyncState)
	locked("GET /v1/integration/{integration}/resync-request", (*call).getResyncRequest)
	locked("GET /v1/integration/{integration}/cursor", (*call).getCursor)
	locked("PUT /v1/integration/{integration}/cursor", (*call).putCursor)
	locked("POST /v1/integration/{integration}/cursor", (*call).putCursor)
	locked("POST /v1/integration/{integration}/kinds/{kind}/examples", (*call).postExamples)
	locked("POST /v1/logs/integration/{ingest}", (*call).ingestLogs)
	locked("POST /v1/metrics/integration/{ingest}/syncMetrics", (*call).ingestMetrics)
	locked("PUT /v1/metrics/integration/{ingest}/syncMetrics/resync/{event}/kind/{kind}", (*call).ingestMetric)
	locked("POST /v1/metrics/integration/{ingest}/heartbeat", (*call).heartbeat)

	locked("GET /v1/blueprints", (*call).listBlueprints)
	locked("POST /v1/blueprints", (*call).createBlueprint)
	locked("GET /v1/blueprints/{blueprint}", (*call).getBlueprint)
	locked("PATCH /v1/blueprints/{blueprint}", (*call).changeBlueprint)
	locked("PUT /v1/blueprints/{blueprint}", (*call).changeBlueprint)
	locked("DELETE /v1/blueprints/{blueprint}", (*call).deleteBlueprint)

	s.route("POST /v1/blueprints/{blueprint}/entities/bulk", (*call).upsertBulk)
	s.route("POST /v1/blueprints/{blueprint}/entities", (*call).upsertEntity)
	s.route("PUT /v1/blueprints/{blueprint}/entities/{entity}", (*call).changeEntity)
	s.route("PATCH /v1/blueprints/{blueprint}/entities/{entity}", (*call).changeEntity)
	locked("GET /v1/blueprints/{blueprint}/entities", (*call).listEntities)
	locked("GET /v1/blueprints/{blueprint}/entities/{entity}", (*call).getEntity)
	locked("DELETE /v1/blueprints/{blueprint}/entities/{entity}", (*call).deleteEntity)
	locked("POST /v1/blueprints/{blueprint}/bulk/entities/delete", (*call).deleteBulk)
	locked("POST /v1/blueprints/entities/datasource-entities", (*call).datasourceEntities)
	locked("POST /v1/entities/search", (*call).searchEntities)
	locked("POST /v1/blueprints/{blueprint}/entities/search", (*call).searchBlueprint)

	for plural, one := range map[string]string{"pages": "page", "actions": "action"} {
		d := docRoute{kind: one}
		locked("GET /v1/"+plural, d.list(plural))
		locked("POST /v1/"+plural, d.create)
		locked("GET /v1/"+plural+"/{id}", d.get)
		locked("DELETE /v1/"+plural+"/{id}", d.remove)
	}
	d := docRoute{kind: "scorecard"}
	locked("GET /v1/blueprints/{blueprint}/scorecards", d.list("scorecards"))
	locked("POST /v1/blueprints/{blueprint}/scorecards", d.create)

	locked("POST /v1/actions/runs/claim-pending", (*call).claimRuns)
	locked("PATCH /v1/actions/runs/ack", (*call).ackRun)
	locked("GET /v1/actions/runs", (*call).findRuns)
	locked("PATCH /v1/actions/runs/{run}", (*call).patchRun)
	locked("POST /v1/actions/runs/{run}/logs", (*call).logRun)
	locked("PATCH /v1/actions/runs/{run}/response", (*call).patchResponse)
	locked("POST /v1/workflows/runs/claim-pending", (*call).claimNodes)
	locked("PATCH /v1/workflows/runs/ack", (*call).ackNode)
	locked("GET /v1/workflows/nodes/runs", (*call).findNodes)
	locked("PATCH /v1/workflows/nodes/runs/{run}", (*call).patchRun)
	locked("POST /v1/workflows/nodes/runs/{run}/logs", (*call).logNode)

	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, unmatched, func(*call) reply {
			return fail(http.StatusNotFound, "not_found", "Route "+r.Method+":"+r.URL.Path+" not found")
		})
	})
}

const (
	tokenRoute = "POST /v1/auth/access_token"
	unmatched  = "(unmatched)" // route of requests for which there is no handler
)

func (s *Server) route(pattern string, h handler) {
	s.routes[normalised(pattern)] = true
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, pattern, h) })
}

// normalised drops the names of path parameters, so that a rule may call them as it likes.
func normalised(pattern string) string {
	parts := strings.Split(pattern, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, "{") && strings.HasSuffix(p, "}") {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}

// matches reports whether a pattern of a rule names the route: equal but for
// the names of parameters, everything for "", a prefix before a final "*".
func matches(pattern, route string) bool {
	pattern, route = normalised(pattern), normalised(route)
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(route, prefix)
	}
	return pattern == "" || pattern == route
}
