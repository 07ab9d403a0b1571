// Package porttest imitates the Port API inside the process, with state: what
// net/http/httptest is to net/http. The tests of every room and the demo run on it.
//
//	srv := porttest.New(porttest.Options{})
//	defer srv.Close()
//	srv.AddBlueprint(`{"identifier":"service","schema":{"properties":{"url":{"type":"string","format":"url"}}}}`)
//	srv.Fault(porttest.LostAnswer("POST /v1/blueprints/{blueprint}/entities/bulk").Times(1))
//	… the client under test works against srv.URL …
//	srv.Entities("service")
//
// A [Server] answers on a loopback listener, as an [http.Handler], or, without
// any socket (needed below testing/synctest), through [Server.Transport]. Every
// client id is an [Organization] of its own; the one of [Options.ClientID] is
// embedded in the server. Seeding and inspection are methods of the
// organization; they take effect at once and see every request that has been answered.
//
// Entities are checked as Port checks them: pattern of identifiers, types,
// formats, enumerations, required and unknown properties, relations and the
// entities they lead to. The User-Agent of the last write is the $datasource.
// Calculated, mirrored and aggregated properties, scorecard results, teams and
// users, workflows and the lake are left out.
//
// What Port does where its documentation is silent is a guess, marked as such
// where it is coded: has_dependents counts required relations only, an entity
// made for a missing relation belongs to the writer, a null counts as a missing
// required property, searches ignore letter case in "contains" only.
//
// Everything is safe for concurrent use.
package porttest
