package catalog_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const (
	bulk       = "POST /v1/blueprints/{blueprint}/entities/bulk"
	bulkDelete = "POST /v1/blueprints/{blueprint}/bulk/entities/delete"
	search     = "POST /v1/entities/search"
	owned      = "POST /v1/blueprints/entities/datasource-entities"
	blueprint  = "GET /v1/blueprints/{blueprint}"
	ours       = "port-ocean/azure-devops/ado/0.1/exporter" // an earlier version
	theirs     = "port-ocean/azure-devops/other/0.1/exporter"
)

// A bench is a simulated Port, the catalog in front of it and a source that counts.
// It lives in a bubble: no test waits for the clock.
type bench struct {
	*testing.T
	port    *porttest.Server
	client  *port.Client
	catalog *catalog.Catalog
	audit   *catalog.Audit
	source  *source
	log     logBuffer
}

// inBubble runs a test with a bench of its own.
func inBubble(t *testing.T, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := porttest.NewUnstarted(porttest.Options{KeepBodies: true})
		t.Cleanup(srv.Close)
		srv.AddBlueprint(
			`{"identifier":"service","schema":{"properties":{"name":{"type":"string"},"size":{"type":"number"},"tier":{"type":"string","enum":["gold","silver"]}}},
			  "relations":{"parent":{"target":"service","many":false,"required":false},"team":{"target":"team","many":false,"required":false},"friends":{"target":"service","many":true,"required":false}}}`,
			`{"identifier":"team","schema":{"properties":{"name":{"type":"string"}}},"relations":{"flagship":{"target":"service","many":false,"required":false}}}`,
			`{"identifier":"deploy","schema":{"properties":{}},"relations":{"of":{"target":"service","many":false,"required":true}}}`,
		)
		client, err := port.New(port.ClientConfig{
			ClientID: "client-id", ClientSecret: "secret", BaseURL: "http://port.example", IntegrationType: "azure-devops", Identifier: "ado", Version: "0.2",
			UserAgentLayout: port.LayoutDocumented, Transport: srv.Transport(),
		})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{T: t, port: srv, client: client, source: &source{of: map[catalog.Outcome]int{}}}
		log := slog.New(slog.NewTextHandler(&b.log, nil))
		b.audit = catalog.NewAudit(catalog.AuditConfig{Log: log, PerResync: 3, PerMinute: 3})
		b.catalog = catalog.New(catalog.Config{Port: client, TempDirectory: t.TempDir(), Audit: b.audit, Log: log})
		f(b)
	})
}

// A logBuffer can be read while somebody logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Reset()
}

// A source counts outcomes.
type source struct {
	mu      sync.Mutex
	of      map[catalog.Outcome]int
	members []string
}

func (s *source) Members() []string { return s.members }

func (s *source) Origin() (kind, resource string) { return "repository", "resources[0]" }

func (s *source) Count(o catalog.Outcome, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[o] += n
}

// counted is what became of entities, without what did not happen.
func (s *source) counted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for o, name := range []string{"written", "unchanged", "merged", "refused", "kept"} {
		if n := s.of[catalog.Outcome(o)]; n != 0 {
			out = append(out, fmt.Sprintf("%d %s", n, name))
		}
	}
	return strings.Join(out, ", ")
}

// entity is "service/a" with members, such as "properties":{"name":"x"}.
func entity(ref, members string) port.Entity {
	bp, id, _ := strings.Cut(ref, "/")
	e := port.Entity{Blueprint: bp, Identifier: id, Body: fmt.Appendf(nil, `{"identifier":%q,"blueprint":%q`, id, bp)}
	if members != "" {
		e.Body = append(append(e.Body, ','), members...)
	}
	e.Body = append(e.Body, '}')
	gjson.GetBytes(e.Body, "relations").ForEach(func(name, to gjson.Result) bool {
		r := port.Relation{Name: name.Str}
		for _, v := range to.Array() {
			r.Targets = append(r.Targets, v.Str)
		}
		e.Relations = append(e.Relations, r)
		return true
	})
	return e
}

func (b *bench) layer(ref, members string) catalog.Layer {
	return catalog.Layer{Entity: entity(ref, members), Source: b.source}
}

// named is a layer that searches its entity by name, and sets a size.
func (b *bench) named(name string, size int) catalog.Layer {
	body := fmt.Appendf(nil, `{"identifier":{"combinator":"and","rules":[{"property":"name","operator":"=","value":%q}]},"blueprint":"service","properties":{"size":%d}}`, name, size)
	return catalog.Layer{Entity: port.Entity{Blueprint: "service", Body: body, Search: true}, Source: b.source}
}

// holds puts entities into the catalog, a second ago.
func (b *bench) holds(agent, members string, refs ...string) {
	for _, ref := range refs {
		b.port.PutEntity(agent, string(entity(ref, members).Body))
	}
	time.Sleep(time.Second)
}

// put writes layers in a session, and what is refused once more.
func (b *bench) put(s *catalog.Session, layers ...catalog.Layer) {
	b.flush(s, layers...)
	s.RetryRefused(b.Context())
}

// flush writes layers in a session.
func (b *bench) flush(s *catalog.Session, layers ...catalog.Layer) {
	w := s.Writer(false)
	for _, l := range layers {
		w.Put(b.Context(), l)
	}
	w.Flush(b.Context())
}

// knows loads what is ours.
func (b *bench) knows(s *catalog.Session) *catalog.Session {
	b.Helper()
	if err := s.LoadOwned(b.Context(), time.Now()); err != nil {
		b.Fatal(err)
	}
	return s
}

// has compares properties and relations of an entity; "" means that there is none.
func (b *bench) has(ref, want string) {
	b.Helper()
	bp, id, _ := strings.Cut(ref, "/")
	e, ok := b.port.Entity(bp, id)
	got := string(e.Properties)
	if len(e.Relations) > 2 {
		got += " " + string(e.Relations)
	}
	if !ok {
		got = ""
	}
	if got != want {
		b.Errorf("%s is %s, want %s", ref, got, want)
	}
}

// left lists the identifiers of a blueprint.
func (b *bench) left(bp string) string {
	var ids []string
	for _, e := range b.port.Entities(bp) {
		ids = append(ids, e.Identifier)
	}
	return strings.Join(ids, " ")
}

func (b *bench) counts(want string) {
	b.Helper()
	if got := b.source.counted(); got != want {
		b.Errorf("counted %q, want %q", got, want)
	}
}

// refusals are the reasons, shortened to what matters.
func refusals(s *catalog.Session) string {
	var out []string
	for _, r := range s.Refusals() {
		out = append(out, fmt.Sprintf("%s %d× %s (%s)", r.Blueprint, r.Entities, r.Reason, r.Sample))
	}
	return strings.Join(out, "\n")
}

func resync() catalog.Options {
	return catalog.Options{Cause: catalog.Cause{Event: catalog.EventResync, ID: "1"}, Merge: true, CreateMissing: true}
}

func live() catalog.Options {
	return catalog.Options{Cause: catalog.Cause{Event: catalog.EventLive, ID: "2", Type: "git.push"}, Merge: true, CreateMissing: true}
}

func ref(s string) port.Ref {
	bp, id, _ := strings.Cut(s, "/")
	return port.Ref{Blueprint: bp, Identifier: id}
}
