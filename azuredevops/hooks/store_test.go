package hooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
)

const (
	hookTarget = "https://hooks.example.com/integration/webhook"
	hookSecret = "s3cret-0123456789"
)

// storedHook is a subscription as it lies in the service.
type storedHook struct {
	ID               string            `json:"id"`
	Status           string            `json:"status"`
	PublisherID      string            `json:"publisherId"`
	EventType        string            `json:"eventType"`
	ResourceVersion  *string           `json:"resourceVersion"`
	ConsumerID       string            `json:"consumerId"`
	ConsumerActionID string            `json:"consumerActionId"`
	PublisherInputs  map[string]string `json:"publisherInputs"`
	ConsumerInputs   map[string]string `json:"consumerInputs"`
	Created          time.Time         `json:"createdDate"`
}

// hookStore is a small Azure DevOps: projects and subscriptions.
type hookStore struct {
	fake *fakeService

	mu       sync.Mutex
	n        int
	hooks    []*storedHook
	projects []string            // ids
	tags     map[string]string   // by project
	notes    map[string][]string // notifications by subscription, newest first
	// before answers instead of the store when it returns something; after
	// replaces the answer of what has been done.
	before, after func(r *http.Request, body []byte) *http.Response
}

func newHookStore(projects ...string) *hookStore {
	s := &hookStore{projects: projects, tags: map[string]string{}, notes: map[string][]string{}}
	s.fake = &fakeService{Serve: s.serve}
	return s
}

func (s *hookStore) serve(r *http.Request) *http.Response {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		if resp := s.before(r, body); resp != nil {
			return resp
		}
	}
	resp := s.answer(r, body)
	if s.after != nil {
		if other := s.after(r, body); other != nil {
			return other
		}
	}
	return resp
}

func (s *hookStore) answer(r *http.Request, body []byte) *http.Response {
	rest, ok := strings.CutPrefix(r.URL.Path, "/acme/_apis/")
	id := path.Base(rest)
	switch {
	case !ok:
		return answer(404, `{"message":"no controller"}`)
	case rest == "projects":
		return answer(200, s.projectList())
	case strings.HasSuffix(rest, "/properties"):
		tag := s.tags[path.Base(path.Dir(rest))]
		return answer(200, values(`{"name":"Microsoft.TeamFoundation.Project.Tag.`+tag+`","value":"true"}`))
	case !strings.Contains(r.Header.Get("Accept"), "api-version=") && r.URL.Query().Get("api-version") == "":
		return answer(400, `{"typeKey":"VssVersionNotSpecifiedException","message":"no version"}`)
	case rest == "hooks/notificationsquery":
		return s.query(body)
	case rest == "hooks/subscriptions" && r.Method == http.MethodGet:
		return s.list(r)
	case rest == "hooks/subscriptions" && r.Method == http.MethodPost:
		return s.put(r, &storedHook{ID: s.newID(), Created: time.Now()}, body)
	}
	i := slices.IndexFunc(s.hooks, func(h *storedHook) bool { return h.ID == id })
	if i < 0 {
		return answer(404, `{"typeKey":"SubscriptionNotFoundException","message":"no such subscription"}`)
	}
	switch r.Method {
	case http.MethodGet:
		return answer(200, s.hooks[i].json())
	case http.MethodPut:
		return s.put(r, s.hooks[i], body)
	case http.MethodDelete:
		s.hooks = slices.Delete(s.hooks, i, i+1)
		return answer(204, "")
	}
	return answer(405, `{}`)
}

func (s *hookStore) newID() string {
	s.n++
	return fmt.Sprintf("00000000-0000-0000-0000-%012d", s.n)
}

func (s *hookStore) projectList() string {
	var out []string
	for _, p := range s.projects {
		out = append(out, fmt.Sprintf(`{"id":%q,"name":%q}`, p, "Name of "+p))
	}
	return values(out...)
}

// put creates or replaces, as the service does.
func (s *hookStore) put(r *http.Request, h *storedHook, body []byte) *http.Response {
	var in storedHook
	if err := json.Unmarshal(body, &in); err != nil {
		return answer(400, `{"message":"bad body"}`)
	}
	if want := map[string]string{"rm": "vsrm.", "advsec": "advsec."}[in.PublisherID]; r.URL.Host != want+"dev.azure.com" {
		return answer(400, `{"message":"There is no registered handler for the service hooks event type"}`)
	}
	for _, name := range []string{"basicAuthPassword", "accountKey"} {
		if in.ConsumerInputs[name] == "********" {
			in.ConsumerInputs[name] = h.ConsumerInputs[name]
		}
	}
	in.ID, in.Created = h.ID, h.Created
	if in.PublisherInputs == nil {
		in.PublisherInputs = map[string]string{}
	}
	in.PublisherInputs["hostId"], in.PublisherInputs["tfsSubscriptionId"] = "host", "tfs-"+h.ID
	*h = in
	if !slices.Contains(s.hooks, h) {
		s.hooks = append(s.hooks, h)
	}
	return answer(200, h.json())
}

func (h *storedHook) json() string {
	c := *h
	c.ConsumerInputs = maps.Clone(h.ConsumerInputs)
	for _, name := range []string{"basicAuthPassword", "accountKey"} {
		if c.ConsumerInputs[name] != "" {
			c.ConsumerInputs[name] = "********"
		}
	}
	b, _ := json.Marshal(c)
	return string(b)
}

func (s *hookStore) list(r *http.Request) *http.Response {
	q := r.URL.Query()
	var out []string
	for _, h := range s.hooks {
		if h.PublisherID == "rm" && !strings.HasPrefix(r.URL.Host, "vsrm.") {
			continue
		}
		if q.Get("publisherId") == h.PublisherID && (q.Get("eventType") == "" || q.Get("eventType") == h.EventType) {
			out = append(out, h.json())
		}
	}
	return answer(200, values(out...))
}

