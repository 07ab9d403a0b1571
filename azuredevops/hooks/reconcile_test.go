package hooks

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

func TestWantedEvents(t *testing.T) {
	all := Wanted{Kinds: azuredevops.Kinds(), GitOps: true}.Events()
	for _, e := range all {
		if _, ok := eventTypes[e]; !ok {
			t.Errorf("nobody knows how to subscribe to %s", e)
		}
		if len(azuredevops.KindsAfter(e)) == 0 {
			t.Errorf("no kind needs %s", e)
		}
	}
	if got := (Wanted{GitOps: true}).Events(); !slices.Equal(got, []string{"git.push"}) {
		t.Errorf("events = %v", got)
	}
	if got := (Wanted{Kinds: []string{"project", "user", "nonsense"}}).Events(); len(got) != 0 {
		t.Errorf("events = %v, want none", got)
	}
	// What the Python integration subscribes to can be adopted.
	for e := range strings.FieldsSeq(`git.pullrequest.created git.pullrequest.updated git.push git.repo.created workitem.created workitem.updated
		workitem.commented workitem.deleted build.complete workitem.restored ms.vss-alerts.alert-created-event ms.vss-alerts.alert-state-changed-event
		ms.vss-alerts.alert-updated-event ms.vss-pipelinechecks-events.check-updated-event ms.vss-pipelines.job-state-changed-event
		ms.vss-pipelines.stage-state-changed-event ms.vss-pipelinechecks-events.approval-pending ms.vss-pipelinechecks-events.approval-completed
		ms.vss-pipelines.run-state-changed-event ms.vss-release.release-created-event ms.vss-release.release-abandoned-event
		ms.vss-release.deployment-started-event ms.vss-release.deployment-completed-event`) {
		if _, ok := eventTypes[e]; !ok {
			t.Errorf("%s is not known", e)
		}
	}
	if !slices.Contains(azuredevops.KindsAfter("git.push"), "branch") || !slices.Contains(azuredevops.KindsAfter("git.repo.deleted"), "pull-request") {
		t.Error("a push concerns branches, a deleted repository its pull requests")
	}
}

func TestConfig(t *testing.T) {
	c := newTestClient(t, &fakeService{}, options{})
	for _, tt := range []struct {
		name string
		cfg  KeeperConfig
		err  string
	}{
		{"good", KeeperConfig{URL: hookTarget, Secret: "x"}, ""},
		{"no URL", KeeperConfig{}, "OCEAN__BASE_URL"},
		{"a queue", KeeperConfig{Queue: testQueue(), Secret: "not used here"}, ""},
		{"a queue and a bad URL", KeeperConfig{Queue: testQueue(), URL: "hooks"}, "OCEAN__BASE_URL"},
		{"white space", KeeperConfig{URL: hookTarget, Secret: "top secret"}, "WEBHOOK_SECRET"},
		{"long", KeeperConfig{URL: hookTarget, Secret: rest.Secret(strings.Repeat("x", 257))}, "WEBHOOK_SECRET"},
		{"colon", KeeperConfig{URL: hookTarget, Username: "a:b"}, "WEBHOOK_AUTH_USERNAME"},
	} {
		tt.cfg.Organizations = []*azuredevops.Client{c}
		_, err := NewKeeper(tt.cfg)
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: NewKeeper = %v, want %q", tt.name, err, tt.err)
		}
		if err != nil {
			mustNotShow(t, "top secret", err.Error())
		}
	}
}

func TestHookURLs(t *testing.T) {
	for _, tt := range []struct{ raw, url, key string }{
		{"https://Hooks.example.com//integration/webhook/", "https://Hooks.example.com/integration/webhook", "https://hooks.example.com/integration/webhook"},
		{"HTTPS://hooks.example.com:443/integration/webhook", "https://hooks.example.com:443/integration/webhook", "https://hooks.example.com/integration/webhook"},
		{"http://h:80/p%2Fq", "http://h:80/p/q", "http://h/p/q"},
		{"https://u:p@h/x?y=z#f", "https://h/x?y=z", "https://h/x?y=z"},
		{"not a url", "not a url", "not a url"},
	} {
		if u, k := tidyURL(tt.raw), urlKey(tt.raw); u != tt.url || k != tt.key {
			t.Errorf("%q = %q, %q, want %q, %q", tt.raw, u, k, tt.url, tt.key)
		}
	}
	if got := shownURL("https://u:p@h/x?code=1"); got != "https://h/x" {
		t.Errorf("shown = %q", got)
	}
}

