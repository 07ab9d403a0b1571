// Package azuredevopstest imitates Azure DevOps Services in the process, the
// way net/http/httptest imitates a server: tests and `ado-port demo` run the
// real client against it.
//
// A [World] is the organization: projects, repositories with branches and
// files, pull requests, pipelines, builds, work items, boards, releases and
// policies. Tests build a small one with [NewWorld] and its Add methods; the
// demo takes [DemoWorld]. A [Server] answers the REST API from it, with the
// manners of the service (paging, sign-in pages, TF error numbers, api-version
// rules) and with faults where a test asks for them:
//
//	w := azuredevopstest.NewWorld("contoso")
//	p := w.AddProject("Payments")
//	p.AddRepository("checkout").Push("main", azuredevopstest.Files{"README.md": "# Checkout"})
//
//	srv := azuredevopstest.New(azuredevopstest.Options{World: w, PAT: "secret"})
//	defer srv.Close()
//	srv.Fault(azuredevopstest.Status("GET /{project}/_apis/git/repositories", 500).Times(1))
//
// Every change of a World that the service would announce by a service hook is
// an [Event]. The server posts it to the subscriptions that clients have made
// through the API, in order per subscription, and remembers what failed; a test
// waits with [Server.Settled] and decides with [Server.Deliver] what gets lost.
// Functions registered with [World.Subscribe] see events as well.
//
// All service hosts (dev, vsrm, vssps, …) share one listener, as on Azure
// DevOps Server; requests that name the real hosts, which reach it through
// [Server.Transport], find each area on its own host only.
//
// An area is a pair of files, model_<area>.go for the state and api_<area>.go
// for the routes, or a single file when it is small; a new area adds that and a
// line in (*Server).areas. Not imitated: TFVC, uploads, permissions below projects.
package azuredevopstest
