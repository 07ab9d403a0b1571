package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

// note is a failed notification.
func note(sub string, id int, event string, at time.Time, details string) string {
	return fmt.Sprintf(`{"id":%d,"subscriptionId":%q,"eventId":%q,"status":"completed","result":"failed","createdDate":%q,"details":%s}`,
		id, sub, event, at.UTC().Format(time.RFC3339Nano), details)
}

// delivered are the details of a notification with an event.
func delivered(event string) string {
	return fmt.Sprintf(`{"errorMessage":"The request timed out.\nmore","request":"Authorization: Basic c2VjcmV0","event":{"id":%q,"eventType":"workitem.created","publisherId":"tfs","resource":{"id":1}}}`, event)
}

func TestHooksList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHookStore("p1", "p2")
		h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true, Secret: hookSecret}})
		reconcile(t, h, workItems)
		l, err := h.overview(t.Context(), workItems)
		if err != nil || len(l.Hooks) != 10 || !l.healthy() {
			t.Fatalf("List = %+v, %v", l, err)
		}
		s.mu.Lock()
		slices.SortFunc(s.hooks, func(a, b *storedHook) int {
			return strings.Compare(a.PublisherInputs["projectId"]+a.EventType, b.PublisherInputs["projectId"]+b.EventType)
		})
		s.hooks[1].Status = statusOnProbation
		s.hooks[2].Status = statusDisabledByUser
		s.hooks[3].ConsumerInputs["url"] = "https://old.example.com/integration/webhook"
		s.notes[s.hooks[1].ID] = []string{note(s.hooks[1].ID, 1, "e", time.Now(), delivered("e")), note(s.hooks[1].ID, 2, "f", time.Now().Add(-time.Hour), delivered("f"))}
		s.hooks = slices.Delete(s.hooks, 0, 1)
		s.add("workitem.updated", "p2", hookTarget)
		s.add("git.push", "p2", hookTarget)
		s.add("git.push", "p2", hookTarget, func(h *storedHook) { h.PublisherInputs["branch"] = "main" })
		s.mu.Unlock()
		before := s.summary()
		if l, err = h.overview(t.Context(), workItems); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range l.Hooks {
			got = append(got, x.Health+" "+x.Event+" "+x.Project)
		}
		want := []string{
			"missing workitem.commented p1", "broken workitem.created p1", "off workitem.deleted p1", "missing workitem.restored p1", "good workitem.updated p1",
			"leftover git.push p2", "filtered git.push p2", "good workitem.commented p2", "good workitem.created p2", "good workitem.deleted p2", "good workitem.restored p2",
			"good workitem.updated p2", "duplicate workitem.updated p2",
		}
		if !slices.Equal(got, want) {
			t.Errorf("health =\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		broken := l.Hooks[1]
		if broken.Failures != 2 || broken.LastFailure == nil || broken.LastFailure.Message != "The request timed out." || !broken.LastFailure.At.Equal(time.Now()) {
			t.Errorf("broken = %+v, %+v", broken, broken.LastFailure)
		}
		if l.healthy() || len(l.Elsewhere) != 1 || s.summary() != before {
			t.Errorf("healthy %v, elsewhere %+v; now\n%s", l.healthy(), l.Elsewhere, s.summary())
		}
		var text strings.Builder
		if err := l.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(l)
		if err != nil || gjson.GetBytes(b, "hooks.1.lastFailure.message").String() != "The request timed out." || gjson.GetBytes(b, "hooks.1.status").String() != statusOnProbation {
			t.Errorf("JSON = %s, %v", b, err)
		}
		for _, part := range []string{"HEALTH", "Name of p1", "broken", "last failure", "old.example.com"} {
			if !strings.Contains(text.String(), part) {
				t.Errorf("no %q in\n%s", part, text.String())
			}
		}
		mustNotShow(t, hookSecret, text.String(), string(b))
		mustNotShow(t, "c2VjcmV0", text.String(), string(b))
		// The history is best effort.
		s.before = func(r *http.Request, _ []byte) *http.Response {
			if strings.Contains(r.URL.Path, "query") {
				return answer(403, `{"message":"no"}`)
			}
			return nil
		}
		if l, err = h.overview(t.Context(), workItems); err != nil || len(l.Unknown) != 1 || len(l.Hooks) != len(want) {
			t.Errorf("List = %+v, %v", l, err)
		}
	})
}

