package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

func TestReconcileLeftovers(t *testing.T) {
	seed := func() *hookStore {
		s := newHookStore("p1", "p2", "p3")
		s.tags["p2"] = "skip"
		for _, p := range []string{"p1", "p2", "p3", "gone"} {
			s.add("workitem.created", p, hookTarget)
		}
		s.add("git.push", "p1", hookTarget)
		return s
	}
	for _, tt := range []struct {
		name   string
		before func(r *http.Request) *http.Response
		wanted Wanted
		want   string
		left   string // hooks that are there at the end and not wanted
	}{
		{"complete", nil, workItems, "created 8 adopted 2 repaired 2 removed 3", ""},
		{"nothing wanted", nil, Wanted{}, "", "git.push p1,workitem.created gone,workitem.created p1,workitem.created p2,workitem.created p3"},
		{
			"tags unknown",
			func(r *http.Request) *http.Response {
				if strings.Contains(r.URL.Path, "p3/properties") {
					return answer(404, `{}`)
				}
				return nil
			},
			workItems, "created 4 adopted 1 repaired 1 removed 3 unknown 1", "workitem.created p3",
		},
		{
			"projects cut short",
			func(r *http.Request) *http.Response {
				if strings.HasSuffix(r.URL.Path, "_apis/projects") {
					if r.URL.Query().Get("continuationToken") != "" {
						return answer(500, `{}`)
					}
					return answer(200, projectsOf("A"), "X-Ms-Continuationtoken", "1")
				}
				return nil
			},
			workItems, "created 4 adopted 1 repaired 1 unknown 1", "git.push p1,workitem.created gone,workitem.created p2,workitem.created p3",
		},
		{
			"publisher unknown",
			func(r *http.Request) *http.Response {
				if r.URL.Query().Get("publisherId") == "tfs" {
					return answer(500, `{}`)
				}
				return nil
			},
			workItems, "unknown 1", "git.push p1,workitem.created gone,workitem.created p1,workitem.created p2,workitem.created p3",
		},
		{
			"list too short",
			func(r *http.Request) *http.Response {
				if r.URL.Query().Get("publisherId") == "tfs" {
					return answer(200, `{"count":3,"value":[null]}`)
				}
				return nil
			},
			workItems, "unknown 1", "git.push p1,workitem.created gone,workitem.created p1,workitem.created p2,workitem.created p3",
		},
		{
			"list malformed",
			func(r *http.Request) *http.Response {
				if r.URL.Query().Get("publisherId") == "tfs" {
					return answer(200, `{"value":[{"id":`)
				}
				return nil
			},
			workItems, "unknown 1", "git.push p1,workitem.created gone,workitem.created p1,workitem.created p2,workitem.created p3",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := seed()
				if tt.before != nil {
					s.before = func(r *http.Request, _ []byte) *http.Response { return tt.before(r) }
				}
				h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}, tags: []string{"skip"}})
				wantCounts(t, reconcile(t, h, tt.wanted), tt.want)
				var left []string
				for _, x := range s.hooks {
					if x.ResourceVersion == nil {
						left = append(left, x.EventType+" "+x.PublisherInputs["projectId"])
					}
				}
				slices.Sort(left)
				if got := strings.Join(left, ","); got != tt.left {
					t.Errorf("left as it was: %s, want %s", got, tt.left)
				}
			})
		})
	}
}

// The service puts inputs of its own on every subscription, which made the
// Python integration create another set with every start.
func TestReconcileOrganizationWide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1", "p2")
		wide := s.client(t, hookOptions{})
		wantCounts(t, reconcile(t, wide, workItems), "created 5")
		wantCounts(t, reconcile(t, wide, workItems), "kept 5")
		narrow := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
		s.before = func(r *http.Request, body []byte) *http.Response {
			if r.Method == http.MethodPost && strings.Contains(string(body), `"p2"`) {
				return answer(403, `{"message":"needs Edit Subscription"}`)
			}
			return nil
		}
		// What is replaced stays until all of the replacement is there.
		wantCounts(t, reconcile(t, narrow, workItems), "created 5 refused 5")
		s.before = nil
		time.Sleep(time.Hour)
		wantCounts(t, reconcile(t, narrow, workItems), "created 5 removed 5 kept 5")
		wantCounts(t, reconcile(t, wide, workItems), "created 5 removed 10")
	})
}