func TestReconcileCreates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1", "p2")
		var bodies []string
		s.before = func(r *http.Request, body []byte) *http.Response {
			if r.Method == http.MethodPost {
				bodies = append(bodies, r.URL.Host+" "+r.Header.Get("Accept")+" "+string(body))
			}
			return nil
		}
		state := newState()
		h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true, Secret: hookSecret}, state: state})
		w := Wanted{Kinds: []string{"release-definition", "pipeline-deployment"}}
		wantCounts(t, reconcile(t, h, w), "created 6")
		before := s.summary()
		wantCounts(t, reconcile(t, h, w), "kept 6")
		wantCounts(t, reconcile(t, h, w), "kept 6")
		if s.summary() != before || len(s.writes()) != 6 {
			t.Errorf("a second run changes\n%s\ninto\n%s\n%v", before, s.summary(), s.writes())
		}
		for _, b := range bodies {
			wantHost, version := "dev.azure.com application/json;api-version=7.1-preview.1 ", versionRun
			if strings.Contains(b, `"rm"`) {
				wantHost, version = "vsrm."+wantHost, versionRelease
			}
			host, body := b[:len(wantHost)], b[len(wantHost):]
			in := gjson.Get(body, "consumerInputs")
			if host != wantHost || gjson.Get(body, "resourceVersion").String() != version || in.Get("url").String() != hookTarget ||
				in.Get("basicAuthUsername").String() != "port" || in.Get("basicAuthPassword").String() != hookSecret ||
				in.Get("resourceDetailsToSend").String() != "all" || in.Get("messagesToSend").String() != "none" {
				t.Errorf("created with %s", b)
			}
		}
		id := s.hooks[0].ID
		if o := state.entry(strings.ToUpper(id)); o.Organization != testOrg || o.Project == "" || o.Event == "" {
			t.Errorf("origin = %+v", o)
		}
		if state.entry("x") != (entry{}) {
			t.Error("an unknown subscription has an origin")
		}
	})
}

// What the Python integration left behind: no version, a double slash, no
// credentials, null inputs, duplicates of each restart.
func TestReconcileAdopts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		for _, e := range azuredevops.EventsOf("work-item") {
			s.add(e, "P1", "https://HOOKS.example.com//integration/webhook", func(h *storedHook) {
				h.ConsumerInputs["httpHeaders"] = "X-Gateway: 1"
			})
		}
		s.after = func(r *http.Request, _ []byte) *http.Response {
			if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "subscriptions") {
				return nil
			}
			resp := s.list(r)
			b := make([]byte, resp.ContentLength)
			_, _ = resp.Body.Read(b)
			return answer(200, strings.ReplaceAll(string(b), `"hostId":"host"`, `"hostId":null,"x":null`))
		}
		h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true, Secret: hookSecret}})
		r := reconcile(t, h, workItems)
		wantCounts(t, r, "adopted 5 repaired 5")
		wantCounts(t, reconcile(t, h, workItems), "kept 5")
		for _, x := range s.hooks {
			if x.ConsumerInputs["basicAuthPassword"] != hookSecret || x.ConsumerInputs["url"] != hookTarget || x.ConsumerInputs["httpHeaders"] != "X-Gateway: 1" ||
				x.ResourceVersion == nil || *x.ResourceVersion != versionWorkItem {
				t.Errorf("adopted %+v", x)
			}
		}
		for _, c := range r.Adopted {
			if c.ID == "" || c.ProjectName != "Name of p1" {
				t.Errorf("adopted %+v", c)
			}
		}
	})
}

func TestReconcileDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		add := func(status string) *storedHook {
			time.Sleep(time.Second)
			return s.add("workitem.created", "p1", hookTarget, func(h *storedHook) { h.Status = status })
		}
		add(statusEnabled)
		add("disabledBySystem")
		best := add(statusEnabled)
		add(statusOnProbation)
		for range maxDeletions - 2 { // one too many in all
			add(statusDisabledByUser)
		}
		h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
		r := reconcile(t, h, workItems)
		wantCounts(t, r, "created 4 adopted 1 repaired 1 removed 200")
		if r.Postponed != 1 {
			t.Errorf("postponed = %d", r.Postponed)
		}
		wantCounts(t, reconcile(t, h, workItems), "removed 1 kept 5")
		if !slices.Contains(s.hooks, best) || len(s.hooks) != 5 {
			t.Errorf("left: %s", s.summary())
		}
	})
}

func TestReconcileForeign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		foreign := []*storedHook{
			s.add("workitem.created", "p1", "https://others.example.com/integration/webhook"),
			s.add("workitem.created", "p1", hookTarget, func(h *storedHook) { h.PublisherInputs["areaPath"] = "x" }),
			s.add("workitem.created", "p1", hookTarget, func(h *storedHook) { h.ConsumerID, h.ConsumerActionID = "slack", "post" }),
			s.add("workitem.created", "p1", hookTarget, func(h *storedHook) { h.EventType = "tfvc.checkin" }),
			s.add("git.push", "p9", "https://others.example.com/", func(h *storedHook) { h.Status = statusOnProbation }),
		}
		open := s.add("workitem.created", "p1", hookTarget, func(h *storedHook) {
			h.PublisherInputs["areaPath"], h.PublisherInputs["linksChanged"] = "", "false" // no filter at all
		})
		h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
		wantCounts(t, reconcile(t, h, workItems), "created 4 adopted 1 repaired 1")
		if _, err := cleanUp(t, h); err != nil {
			t.Error(err)
		}
		if !reflect.DeepEqual(s.hooks, foreign) {
			t.Errorf("after cleanup: %s", s.summary())
		}
		for _, w := range s.writes() {
			for _, f := range foreign {
				if strings.Contains(w, f.ID) {
					t.Errorf("touched: %s", w)
				}
			}
		}
		if !slices.ContainsFunc(s.writes(), func(w string) bool { return strings.HasPrefix(w, "PUT") && strings.Contains(w, open.ID) }) {
			t.Error("empty filters make a subscription foreign")
		}
	})
}

func TestReconcileOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
		began := time.Now().UTC()
		reconcile(t, h, workItems)
		time.Sleep(time.Hour)
		s.hooks[0].Status, s.hooks[1].Status, s.hooks[2].Status = statusOnProbation, "disabledBySystem", statusDisabledByUser
		gone := s.hooks[3]
		s.hooks = slices.Delete(s.hooks, 3, 4)
		ids := []string{s.hooks[0].ID, s.hooks[1].ID}
		r := reconcile(t, h, workItems)
		wantCounts(t, r, "created 1 reenabled 2 kept 1 off 1 gaps 3")
		for _, id := range ids {
			if !slices.ContainsFunc(r.Reenabled, func(c Change) bool { return c.ID == id }) {
				t.Errorf("%s was not switched on in place: %+v", id, r.Reenabled)
			}
		}
		for _, g := range r.Gaps {
			if !g.Since.Equal(began) || !g.Until.Equal(time.Now()) || !slices.Equal(g.Kinds, []string{"work-item"}) || g.Project != "p1" || g.Organization != testOrg {
				t.Errorf("gap = %+v", g)
			}
		}
		if h.state.entry(gone.ID) != (entry{}) {
			t.Error("a removed subscription is still in the registry")
		}
		// Gaps are told until somebody has made up for them.
		if again := reconcile(t, h, workItems); !reflect.DeepEqual(again.Gaps, r.Gaps) {
			t.Errorf("gaps = %+v", again.Gaps)
		}
		h.caught(r.Gaps)
		wantCounts(t, reconcile(t, h, workItems), "kept 4 off 1")
		// The person switches it on again: the gap is from the first sight on.
		time.Sleep(time.Hour)
		for _, x := range s.hooks {
			x.Status = statusEnabled
		}
		r = reconcile(t, h, workItems)
		wantCounts(t, r, "kept 5 gaps 1")
		if len(r.Gaps) == 1 && !r.Gaps[0].Since.Equal(began) {
			t.Errorf("gap = %+v", r.Gaps[0])
		}
	})
}