// query answers notificationsquery; it honors maxCreatedDate and the number.
func (s *hookStore) query(body []byte) *http.Response {
	var q notificationsQuery
	_ = json.Unmarshal(body, &q)
	var out, summary []string
	for _, id := range q.SubscriptionIDs {
		notes := s.notes[id]
		summary = append(summary, fmt.Sprintf(`{"subscriptionId":%q,"results":[{"result":"succeeded","notificationCount":7},{"result":"failed","notificationCount":%d}]}`, id, len(notes)))
		for _, n := range notes {
			at := timeOf(gjson.Get(n, "createdDate").String())
			before, err := time.Parse(time.RFC3339Nano, q.MaxCreatedDate)
			if err == nil && at.After(before) || !q.IncludeDetails || len(out) >= q.MaxResults {
				continue
			}
			out = append(out, n)
		}
	}
	return answer(200, `{"results":[`+strings.Join(out, ",")+`],"summary":[`+strings.Join(summary, ",")+`]}`)
}

// add puts a subscription there that somebody else has made.
func (s *hookStore) add(event, project, url string, change ...func(*storedHook)) *storedHook {
	h := &storedHook{
		ID: s.newID(), Status: statusEnabled, PublisherID: eventTypes[event].publisher, EventType: event,
		ConsumerID: "webHooks", ConsumerActionID: "httpRequest", Created: time.Now(),
		PublisherInputs: map[string]string{"hostId": "host"}, ConsumerInputs: map[string]string{"url": url},
	}
	if project != "" {
		h.PublisherInputs["projectId"] = project
	}
	for _, c := range change {
		c(h)
	}
	s.hooks = append(s.hooks, h)
	return h
}

// summary names what is there: event, project, status.
func (s *hookStore) summary() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, h := range s.hooks {
		out = append(out, strings.TrimSpace(h.EventType+" "+h.PublisherInputs["projectId"])+" "+h.Status)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// writes are the requests that were sent and change something.
func (s *hookStore) writes() []string {
	var out []string
	for _, l := range s.fake.Sent() {
		if !strings.HasPrefix(l, "GET ") && !strings.Contains(l, "query") {
			out = append(out, l)
		}
	}
	return out
}

type hookOptions struct {
	cfg   KeeperConfig
	state *state // nil means one in memory
	tags  []string
	log   io.Writer
}

// client is an organization over the store with the usual settings.
func (s *hookStore) client(tb testing.TB, o hookOptions) *organization {
	tb.Helper()
	if o.log == nil {
		o.log = io.Discard
	}
	return over(tb, newTestClient(tb, s.fake, options{tags: o.tags, log: o.log}), o)
}

func over(tb testing.TB, c *azuredevops.Client, o hookOptions) *organization {
	tb.Helper()
	if o.cfg.URL == "" && o.cfg.Queue == nil {
		o.cfg.URL = hookTarget
	}
	if o.log != nil {
		o.cfg.Log = testLog(o.log)
	}
	if o.state == nil {
		o.state = newState()
	}
	if err := o.cfg.check(); err != nil {
		tb.Fatal(err)
	}
	return newOrganization(c, o.cfg, o.state)
}

// reconcile runs once and expects no error.
func reconcile(tb testing.TB, h *organization, w Wanted) *Report {
	tb.Helper()
	r, err := h.reconcile(tb.Context(), w)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// counts shows a report in one line.
func counts(r *Report) string {
	return fmt.Sprintf("created %d adopted %d repaired %d reenabled %d removed %d kept %d off %d refused %d unknown %d gaps %d",
		len(r.Created), len(r.Adopted), len(r.Repaired), len(r.Reenabled), len(r.Removed), r.Kept, len(r.Off), len(r.Refused), len(r.Unknown), len(r.Gaps))
}

func wantCounts(tb testing.TB, r *Report, want string) {
	tb.Helper()
	full := map[string]string{}
	fields := strings.Fields("created 0 adopted 0 repaired 0 reenabled 0 removed 0 kept 0 off 0 refused 0 unknown 0 gaps 0")
	for i := 0; i < len(fields); i += 2 {
		full[fields[i]] = fields[i+1]
	}
	given := strings.Fields(want)
	for i := 0; i+1 < len(given); i += 2 {
		full[given[i]] = given[i+1]
	}
	var b bytes.Buffer
	for i := 0; i < len(fields); i += 2 {
		fmt.Fprintf(&b, "%s %s ", fields[i], full[fields[i]])
	}
	if got := counts(r); got != strings.TrimSpace(b.String()) {
		tb.Errorf("report = %s, want %s; unknown %v", got, strings.TrimSpace(b.String()), r.Unknown)
	}
}

var workItems = Wanted{Kinds: []string{"work-item"}} // five events

func testLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Older versions knew an organization by its address as it was configured.
func TestStateOfOlderVersions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "hooks.json")
	text := `{"version":1,"salt":"AAAA","organizations":{"https://dev.azure.com/Acme":{"checked":"2026-03-01T00:00:00Z"},` +
		`"http://acme.visualstudio.com":{"checked":"2026-02-01T00:00:00Z"}},"subscriptions":{"s1":{"organization":"https://ACME.visualstudio.com/DefaultCollection","event":"git.push"}}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openState(path, slog.New(slog.DiscardHandler))
	const acme = "https://dev.azure.com/acme"
	if at := s.checked(acme); at.Month() != time.March || len(s.f.Organizations) != 1 {
		t.Errorf("checked at %v, organizations %v", at, s.f.Organizations)
	}
	if of := s.of(acme); len(of) != 1 {
		t.Errorf("subscriptions %v", of)
	}
}