// An event that Azure DevOps does not take for the whole organization is taken
// per project, in the same run and in those that follow.
func TestReconcileProjectScopedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1", "p2")
		s.before = func(r *http.Request, body []byte) *http.Response {
			if b := string(body); r.Method == http.MethodPost && strings.Contains(b, "workitem.deleted") && !strings.Contains(b, "projectId") {
				return answer(400, `{"message":"not for a collection"}`)
			}
			return nil
		}
		h := s.client(t, hookOptions{})
		wantCounts(t, reconcile(t, h, workItems), "created 6 kept 4 refused 1")
		s.projects = append(s.projects, "p3")
		wantCounts(t, reconcile(t, h, workItems), "created 1 kept 6 refused 1")
		time.Sleep(2 * time.Hour)
		wantCounts(t, reconcile(t, h, workItems), "kept 7 refused 1")
		s.before = nil
		time.Sleep(2 * time.Hour)
		wantCounts(t, reconcile(t, h, workItems), "created 1 kept 7")
		wantCounts(t, reconcile(t, h, workItems), "removed 3 kept 5")
		wantCounts(t, reconcile(t, h, workItems), "kept 5")
	})
}

func TestReconcileRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1", "p2")
		s.before = func(r *http.Request, body []byte) *http.Response {
			if r.Method == http.MethodPost && strings.Contains(string(body), `"p1"`) {
				return answer(403, `{"message":"`+hookSecret+` needs the following permission(s): Edit Subscription"}`)
			}
			return nil
		}
		var log lockedBuffer
		h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true, Secret: hookSecret}, log: &log})
		r := reconcile(t, h, workItems)
		wantCounts(t, r, "created 5 refused 5")
		for _, x := range r.Refused {
			if x.Project != "p1" || x.Status != 403 || !strings.Contains(x.Missing, "permission to edit service hook") || !strings.Contains(x.Message, "Edit Subscription") {
				t.Errorf("refused = %+v", x)
			}
		}
		tries := len(s.writes())
		r = reconcile(t, h, workItems)
		wantCounts(t, r, "kept 5 refused 5")
		if len(s.writes()) != tries {
			t.Errorf("hammered: %v", s.writes()[tries:])
		}
		if n := strings.Count(log.String(), "refused by azure devops"); n != 1 {
			t.Errorf("told %d times, want once: %s", n, log.String())
		}
		var out strings.Builder
		if err := r.WriteText(&out); err != nil || strings.Count(out.String(), "permission to edit") != 1 {
			t.Errorf("report = %s", out.String())
		}
		mustNotShow(t, hookSecret, log.String(), out.String(), fmt.Sprintf("%+v", r))
		time.Sleep(time.Hour)
		s.before = nil
		wantCounts(t, reconcile(t, h, workItems), "created 5 kept 5")
	})
}

// Status 401 means that the token may read hooks, but not write any.
func TestReconcileReadOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		s.add("workitem.created", "p1", hookTarget)
		s.before = func(r *http.Request, _ []byte) *http.Response {
			if r.Method == http.MethodPost || r.Method == http.MethodPut {
				return answer(401, "")
			}
			return nil
		}
		h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
		r := reconcile(t, h, workItems)
		wantCounts(t, r, "adopted 1 refused 5")
		if len(s.writes()) != 1 || len(r.Refused) == 0 || !strings.Contains(r.Refused[0].Missing, "credential") {
			t.Errorf("refused %+v after %v", r.Refused, s.writes())
		}
	})
}

// The answer that is lost: nothing must be there twice.
func TestReconcileLostAnswers(t *testing.T) {
	for name, lose := range map[string]func() *http.Response{
		"500":       status500,
		"malformed": func() *http.Response { return answer(200, `{"id":`) },
		"no id":     func() *http.Response { return answer(200, `{}`) },
		"empty":     func() *http.Response { return answer(200, "") },
		"429":       func() *http.Response { return answer(429, `{}`, "Retry-After", "30") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newHookStore("p1", "p2")
				n := 0
				s.after = func(r *http.Request, _ []byte) *http.Response {
					if n++; r.Method == http.MethodPost && n%2 == 0 {
						return lose()
					}
					return nil
				}
				h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
				wantCounts(t, reconcile(t, h, workItems), "created 10")
				if len(s.hooks) != 10 {
					t.Errorf("there are %d: %s", len(s.hooks), s.summary())
				}
				wantCounts(t, reconcile(t, h, workItems), "kept 10")
			})
		})
	}
}

