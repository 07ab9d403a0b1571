package check_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/check"
	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/port/porttest"
	"github.com/ado-port/ado-port/replica"
)

const (
	pat        = "pat-that-nobody-may-see"
	portSecret = "port-secret-that-nobody-may-see"
	hookSecret = "hook-secret-that-nobody-may-see"
)

// A bench is an installation in which everything is good.
type bench struct {
	ado        *azuredevopstest.Server
	catalog    *porttest.Server
	public     *httptest.Server // the service, as it is seen from outside
	orgs       []string
	token      azuredevops.Secret
	state      string
	mapping    map[string]any // of the block of repositories
	opt        check.Options
	prove      func(context.Context) (bool, error) // the storage queue; nil: there is none
	identifier string
	change     func(*check.Config) // of the settings of a good installation
}

func newBench(t *testing.T) *bench {
	t.Helper()
	w := azuredevopstest.NewWorld("contoso")
	p := w.AddProject("Payments")
	p.AddRepository("checkout").Push("main", azuredevopstest.Files{"README.md": "# Checkout"})
	p.AddWorkItem("Bug", "Totals are wrong")
	b := &bench{
		ado: azuredevopstest.New(azuredevopstest.Options{World: w, PAT: pat}),
		catalog: porttest.New(porttest.Options{
			ClientID: "cid", ClientSecret: portSecret, Provision: []string{"azure-devops"}, FeatureFlags: []string{"USE_PROVISIONED_DEFAULTS"},
		}),
		public:     httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})),
		identifier: "azure", token: pat, state: filepath.Join(t.TempDir(), "state"),
		mapping: map[string]any{
			"identifier": ".id", "title": ".name", "blueprint": `"service"`,
			"properties": map[string]any{"url": ".webUrl", "tier": `"gold"`, "disabled": ".isDisabled // false"},
			"relations":  map[string]any{"project": ".project.id"},
		},
	}
	t.Cleanup(b.ado.Close)
	t.Cleanup(b.catalog.Close)
	t.Cleanup(b.public.Close)
	b.orgs = []string{b.ado.OrganizationURL()}
	b.catalog.AddBlueprint(`{"identifier":"project","schema":{"properties":{}}}`)
	b.catalog.AddBlueprint(`{"identifier":"service","schema":{"properties":{"url":{"type":"string"},"tier":{"type":"string","enum":["gold","silver"]},
		"disabled":{"type":"boolean"}},"required":["tier"]},"relations":{"project":{"target":"project","required":true}}}`)
	if err := b.port(t).Setup(t.Context(), port.SetupConfig{Origin: port.OriginEmpty}); err != nil {
		t.Fatal(err)
	}
	b.catalog.ForgetRequests()
	return b
}