func TestHooksCleanup(t *testing.T) {
	s := newHookStore("p1")
	state := newState()
	old := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true, URL: "https://old.example.com/integration/webhook"}, state: state})
	reconcile(t, old, workItems)
	h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}, state: state})
	s.add("git.push", "gone", hookTarget)
	stuck := s.add("git.push", "", hookTarget)
	s.add("git.push", "", "https://others.example.com/")
	s.before = func(r *http.Request, _ []byte) *http.Response {
		if r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, stuck.ID) {
			return answer(403, `{"message":"Delete Subscription"}`)
		}
		return nil
	}
	r, err := cleanUp(t, h)
	if err != nil || len(r.Removed) != 6 || len(r.Unknown) != 1 || len(s.hooks) != 2 {
		t.Errorf("Cleanup = %s, %v; left\n%s", counts(r), err, s.summary())
	}
	if len(state.of(testOrg)) != 0 {
		t.Error("removed subscriptions are in the registry")
	}
}

// cleanUp removes without a question.
func cleanUp(t *testing.T, h *organization) (*Report, error) {
	t.Helper()
	c, err := h.cleanup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c.run(t.Context())
}

func failedSetup(t *testing.T) (*hookStore, *organization, string) {
	t.Helper()
	s := newHookStore("p1")
	h := s.client(t, hookOptions{cfg: KeeperConfig{PerProject: true}})
	reconcile(t, h, workItems)
	i := slices.IndexFunc(s.hooks, func(h *storedHook) bool { return h.EventType == "workitem.created" })
	return s, h, s.hooks[i].ID
}

func TestFailedNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h, id := failedSetup(t)
		now := time.Now()
		for i := range 3*detailPage - 5 { // newest first
			event := fmt.Sprint("e", i/2) // two subscriptions of one event
			s.notes[id] = append(s.notes[id], note(id, i+1, event, now.Add(-time.Duration(i)*time.Second), delivered(event)))
		}
		s.notes[id] = append(s.notes[id], note(id, 9999, "old", now.Add(-24*time.Hour), delivered("old")))
		f, err := h.failedNotifications(t.Context(), now.Add(-time.Hour))
		if err != nil || len(f.bodies) != (3*detailPage-4)/2 || len(f.gaps) != 0 {
			t.Fatalf("failed = %d events, %+v, %v", len(f.bodies), f.gaps, err)
		}
		for i, body := range f.bodies { // the oldest first
			id := fmt.Sprint("e", len(f.bodies)-1-i)
			if got := gjson.GetBytes(body, "id").String(); got != id {
				t.Fatalf("event %d = %s, want %s", i, got, id)
			}
		}
		body := `{"id":"e0","eventType":"workitem.created","publisherId":"tfs","resource":{"id":1},"subscriptionId":"` + id + `","notificationId":1}`
		if got := string(f.bodies[len(f.bodies)-1]); got != body {
			t.Errorf("delivery = %s, want %s", got, body)
		}
		if f, err = h.failedNotifications(t.Context(), now.Add(time.Hour)); err != nil || len(f.bodies) != 0 {
			t.Errorf("failed = %+v, %v", f, err)
		}
	})
}

func TestFailedNotificationsGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h, id := failedSetup(t)
		now := time.Now()
		isGap := func(f *failedEvents, err error, events int) {
			t.Helper()
			if err != nil || len(f.bodies) != events || len(f.gaps) != 1 || f.gaps[0].Event != "workitem.created" || f.gaps[0].Project != "p1" ||
				!slices.Equal(f.gaps[0].Kinds, []string{"work-item"}) || f.gaps[0].Since.After(now.Add(-time.Hour)) {
				t.Errorf("failed = %d events, %+v, %v; want %d and a gap", len(f.bodies), f.gaps, err, events)
			}
		}
		// No event to be seen, not even alone.
		s.notes[id] = []string{note(id, 1, "e", now, `null`), note(id, 2, "f", now, `{"event":{"id":"f","resource":null}}`)}
		f, err := h.failedNotifications(t.Context(), now.Add(-time.Hour))
		isGap(f, err, 0)
		// Only alone.
		s.before = func(r *http.Request, _ []byte) *http.Response {
			if strings.HasSuffix(r.URL.Path, "/notifications/1") || strings.HasSuffix(r.URL.Path, "/notifications/2") {
				return answer(200, note(id, 1, "e", now, delivered("e")))
			}
			return nil
		}
		if f, err = h.failedNotifications(t.Context(), now.Add(-time.Hour)); err != nil || len(f.bodies) != 2 || len(f.gaps) != 0 {
			t.Errorf("failed = %+v, %v", f, err)
		}
		// A page that repeats for ever.
		var page []string
		for i := range detailPage {
			page = append(page, note(id, i, fmt.Sprint(i), now, delivered(fmt.Sprint(i))))
		}
		s.before = func(_ *http.Request, body []byte) *http.Response {
			if strings.Contains(string(body), `"includeDetails":true`) {
				return answer(200, `{"results":[`+strings.Join(page, ",")+`],"summary":[]}`)
			}
			return nil
		}
		f, err = h.failedNotifications(t.Context(), now.Add(-time.Hour))
		isGap(f, err, detailPage)
	})
}

func TestFailedNotificationsFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h, id := failedSetup(t)
		s.notes[id] = []string{note(id, 1, "e", time.Now(), delivered("e"))}
		for name, resp := range map[string]func() *http.Response{
			"500": status500, "forbidden": func() *http.Response { return answer(403, `{"message":"no"}`) },
			"neither results nor summary": func() *http.Response { return answer(200, `{}`) },
			"list":                        func() *http.Response { return answer(200, `[]`) },
		} {
			s.before = func(r *http.Request, _ []byte) *http.Response {
				if strings.Contains(r.URL.Path, "query") {
					return resp()
				}
				return nil
			}
			if f, err := h.failedNotifications(t.Context(), time.Now()); err == nil || f == nil {
				t.Errorf("%s: failed = %+v, %v", name, f, err)
			}
		}
		// No summary: every subscription may have failed.
		s.before = func(r *http.Request, body []byte) *http.Response {
			switch {
			case !strings.Contains(r.URL.Path, "query"):
				return nil
			case strings.Contains(string(body), `"includeDetails":false`):
				return answer(200, `{"results":null}`)
			}
			return answer(200, `{"results":[`+s.notes[id][0]+`]}`)
		}
		if f, err := h.failedNotifications(t.Context(), time.Now()); err != nil || len(f.bodies) != 1 {
			t.Errorf("failed = %+v, %v", f, err)
		}
	})
}

func FuzzNotifications(f *testing.F) {
	f.Add([]byte(`{"results":[` + note("S", 1, "e", time.Unix(0, 0), delivered("e")) + `],"summary":[{"subscriptionId":"S","results":[{"result":"failed","notificationCount":2}]}]}`))
	f.Add([]byte(`{"results":[null,{},{"id":"x","details":{"event":{"resource":{},"subscriptionId":1}}}],"summary":[1,{"results":3}]}`))
	f.Add([]byte(`{"results":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !json.Valid(b) || strings.TrimSpace(string(b))[0] != '{' {
			return
		}
		page, err := parseNotifications(b)
		if err != nil {
			return
		}
		for _, n := range page.results {
			if n.body != nil && !json.Valid(n.body) {
				t.Errorf("body = %s", n.body)
			}
		}
	})
}

// An answer that contradicts itself does not say that nothing failed.
func TestNotificationsThatContradictThemselves(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`{}`, `{"results":[null]}`, `{"results":["a"]}`, `{"results":[{}]}`, `{"results":[],"results":[]}`, `{"results":[],"message":"m","typeKey":"X"}`,
		`{"summary":[null]}`, `{"summary":[{}]}`, `{"summary":[{"subscriptionId":"s"}]}`, `{"summary":[{"subscriptionId":"s","results":[null]}]}`,
	} {
		if page, err := parseNotifications([]byte(answer)); !errors.Is(err, rest.ErrMalformed) {
			t.Errorf("parseNotifications(%s) = %+v, %v; want it malformed", answer, page, err)
		}
	}
}
