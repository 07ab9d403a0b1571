package hooks

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
)

var alerts = Wanted{Kinds: []string{"advanced-security-alert"}}

// A host that does not let its subscriptions be listed gets them all the same, once.
func TestReconcileUnlisted(t *testing.T) {
	for _, tt := range []struct {
		name         string
		list, single int // status of a list, and of a single subscription; 0 means that it is shown
		again        string
	}{
		{"forbidden", 403, 0, "kept 6"},
		{"not allowed", 405, 403, "kept 6"},
		{"another credential", 401, 401, "kept 6"},
		{"no such route", 404, 404, "kept 6"},
		{"bad request", 400, 404, "kept 3 created 3 gaps 3"}, // they are gone
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newHookStore("p1")
				s.before = func(r *http.Request, _ []byte) *http.Response {
					_, single, _ := strings.Cut(r.URL.Path, "/hooks/subscriptions/")
					own := strings.HasPrefix(r.URL.Host, "advsec.")
					switch {
					case r.Method != http.MethodGet, !own && r.URL.Query().Get("publisherId") != "advsec":
					case !own && tt.list == 401: // signed in there
					case single == "":
						return answer(tt.list, `{"message":"no"}`)
					case tt.single != 0:
						return answer(tt.single, `{"message":"no"}`)
					}
					return nil
				}
				h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true, Secret: hookSecret}})
				wantCounts(t, reconcile(t, h, alerts), "created 6")
				time.Sleep(time.Hour)
				wantCounts(t, reconcile(t, h, alerts), tt.again)
				time.Sleep(time.Hour)
				if r, err := h.overview(t.Context(), alerts); err != nil || r.healthy() != (tt.again == "kept 6") {
					t.Errorf("overview = %+v, %v", r, err)
				}
				reconcile(t, h, Wanted{Kinds: []string{"work-item"}})
				if left := strings.Count(s.summary(), "ms.vss-alerts"); tt.single == 0 && left != 0 {
					t.Errorf("%d subscriptions that nothing needs are left", left)
				}
			})
		})
	}
}

// A host that fails is another matter: nobody knows what is there.
func TestReconcileListFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		s.before = func(r *http.Request, _ []byte) *http.Response {
			if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Host, "advsec.") {
				return answer(503, `{}`)
			}
			return nil
		}
		wantCounts(t, reconcile(t, s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}}), alerts), "created 3 unknown 1")
	})
}

// An event that the reference does not have is subscribed to where the service has it.
func TestReconcileUndocumentedEvent(t *testing.T) {
	for _, known := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := newHookStore("p1")
			s.before = func(r *http.Request, _ []byte) *http.Response {
				if known && strings.HasSuffix(r.URL.Path, "/hooks/publishers/tfs/eventtypes/git.repo.undeleted") {
					return answer(200, `{"id":"git.repo.undeleted","publisherId":"tfs"}`)
				}
				return nil
			}
			h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
			policies := Wanted{Kinds: []string{"repository-policy"}}
			n := map[bool]string{true: "4", false: "3"}[known]
			wantCounts(t, reconcile(t, h, policies), "created "+n)
			known = false // what is there needs no question
			wantCounts(t, reconcile(t, h, policies), "kept "+n)
		})
	}
}

// What the service does not show is not written back as if it were the value.
func TestReconcileMasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1")
		x := s.add("workitem.created", "p1", hookTarget, func(h *storedHook) {
			h.Status = statusOnProbation
			h.ConsumerInputs["httpHeaders"] = "X-Key: ********\nX-Plain: 1"
			h.ConsumerInputs["token"], h.ConsumerInputs["basicAuthPassword"] = "********", "old"
			h.PublisherInputs["projectId"] = "p1"
		})
		var log lockedBuffer
		h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}, log: &log})
		wantCounts(t, reconcile(t, h, workItems), "created 4 adopted 1 reenabled 1 gaps 1")
		if x.ConsumerInputs["httpHeaders"] != "X-Plain: 1" || strings.Contains(x.json(), mask) {
			t.Errorf("written: %s", x.json())
		}
		if _, ok := x.ConsumerInputs["token"]; ok {
			t.Errorf("written: %v", x.ConsumerInputs)
		}
		if !strings.Contains(log.String(), `inputs="[httpHeaders token]"`) {
			t.Errorf("log = %s", log.String())
		}
	})
}

func TestSubscriptionOfNoProject(t *testing.T) {
	subs := parseSubscriptions([]byte(`{"value":[{"id":"x","publisherInputs":{"projectId":"00000000-0000-0000-0000-000000000000"}}]}`))
	if len(subs) != 1 || subs[0].Project != "" {
		t.Errorf("%+v", subs)
	}
	if azuredevops.IDOrNone("00000000-0000-0000-0000-000000000001") == "" {
		t.Error("an id that is one")
	}
}