// A service that does not take the replacement, or leaves the subscription off.
func TestReconcileRenews(t *testing.T) {
	for name, put := range map[string]func(h *storedHook) *http.Response{
		"refused":   func(*storedHook) *http.Response { return answer(400, `{"message":"no"}`) },
		"gone":      func(*storedHook) *http.Response { return answer(404, `{"message":"no"}`) },
		"stays off": func(h *storedHook) *http.Response { return answer(200, h.json()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newHookStore("p1")
				old := s.add("workitem.created", "p1", hookTarget, func(h *storedHook) { h.Status = "disabledBySystem" })
				s.before = func(r *http.Request, _ []byte) *http.Response {
					switch r.Method {
					case http.MethodPut:
						return put(old)
					case http.MethodDelete:
						if len(s.hooks) < 2 {
							t.Error("deleted before there was another one")
						}
					}
					return nil
				}
				h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
				r := reconcile(t, h, workItems)
				want := "created 4 adopted 1 reenabled 1 removed 1 gaps 1"
				if name == "gone" {
					want = "created 4 adopted 1 reenabled 1 gaps 1"
				}
				wantCounts(t, r, want)
				if len(r.Gaps) == 1 && !r.Gaps[0].Since.IsZero() {
					t.Errorf("gap since %v, want unknown", r.Gaps[0].Since)
				}
			})
		})
	}
}

func TestReconcileCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		path := filepath.Join(t.TempDir(), "hooks.json")
		hooks := func(secret rest.Secret, path string) *organization {
			state := newState()
			if path != "" {
				state = openState(path, testLog(io.Discard))
			}
			return s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true, Secret: secret}, state: state})
		}
		check := func(want string) {
			t.Helper()
			for _, h := range s.hooks {
				if h.ConsumerInputs["basicAuthPassword"] != want {
					t.Errorf("password = %q, want %q", h.ConsumerInputs["basicAuthPassword"], want)
				}
			}
		}
		wantCounts(t, reconcile(t, hooks("", path), workItems), "created 5")
		wantCounts(t, reconcile(t, hooks(hookSecret, path), workItems), "repaired 5") // none had any
		check(hookSecret)
		wantCounts(t, reconcile(t, hooks(hookSecret, path), workItems), "kept 5") // remembered
		wantCounts(t, reconcile(t, hooks("rotated", path), workItems), "repaired 5")
		check("rotated")
		// Somebody takes the credentials off one.
		delete(s.hooks[0].ConsumerInputs, "basicAuthUsername")
		delete(s.hooks[0].ConsumerInputs, "basicAuthPassword")
		wantCounts(t, reconcile(t, hooks("rotated", path), workItems), "repaired 1 kept 4")
		check("rotated")
		// Without a memory each start writes once, slowly.
		began := time.Now()
		h := hooks("rotated", "")
		wantCounts(t, reconcile(t, h, workItems), "adopted 5 repaired 5")
		if d := time.Since(began); d < 4*refreshPace {
			t.Errorf("wrote five in %v", d)
		}
		wantCounts(t, reconcile(t, h, workItems), "kept 5")
		wantCounts(t, reconcile(t, hooks("", path), workItems), "repaired 5")
		check("")
		wantCounts(t, reconcile(t, hooks("", path), workItems), "kept 5")

		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		mustNotShow(t, hookSecret, string(b))
		mustNotShow(t, "rotated", string(b))
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode = %v, %v", info.Mode(), err)
		}
	})
}

