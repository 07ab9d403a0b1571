package port_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	testSecret = "very-secret-value"
	bulkRoute  = "POST /v1/blueprints/{blueprint}/entities/bulk"
	ownedRoute = "POST /v1/blueprints/entities/datasource-entities"
	tokenRoute = "POST /v1/auth/access_token"
	service    = `{"identifier":"service","title":"Service","schema":{"properties":{"n":{"type":"number"},"s":{"type":"string"}},"required":[]},` +
		`"relations":{"parent":{"target":"service","many":false,"required":false}}}`
)

// catalog is a simulated Port without sockets, and a client of it. The log of
// the client is checked for secrets when the test ends.
func catalog(t *testing.T, opt porttest.Options, change ...func(*port.ClientConfig)) (*porttest.Server, *port.Client) {
	t.Helper()
	srv := porttest.NewUnstarted(opt)
	srv.AddBlueprint(service)
	t.Cleanup(srv.Close)
	return srv, client(t, srv, change...)
}

func client(t *testing.T, srv *porttest.Server, change ...func(*port.ClientConfig)) *port.Client {
	t.Helper()
	var log bytes.Buffer
	t.Cleanup(func() { noSecret(t, log.String()) })
	cfg := port.ClientConfig{
		ClientID: "client-id", ClientSecret: testSecret, BaseURL: "http://port.example", IntegrationType: "azure-devops",
		Identifier: "mine", Version: "1.2.3", CoreVersion: "0.48.12", UserAgentLayout: port.LayoutDocumented, Transport: srv.Transport(),
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := port.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func noSecret(t *testing.T, s string) {
	t.Helper()
	if strings.Contains(s, testSecret) || strings.Contains(s, "eyJ") {
		t.Errorf("a secret is in: %s", s)
	}
}

// entities makes n entities s0, s1, ….
func entities(n int) []port.Entity {
	list := make([]port.Entity, n)
	for i := range list {
		list[i] = entity(fmt.Sprintf("s%d", i), fmt.Sprintf(`"n":%d`, i))
	}
	return list
}

func entity(id, properties string) port.Entity {
	return port.Entity{
		Blueprint: "service", Identifier: id,
		Body: fmt.Appendf(nil, `{"identifier":%q,"blueprint":"service","title":"T","properties":{%s}}`, id, properties),
	}
}

func count(srv *porttest.Server, route string) int {
	n := 0
	for _, r := range srv.Requests() {
		if r.Route == route {
			n++
		}
	}
	return n
}

var merge = port.UpsertOptions{Merge: true, CreateMissing: true, EventType: "resync", ResyncID: "id-1"}

// failed counts the entities that failed.
func failed(r *port.UpsertResult) int {
	n := 0
	for i := range r.Identifiers {
		if r.Err(i) != nil {
			n++
		}
	}
	return n
}

// dropped reports whether an entity's search matched nothing.
func dropped(r *port.UpsertResult, i int) bool { return r.Identifiers[i] == "" && r.Err(i) == nil }