// port is a client of the installation.
func (b *bench) port(t *testing.T) *port.Client {
	t.Helper()
	c, err := port.New(port.ClientConfig{
		ClientID: "cid", ClientSecret: portSecret, BaseURL: b.catalog.URL, IntegrationType: "azure-devops", Identifier: b.identifier, Version: "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs the check on what the bench is now.
func (b *bench) run(t *testing.T) ([]check.Finding, string, error) {
	t.Helper()
	block := func(kind string, mappings any) any {
		return map[string]any{"kind": kind, "selector": map[string]any{"query": "true"}, "port": map[string]any{"entity": map[string]any{"mappings": mappings}}}
	}
	project := map[string]any{"identifier": ".id", "title": ".name", "blueprint": `"project"`}
	doc, err := json.Marshal(map[string]any{"resources": []any{
		block("project", project), block("repository", b.mapping), block("release", map[string]any{"identifier": ".id|tostring", "blueprint": `"project"`}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.catalog.SetMapping(string(doc))
	var orgs []*azuredevops.Client
	for _, u := range b.orgs {
		c, err := azuredevops.New(azuredevops.ClientConfig{OrganizationURL: u, Credential: azuredevops.PersonalAccessToken(b.token)})
		if err != nil {
			t.Fatal(err)
		}
		orgs = append(orgs, c)
	}
	base := b.public.URL
	cfg := check.Config{
		Settings: ocean.Settings{
			Integration: ocean.Integration{Identifier: b.identifier}, EventListener: ocean.EventListener{Type: ocean.ListenPolling}, BaseURL: base, StateDirectory: b.state,
		},
		AzureDevOps: azuredevops.Config{PersonalAccessToken: b.token, WebhookSecret: hookSecret},
		Port:        b.port(t), PortURL: b.catalog.URL, PortSide: http.DefaultTransport, OtherSide: b.public.Client().Transport,
		Organizations: orgs, Source: resync.NewSource(resync.SourceConfig{}),
		Keeper: func() (*hooks.Keeper, error) {
			return hooks.NewKeeper(hooks.KeeperConfig{Organizations: orgs, URL: base + "/integration/webhook", Secret: hookSecret, PerProject: true})
		},
	}
	if b.prove != nil {
		cfg.Settings.StorageQueue.URL, cfg.ProveQueue = "https://acme.queue.core.windows.net/hooks", b.prove
	}
	if b.change != nil {
		b.change(&cfg)
	}
	var out bytes.Buffer
	b.opt.JSON = true
	err = check.Run(t.Context(), cfg, b.opt, &out)
	var found []check.Finding
	if e := json.Unmarshal(out.Bytes(), &found); e != nil {
		t.Fatalf("%v in %s", e, out.String())
	}
	return found, out.String(), err
}

// readsByPost are the routes that read although they are POST.
var readsByPost = []string{"/v1/auth/access_token", "/_apis/wit/wiql", "/_apis/wit/workitemsbatch"}

// share has several processes share a Redis.
func (b *bench) share(p *replica.Proof) {
	b.change = func(c *check.Config) {
		c.ProveSharedQueue = func(context.Context) (*replica.Proof, error) { return p, nil }
	}
}

// onlyReads fails the test when something was written.
func (b *bench) onlyReads(t *testing.T) {
	t.Helper()
	bad := func(method, path string) bool {
		return method != http.MethodGet && (method != http.MethodPost || !slices.ContainsFunc(readsByPost, func(r string) bool { return strings.HasSuffix(path, r) }))
	}
	for _, r := range b.ado.Requests() {
		if bad(r.Method, r.Path) {
			t.Errorf("Azure DevOps: %s %s", r.Method, r.Path)
		}
	}
	for _, r := range b.catalog.Requests() {
		if bad(r.Method, r.Path) {
			t.Errorf("Port: %s %s", r.Method, r.Path)
		}
	}
	if info, err := os.Stat(b.state); err == nil && info.IsDir() {
		t.Errorf("%s was made", b.state)
	}
}

// begin makes the bench one of an installation that Port does not have yet.
func (b *bench) begin(origin string) {
	b.identifier = "new"
	b.change = func(c *check.Config) {
		c.Settings.CreatePortResourcesOrigin, c.Settings.InitializePortResources = origin, true
	}
}

func TestAllGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	found, out, err := b.run(t)
	if err != nil {
		t.Errorf("Run = %v\n%s", err, out)
	}
	for _, f := range found {
		if f.State != check.StateOK {
			t.Errorf("%+v", f)
		}
	}
	for _, want := range []string{"port", "azure devops", "clock", "mapping", "kind", "blueprint", "base url", "service hooks", "state"} {
		if !slices.ContainsFunc(found, func(f check.Finding) bool { return f.Check == want }) {
			t.Errorf("nothing is said about %s in %s", want, out)
		}
	}
	b.onlyReads(t)
}

// property sets a property of the mapping.
func (b *bench) property(name, expression string) {
	b.mapping["properties"].(map[string]any)[name] = expression
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		plant  func(t *testing.T, b *bench)
		check  string
		state  string // failed unless it says so
		text   string // what the finding holds
		remedy string // what its remedy holds
	}{
		{
			name: "wrong token", plant: func(_ *testing.T, b *bench) { b.token = "wrong-token-text" },
			check: "azure devops", text: "not known", remedy: "set OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN",
		},
		{
			name: "revoked token", plant: func(_ *testing.T, b *bench) { b.ado.SetPAT("another") },
			check: "azure devops", text: "expired, was revoked", remedy: "extend it or create a new one",
		},
		{
			name: "token without Project and Team", plant: func(_ *testing.T, b *bench) { b.ado.SetScopes("Code") },
			check: "azure devops", text: "may not list projects", remedy: "add the scope Project and Team (Read)",
		},
		{
			name: "no such organization", plant: func(_ *testing.T, b *bench) { b.orgs = []string{b.ado.URL + "/contso"} },
			check: "azure devops", text: "no such organization", remedy: "OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL",
		},
		{
			name: "organization that is away", plant: func(_ *testing.T, b *bench) { b.orgs = []string{"http://127.0.0.1:1/contoso"} },
			check: "azure devops", text: "cannot be reached", remedy: "HTTPS_PROXY",
		},
		{
			name: "no access to a second organization", plant: func(t *testing.T, b *bench) {
				t.Helper()
				other := azuredevopstest.New(azuredevopstest.Options{World: azuredevopstest.NewWorld("fabrikam"), PAT: "of somebody else"})
				t.Cleanup(other.Close)
				b.orgs = append(b.orgs, other.OrganizationURL())
			},
			check: "azure devops", text: "another organization does", remedy: "all accessible organizations",
		},
		{
			name: "scope missing for one kind", plant: func(_ *testing.T, b *bench) { b.ado.SetScopes("Project and Team", "Code") },
			check: "kind", text: "lacks the scope Release (Read)", remedy: "add the scope Release (Read) to the token",
		},
		{
			name: "no permission for one kind", plant: func(_ *testing.T, b *bench) {
				b.ado.Fault(azuredevopstest.Status("GET /{project}/_apis/release/releases", http.StatusForbidden))
			},
			check: "kind", text: "no permission", remedy: "Reader in the project",
		},
		{
			name: "unknown blueprint", plant: func(_ *testing.T, b *bench) { b.mapping["blueprint"] = `"servise"` },
			check: "blueprint", text: "no such blueprint", remedy: "create the blueprint servise in Port, or correct resources[1].port.entity.mappings.blueprint",
		},
		{
			name: "unknown blueprint of an expression", plant: func(_ *testing.T, b *bench) { b.mapping["blueprint"] = `"my" + .name` },
			check: "blueprint", text: "no such blueprint", remedy: "create the blueprint mycheckout",
		},
		{
			name: "unknown property", plant: func(_ *testing.T, b *bench) { b.property("link", ".webUrl") },
			check: "blueprint", text: `no property "link"`, remedy: "add the property link to the blueprint service",
		},
		{
			name: "property that is required", plant: func(_ *testing.T, b *bench) { delete(b.mapping["properties"].(map[string]any), "tier") },
			check: "blueprint", text: `requires the property "tier"`, remedy: "make the property optional",
		},
		{
			name: "type of a literal", plant: func(_ *testing.T, b *bench) { b.property("disabled", `"no"`) },
			check: "blueprint", text: "of type string, and the property is of type boolean", remedy: "change the expression at resources[1].port.entity.mappings.properties.disabled",
		},
		{
			name: "type of a record", plant: func(_ *testing.T, b *bench) { b.property("url", ".project") },
			check: "blueprint", text: "of type object", remedy: "change the expression",
		},
		{
			name: "enum", plant: func(_ *testing.T, b *bench) { b.property("tier", ".project.state") },
			check: "blueprint", text: `gives "wellFormed"`, remedy: "add the value to the enum of the property tier",
		},
		{
			name: "relation to nothing", plant: func(_ *testing.T, b *bench) {
				b.mapping["relations"].(map[string]any)["owner"] = ".project.id"
			},
			check: "blueprint", text: `no relation "owner"`, remedy: "add the relation owner to the blueprint service",
		},
		{
			name: "block that is invalid", plant: func(_ *testing.T, b *bench) { b.mapping["identifier"] = ".id | (" },
			check: "mapping", text: "resources[1].port.entity.mappings.identifier", remedy: "correct that path",
		},
		{
			name: "expression that fails", plant: func(_ *testing.T, b *bench) { b.property("url", ".name.first") },
			check: "mapping", state: check.StateWarning, text: "properties.url fails for 1 of 1 record", remedy: "correct the expression .name.first",
		},
		{
			name: "clock", plant: func(_ *testing.T, b *bench) {
				b.ado.Fault(azuredevopstest.Headers("").Header("Date", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat)))
			},
			check: "clock", text: "behind it", remedy: "set the clock of this machine",
		},
		{
			name: "clock, a little", plant: func(_ *testing.T, b *bench) {
				b.ado.Fault(azuredevopstest.Headers("").Header("Date", time.Now().Add(-2*time.Minute).UTC().Format(http.TimeFormat)))
			},
			check: "clock", state: check.StateWarning, text: "ahead of it", remedy: "set the clock of this machine",
		},
		{
			name: "base URL that is away", plant: func(_ *testing.T, b *bench) { b.public.Close() },
			check: "base url", state: check.StateWarning, text: "does not answer from here", remedy: "check DNS, ingress and certificate",
		},
		{
			name: "queue that is away", plant: func(_ *testing.T, b *bench) {
				b.prove = func(context.Context) (bool, error) { return false, errors.New("status 403") }
			},
			check: "storage queue", text: "status 403", remedy: "add, read and delete messages",
		},
		{
			name: "queue that a service reads", plant: func(_ *testing.T, b *bench) {
				b.prove = func(context.Context) (bool, error) { return true, nil }
			},
			check: "storage queue", state: check.StateOK, text: "a running service has read it",
		},
		{
			name: "queue without key", plant: func(_ *testing.T, b *bench) {
				b.prove = func(context.Context) (bool, error) { return false, nil }
			},
			check: "storage queue", state: check.StateWarning, text: "no subscription can be made", remedy: "set the key",
		},
		{
			name: "shared queue that cannot be used", plant: func(_ *testing.T, b *bench) {
				b.change = func(c *check.Config) {
					c.ProveSharedQueue = func(context.Context) (*replica.Proof, error) { return nil, errors.New("connection refused") }
				}
			},
			check: "shared queue", text: "connection refused", remedy: "OCEAN__SHARED_QUEUE_URL",
		},
		{
			name: "shared queue that loses its data", plant: func(_ *testing.T, b *bench) {
				b.share(&replica.Proof{Losses: []replica.Loss{{Text: "no file", Remedy: "set it"}}})
			},
			check: "shared queue", state: check.StateWarning, text: "no file", remedy: "set it",
		},
		{
			name: "shared queue that says nothing", plant: func(_ *testing.T, b *bench) { b.share(&replica.Proof{Silent: true}) },
			check: "shared queue", state: check.StateWarning, text: "does not let this user ask", remedy: "+info",
		},
		{
			name: "shared queue", plant: func(_ *testing.T, b *bench) { b.share(&replica.Proof{Version: "7.0.15"}) },
			check: "shared queue", state: check.StateOK, text: "Redis 7.0.15 can be used",
		},
		{
			name: "hooks may not be written", plant: func(_ *testing.T, b *bench) { b.ado.DenyHooks(azuredevopstest.EditHooks) },
			check: "service hooks", text: "not written in Payments", remedy: "make the identity a project administrator",
		},
		{
			name: "hooks may not be seen", plant: func(_ *testing.T, b *bench) { b.ado.DenyHooks(azuredevopstest.ViewHooks) },
			check: "service hooks", text: "may not be listed", remedy: "View, Edit and Delete Subscriptions",
		},
		{
			name: "hooks of which nobody can tell", plant: func(_ *testing.T, b *bench) {
				b.ado.Fault(azuredevopstest.Status("GET /_apis/permissions/{namespace}/{bits}", http.StatusForbidden))
			},
			check: "service hooks", state: check.StateWarning, text: "cannot be asked", remedy: "ado-port hooks",
		},
		{
			name: "unwritable state", plant: func(t *testing.T, b *bench) {
				t.Helper()
				if err := os.WriteFile(b.state, []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			check: "state", text: "not a directory", remedy: "OCEAN__STATE_DIRECTORY",
		},
		{
			name: "wrong region", plant: func(_ *testing.T, b *bench) { b.catalog.RejectCredentials(true) },
			check: "port", text: "refuses the credentials", remedy: "https://api.us.getport.io",
		},
		{
			name: "mapping that is no file", plant: func(_ *testing.T, b *bench) { b.opt.Mapping = "none.yaml" },
			check: "mapping", text: "none.yaml", remedy: "YAML or JSON",
		},
		{
			name: "mapping of a file", plant: func(t *testing.T, b *bench) {
				t.Helper()
				b.opt.Directory, b.opt.Mapping = t.TempDir(), "mapping.yaml"
				text := "resources:\n- kind: project\n  selector: {query: 'true'}\n  port: {entity: {mappings: {identifier: .id, blueprint: '\"nowhere\"'}}}\n"
				if err := os.WriteFile(filepath.Join(b.opt.Directory, b.opt.Mapping), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			check: "blueprint", text: "no such blueprint", remedy: "create the blueprint nowhere",
		},
		{
			name: "mapping without blocks", plant: func(t *testing.T, b *bench) {
				t.Helper()
				b.opt.Directory, b.opt.Mapping = t.TempDir(), "mapping.yaml"
				if err := os.WriteFile(filepath.Join(b.opt.Directory, b.opt.Mapping), []byte("resources: []\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			check: "mapping", state: check.StateWarning, text: "it has no blocks", remedy: "add blocks",
		},
		{
			name: "Port that is away", plant: func(_ *testing.T, b *bench) { b.catalog.Close() },
			check: "port", text: "cannot be reached", remedy: "HTTPS_PROXY",
		},
		{
			name: "Port that is ill", plant: func(_ *testing.T, b *bench) {
				b.catalog.Fault(porttest.Status("GET /v1/integration/{integration}", http.StatusForbidden))
			},
			check: "port", text: "403", remedy: "OCEAN__PORT__BASE_URL",
		},
		{
			name: "first start", plant: func(_ *testing.T, b *bench) { b.begin(port.OriginDefault) },
			check: "port", state: check.StateOK, text: `the first start makes the installation "new"`,
		},
		{
			name: "first start with an empty mapping", plant: func(_ *testing.T, b *bench) { b.begin(port.OriginEmpty) },
			check: "mapping", state: check.StateWarning, text: "it has no blocks", remedy: "add blocks",
		},
		{
			name: "first start of an installation that Port provisions", plant: func(_ *testing.T, b *bench) { b.begin(port.OriginPort) },
			check: "mapping", state: check.StateWarning, text: "Port makes it at the first start",
		},
		{
			name: "first start with the mapping of a file", plant: func(_ *testing.T, b *bench) {
				b.begin(port.OriginDefault)
				b.opt.Mapping = "none.yaml"
			},
			check: "mapping", text: "none.yaml", remedy: "YAML or JSON",
		},
		{
			name: "default resources that cannot be made", plant: func(t *testing.T, b *bench) {
				t.Helper()
				file := filepath.Join(t.TempDir(), "port-app-config.yml")
				if err := os.WriteFile(file, []byte("resources: 1"), 0o600); err != nil {
					t.Fatal(err)
				}
				b.begin(port.OriginDefault)
				first := b.change
				b.change = func(c *check.Config) {
					first(c)
					c.Settings.ResourcesPath = filepath.Dir(file)
				}
			},
			check: "mapping", text: "the default resources cannot be made", remedy: "OCEAN__INITIALIZE_PORT_RESOURCES=false",
		},
		{
			name: "identity without a permission", plant: func(_ *testing.T, b *bench) {
				b.ado.SetScopes("Project and Team", "Code")
				b.change = func(c *check.Config) {
					c.AzureDevOps = azuredevops.Config{ClientID: "app", ClientSecret: "s", TenantID: "t", WebhookSecret: hookSecret}
				}
			},
			check: "kind", text: "", remedy: "give the identity Reader in the project, and the permission to view Release",
		},
		{
			name: "identity that is not let in", plant: func(_ *testing.T, b *bench) {
				b.ado.SetPAT("another")
				b.change = func(c *check.Config) {
					c.AzureDevOps = azuredevops.Config{ClientID: "app", ClientSecret: "s", TenantID: "t", WebhookSecret: hookSecret}
				}
			},
			check: "azure devops", text: "", remedy: "the identity needs access to the organization",
		},
		{
			name: "organization that is ill", plant: func(_ *testing.T, b *bench) {
				b.ado.Fault(azuredevopstest.Status("GET /_apis/projects", http.StatusBadRequest))
			},
			check: "azure devops", text: "400", remedy: "try again later",
		},
		{
			name: "organization that is closed", plant: func(_ *testing.T, b *bench) {
				b.ado.Fault(azuredevopstest.Status("GET /_apis/projects", http.StatusForbidden))
			},
			check: "azure devops", text: "403", remedy: "give the identity access to the organization",
		},
		{
			name: "a part that cannot be read", plant: func(_ *testing.T, b *bench) {
				b.ado.Fault(azuredevopstest.Status("GET /{project}/_apis/release/releases", http.StatusBadRequest))
			},
			check: "kind", state: check.StateWarning, text: "a part of it could not be read", remedy: "keeps its entities",
		},
		{
			name: "no live events", plant: func(_ *testing.T, b *bench) {
				b.change = func(c *check.Config) { c.Settings.EventListener.Type = ocean.ListenOnce }
			},
			check: "base url", state: check.StateOK, text: "follows no live events",
		},
		{
			name: "no base URL", plant: func(_ *testing.T, b *bench) {
				b.change = func(c *check.Config) { c.Settings.BaseURL = "" }
			},
			check: "base url", state: check.StateWarning, text: "changes arrive with the next resync", remedy: "OCEAN__HOOKS__STORAGE_QUEUE_URL",
		},
		{
			name: "queue without a base URL", plant: func(_ *testing.T, b *bench) {
				b.prove = func(context.Context) (bool, error) { return false, nil }
				b.change = func(c *check.Config) {
					c.Settings.BaseURL, c.Settings.StorageQueue.AccountKey = "", "key"
				}
			},
			check: "storage queue", state: check.StateOK, text: "a message was sent and read",
		},
		{
			name: "base URL that is none", plant: func(_ *testing.T, b *bench) {
				b.change = func(c *check.Config) { c.Settings.BaseURL = "ocean.example.com" }
			},
			check: "base url", text: "is no address", remedy: "https://ocean.example.com",
		},
		{
			name: "base URL without TLS, and a secret", plant: func(_ *testing.T, b *bench) {
				b.change = func(c *check.Config) { c.Settings.BaseURL = "http://ocean.example.com" }
			},
			check: "base url", text: "over https only", remedy: "unset the secret",
		},
		{
			name: "base URL without TLS", plant: func(_ *testing.T, b *bench) {
				b.change = func(c *check.Config) {
					c.Settings.BaseURL, c.AzureDevOps.WebhookSecret = strings.Replace(c.Settings.BaseURL, "https", "http", 1), ""
				}
			},
			check: "base url", state: check.StateWarning, text: "made up on their way", remedy: "over https",
		},
		{
			name: "base URL behind which nothing runs", plant: func(_ *testing.T, b *bench) {
				b.public.Config.Handler = http.NotFoundHandler()
			},
			check: "base url", state: check.StateWarning, text: "no service behind it (404)", remedy: "when the service runs",
		},
		{
			name: "subscriptions that cannot be set up", plant: func(_ *testing.T, b *bench) {
				b.change = func(c *check.Config) {
					c.Keeper = func() (*hooks.Keeper, error) { return nil, errors.New("OCEAN__HOOKS__X: no") }
				}
			},
			check: "service hooks", text: "OCEAN__HOOKS__X", remedy: "correct the setting",
		},
		{
			name: "token that may not list subscriptions", plant: func(_ *testing.T, b *bench) {
				b.ado.Fault(azuredevopstest.Status("GET /_apis/hooks/subscriptions", http.StatusUnauthorized))
			},
			check: "service hooks", text: "may not list subscriptions", remedy: "Work Items (Read)",
		},
		{
			name: "no state directory", plant: func(_ *testing.T, b *bench) {
				b.change = func(c *check.Config) {
					c.Settings.StateDirectory, c.Environ = "", map[string]string{}
				}
			},
			check: "state", state: check.StateOK, text: "can be ",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			tt.plant(t, b)
			found, out, err := b.run(t)
			state := tt.state
			if state == "" {
				state = check.StateFailed
			}
			if !slices.ContainsFunc(found, func(f check.Finding) bool {
				return f.Check == tt.check && f.State == state && strings.Contains(f.Text, tt.text) && strings.Contains(f.Remedy, tt.remedy)
			}) {
				t.Errorf("no finding %s of %s with %q and %q in %s", state, tt.check, tt.text, tt.remedy, out)
			}
			for _, f := range found {
				if f.State == check.StateFailed && (f.Check != tt.check || state != check.StateFailed) {
					t.Errorf("fails too: %+v", f)
				}
			}
			if (err != nil) != (state == check.StateFailed) {
				t.Errorf("Run = %v", err)
			}
			for _, secret := range []string{pat, portSecret, hookSecret, "wrong-token-text"} {
				if strings.Contains(out, secret) || err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("a secret is printed: %s", out)
				}
			}
			b.onlyReads(t)
		})
	}
}