func status500() *http.Response { return answer(500, `{}`) }

func TestReconcileFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1", "p2", "p3")
		s.before = func(r *http.Request, _ []byte) *http.Response {
			if r.Method == http.MethodPost {
				return answer(503, `{}`)
			}
			return nil
		}
		h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
		r := reconcile(t, h, workItems)
		wantCounts(t, r, "unknown 15")
		if n := len(s.writes()); n > 3*(maxFailures+width) {
			t.Errorf("tried %d times", n)
		}
		s.before = func(r *http.Request, _ []byte) *http.Response {
			if r.Method == http.MethodPost {
				return nil
			}
			if r.URL.Query().Get("eventType") != "" {
				return answer(500, `{}`)
			}
			return nil
		}
		s.after = func(r *http.Request, _ []byte) *http.Response {
			if r.Method == http.MethodPost {
				return answer(500, `{}`)
			}
			return nil
		}
		// Who cannot look does not create again.
		reconcile(t, h, workItems)
		s.before, s.after = nil, nil
		r = reconcile(t, h, workItems)
		if len(r.Removed) != 0 || len(s.hooks) != 15 {
			t.Errorf("removed %d, there are %d", len(r.Removed), len(s.hooks))
		}
	})
}

// Whatever fails at random, runs end in the same place.
func TestReconcileConverges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1", "p2", "p3")
		for range 3 {
			s.add("workitem.created", "p1", hookTarget)
			s.add("git.push", "p2", "https://old.example.com/integration/webhook", func(h *storedHook) { h.Status = statusOnProbation })
		}
		n := 0
		fault := func(*http.Request, []byte) *http.Response {
			switch n++; n % 11 {
			case 3:
				return answer(500, `{}`)
			case 6:
				return answer(429, `{}`, "Retry-After", "2")
			case 9:
				return answer(200, `{"value":`)
			}
			return nil
		}
		s.before, s.after = fault, fault
		h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true, Secret: hookSecret, OldURLs: []string{"https://OLD.example.com/integration/webhook/"}}})
		for range 5 {
			_, _ = h.reconcile(t.Context(), Wanted{Kinds: []string{"work-item"}, GitOps: true})
			time.Sleep(time.Hour)
		}
		s.before, s.after = nil, nil
		reconcile(t, h, Wanted{Kinds: []string{"work-item"}, GitOps: true})
		wantCounts(t, reconcile(t, h, Wanted{Kinds: []string{"work-item"}, GitOps: true}), "kept 18 gaps 1")
		for _, x := range s.hooks {
			if x.ConsumerInputs["url"] != hookTarget || x.ConsumerInputs["basicAuthPassword"] != hookSecret {
				t.Errorf("hook = %+v", x)
			}
		}
	})
}

func TestReconcileMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		state := newState()
		old := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true, URL: "https://old.example.com/integration/webhook"}, state: state})
		wantCounts(t, reconcile(t, old, workItems), "created 5")
		ids := s.hooks[0].ID
		s.add("git.push", "p1", "https://old.example.com/integration/webhook")
		now := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}, state: state})
		wantCounts(t, reconcile(t, now, workItems), "repaired 5 removed 1")
		wantCounts(t, reconcile(t, now, workItems), "kept 5")
		if s.hooks[0].ID != ids || s.hooks[0].ConsumerInputs["url"] != hookTarget {
			t.Errorf("hook = %+v", s.hooks[0])
		}
		// An installation that never had that address leaves it alone.
		other := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true, URL: "https://other.example.com/integration/webhook"}})
		wantCounts(t, reconcile(t, other, workItems), "created 5")
		l, err := other.overview(t.Context(), workItems)
		if err != nil || len(l.Elsewhere) != 5 || !l.healthy() {
			t.Errorf("List = %+v, %v", l, err)
		}
	})
}

// A server that does not know the version of a resource.
func TestReconcileResourceVersion(t *testing.T) {
	s := newHookStore("p1")
	s.before = func(r *http.Request, body []byte) *http.Response {
		if r.Method == http.MethodPost && strings.Contains(string(body), "resourceVersion") {
			return answer(400, `{"message":"The resource version 1.0 is not supported."}`)
		}
		return nil
	}
	h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
	wantCounts(t, reconcile(t, h, workItems), "created 5")
	wantCounts(t, reconcile(t, h, workItems), "kept 5")
}