// A service that spells what it was told in its own way is not told again.
func TestReconcileShape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		s.after = func(r *http.Request, _ []byte) *http.Response {
			for _, h := range s.hooks {
				delete(h.ConsumerInputs, "resourceDetailsToSend")
				other := "9.9"
				h.ResourceVersion = &other
			}
			if r.Method == http.MethodPost {
				return answer(200, s.hooks[len(s.hooks)-1].json())
			}
			if r.Method == http.MethodPut {
				return answer(200, s.hooks[0].json())
			}
			return nil
		}
		h := s.client(t, hookOptions{cfg: KeeperConfig{Secret: hookSecret}})
		w := Wanted{GitOps: true}
		wantCounts(t, reconcile(t, h, w), "created 1")
		wantCounts(t, reconcile(t, h, w), "kept 1")
		s.hooks[0].ConsumerInputs["resourceDetailsToSend"] = "minimal"
		s.after = nil
		wantCounts(t, reconcile(t, h, w), "repaired 1")
		wantCounts(t, reconcile(t, h, w), "kept 1")
		if s.hooks[0].ConsumerInputs["resourceDetailsToSend"] != "all" || *s.hooks[0].ResourceVersion != versionGit {
			t.Errorf("hook = %+v", s.hooks[0])
		}
	})
}

func TestState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hooks.json")
	for _, content := range []string{"{", `{"version":9,"salt":"AA=="}`, `[]`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var log lockedBuffer
		if s := openState(path, testLog(&log)); len(s.f.Salt) == 0 || !strings.Contains(log.String(), "unreadable") {
			t.Errorf("openState(%s) = %+v, log %q", content, s.f, log.String())
		}
	}
	if err := os.WriteFile(path, []byte(`{"version":1,"salt":"AAAA","organizations":{"o":null},"subscriptions":{"s":null}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	none := testLog(io.Discard)
	s := openState(path, none)
	s.set("ID", entry{Organization: "o", Event: "e"})
	s.setRefused("o", "x", &refusalNote{URL: "u", Status: 403})
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if s = openState(path, none); s.entry("id").Event != "e" {
		t.Errorf("entry = %+v", s.entry("id"))
	}
	if r, ok := s.refused("o", "x", "u"); !ok || r.Status != 403 {
		t.Errorf("refused = %+v, %v", r, ok)
	}
	if _, ok := s.refused("o", "x", "other"); ok {
		t.Error("a refusal outlives the address it was for")
	}
	var log lockedBuffer
	if s := openState(filepath.Dir(path), testLog(&log)); s.save() != nil || !strings.Contains(log.String(), "is lost") {
		t.Errorf("a directory is a state file: %s", log.String())
	}
	s.path = filepath.Join(path, "below", "a", "file")
	s.set("x", entry{Event: "y"})
	if err := s.save(); err == nil {
		t.Error("save = nil where nothing can be written")
	}
	if s.print("u", "p") == s.print("u", "q") || s.print("u", "p") == newState().print("u", "p") || s.print("u", "") != "" {
		t.Error("prints of credentials do not differ")
	}
}

func TestReconcileSignedOut(t *testing.T) {
	s := newHookStore("p1")
	s.add("workitem.created", "p1", hookTarget)
	s.before = func(r *http.Request, _ []byte) *http.Response {
		if strings.Contains(r.URL.Path, "hooks") {
			return answer(203, "<html>", "Content-Type", "text/html")
		}
		return nil
	}
	h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
	r, err := h.reconcile(t.Context(), workItems)
	if !errors.Is(err, rest.ErrUnauthorized) || r == nil || len(s.writes()) != 0 {
		t.Errorf("Reconcile = %+v, %v; %v", r, err, s.writes())
	}
	if l, err := h.overview(t.Context(), workItems); !errors.Is(err, rest.ErrUnauthorized) || l != nil {
		t.Errorf("List = %v", err)
	}
}