// On Server all services are one host, and unknown publishers are absent.
func TestReconcileServer(t *testing.T) {
	f := &fakeService{}
	f.Serve = func(r *http.Request) *http.Response {
		switch q := r.URL.Query(); {
		case strings.HasSuffix(r.URL.Path, "/projects"):
			return answer(200, projectsOf("A"))
		case q.Get("publisherId") == "advsec":
			return answer(404, `{"typeKey":"PublisherNotFoundException"}`)
		case r.Method == http.MethodGet:
			return answer(200, values())
		}
		return answer(200, `{"id":"x"}`)
	}
	c := newTestClient(t, f, options{org: "https://tfs.example.com/tfs/Collection"})
	h := over(t, c, hookOptions{cfg: KeeperConfig{URL: hookTarget, PerProject: true}})
	r := reconcile(t, h, Wanted{Kinds: []string{"release-deployment", "advanced-security-alert"}})
	wantCounts(t, r, "created 7 unknown 1")
	if n := f.Count("GET /tfs/Collection/_apis/hooks/subscriptions"); n != 4 {
		t.Errorf("%d lists, want one per publisher: %v", n, f.Sent())
	}
}

func TestReconcileCanceled(t *testing.T) {
	s := newHookStore("p1")
	ctx, cancel := context.WithCancel(t.Context())
	s.before = func(r *http.Request, _ []byte) *http.Response {
		if r.Method == http.MethodPost {
			cancel()
		}
		return nil
	}
	h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
	if r, err := h.reconcile(ctx, workItems); !errors.Is(err, context.Canceled) || r == nil {
		t.Errorf("reconcile = %v", err)
	}
	if _, err := h.reconcile(ctx, workItems); !errors.Is(err, context.Canceled) {
		t.Errorf("reconcile = %v", err)
	}
}

func TestReconcileWidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inside, most := 0, 0
		s := newHookStore("p1", "p2", "p3", "p4")
		slow := &fakeService{}
		slow.Serve = func(r *http.Request) *http.Response {
			s.mu.Lock()
			inside++
			most = max(most, inside)
			s.mu.Unlock()
			time.Sleep(time.Second)
			s.mu.Lock()
			inside--
			s.mu.Unlock()
			return s.serve(r)
		}
		c := newTestClient(t, slow, options{most: 50})
		h := over(t, c, hookOptions{cfg: KeeperConfig{URL: hookTarget, PerProject: true}})
		wantCounts(t, reconcile(t, h, workItems), "created 20")
		if most > width {
			t.Errorf("%d calls at the same time", most)
		}
	})
}

func FuzzSubscriptions(f *testing.F) {
	for _, b := range []string{
		`{"count":1,"value":[{"id":"A","publisherInputs":{"projectId":"P","x":null},"consumerInputs":null,"createdDate":"2014-10-27T15:37:24.873Z"}]}`,
		`{"value":[null,{},{"id":1,"consumerInputs":[1],"publisherInputs":{"a":{"b":1}}}]}`, `{"count":9,"value":[]}`, `{"value":{}}`, `[]`,
	} {
		f.Add([]byte(b))
	}
	c := newTestClient(f, &fakeService{}, options{})
	h := over(f, c, hookOptions{cfg: KeeperConfig{URL: hookTarget, Secret: hookSecret, PerProject: true}})
	f.Fuzz(func(t *testing.T, b []byte) {
		if !json.Valid(b) || rest.CheckList(b, "value", "id") != nil {
			return
		}
		subs := parseSubscriptions(b)
		for i := range b {
			b[i] = 'x' // nothing aliases it
		}
		plan := h.newPlan(workItems, &scope{projects: []string{"p"}, names: map[string]string{"p": "P"}}, &listing{all: subs}, nil)
		if len(plan.best)+len(plan.create) != 5 {
			t.Errorf("plan = %+v", plan)
		}
		for _, s := range subs {
			if s.ID == "" || strings.Contains(s.URL, "?") {
				t.Errorf("subscription = %+v", s)
			}
			if _, err := h.body(s.key(), s, true); err != nil {
				t.Error(err)
			}
		}
	})
}
