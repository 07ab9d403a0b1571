package azuredevopstest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

// A consumer receives deliveries.
type consumer struct {
	mu     sync.Mutex
	bodies []string
	users  []string
	status []int // of the next answers; then 200
}

func (c *consumer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = append(c.bodies, string(body))
	user, password, _ := r.BasicAuth()
	c.users = append(c.users, user+":"+password+" "+r.Header.Get("X-Gateway"))
	if len(c.status) > 0 {
		w.WriteHeader(c.status[0])
		c.status = c.status[1:]
	}
}

// RoundTrip is for tests without sockets.
func (c *consumer) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Result(), nil
}

func (c *consumer) answers(status ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

// got names what has come: the values of a path of each delivery.
func (c *consumer) got(path string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, b := range c.bodies {
		out = append(out, gjson.Get(b, path).String())
	}
	return strings.Join(out, " ")
}

func hooked(t *testing.T, retry time.Duration) (*azuredevopstest.Server, *consumer) {
	t.Helper()
	w, _, _ := small()
	c := &consumer{}
	s := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w, HookTransport: c, HookRetry: retry})
	t.Cleanup(s.Close)
	return s, c
}

const hookVersion = "?api-version=7.1-preview.1"

// subscribe makes a subscription and returns its id.
func subscribe(t *testing.T, s *azuredevopstest.Server, event, publisherInputs, consumerInputs string) string {
	t.Helper()
	var out struct{ ID string }
	a := do(t, s, "POST", "/_apis/hooks/subscriptions"+hookVersion, fmt.Sprintf(`{"publisherId":"tfs","eventType":%q,"consumerId":"webHooks",`+
		`"consumerActionId":"httpRequest","publisherInputs":{%s},"consumerInputs":{"url":"http://hooks.example/in"%s}}`, event, publisherInputs, consumerInputs))
	if a.status != 200 {
		t.Fatal(a.body)
	}
	a.into(t, &out)
	return out.ID
}

func settle(t *testing.T, s *azuredevopstest.Server) {
	t.Helper()
	if err := s.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func status(t *testing.T, s *azuredevopstest.Server, id string) string {
	t.Helper()
	for _, x := range s.Subscriptions() {
		if x.ID == id {
			return x.Status
		}
	}
	t.Fatalf("no subscription %s", id)
	return ""
}

func TestHooksAreDelivered(t *testing.T) {
	t.Parallel()
	s, c := hooked(t, -1)
	id := subscribe(t, s, "git.push", "", `,"basicAuthUsername":"u","basicAuthPassword":"p","httpHeaders":"X-Gateway: 1","messagesToSend":"none"`)
	settle(t, s) // nothing has happened
	r := s.World().Projects[0].Repositories[0]
	r.Push("main", azuredevopstest.Files{"a": "1"})
	r.Rename("other") // nobody has subscribed to that
	r.Push("dev", azuredevopstest.Files{"a": "2"})
	settle(t, s)
	if got := c.got("resource.refUpdates.0.name"); got != "refs/heads/main refs/heads/dev" {
		t.Errorf("delivered %s", got)
	}
	if got := c.got("notificationId"); got != "1 2" || c.got("subscriptionId") != id+" "+id || c.users[0] != "u:p 1" {
		t.Errorf("notifications %s as %s", got, c.users[0])
	}
	if message := gjson.Get(c.bodies[0], "message"); message.Type != gjson.Null || !gjson.Get(c.bodies[0], "detailedMessage.text").Exists() {
		t.Errorf("message %s", message)
	}
	for _, n := range s.Notifications() {
		if n.Result != "succeeded" || n.Attempts != 1 || n.Status != 200 || n.Subscription != id {
			t.Errorf("notification %+v", n)
		}
	}
}

func TestHooksOverTheNetwork(t *testing.T) {
	t.Parallel()
	w, _, r := small()
	s := azuredevopstest.New(azuredevopstest.Options{World: w, HookRetry: time.Nanosecond})
	defer s.Close()
	c := &consumer{}
	receiver := httptest.NewServer(c)
	defer receiver.Close()
	c.answers(503, 408)
	subscribe(t, s, "git.push", "", `,"url":"`+receiver.URL+`/integration/webhook"`)
	r.Push("main", azuredevopstest.Files{"a": "1"})
	settle(t, s)
	if n := s.Notifications(); len(n) != 1 || n[0].Attempts != 3 || n[0].Result != "succeeded" || c.got("eventType") != "git.push git.push git.push" {
		t.Errorf("notifications %+v", n)
	}
}

func TestHookFilters(t *testing.T) {
	t.Parallel()
	s, c := hooked(t, -1)
	p := s.World().Projects[0]
	r := p.Repositories[0]
	for _, tt := range []struct {
		inputs string
		want   bool
	}{
		{`"projectId":"` + strings.ToUpper(p.ID) + `","repository":"` + r.ID + `","branch":"main"`, true},
		{`"branch":"refs/heads/main","repository":"","linksChanged":"false"`, true},
		{`"branch":"dev"`, false},
		{`"repository":"another"`, false},
		{`"unknown":"input"`, false},
	} {
		id := subscribe(t, s, "git.push", tt.inputs, "")
		before := len(c.bodies)
		r.Push("main", azuredevopstest.Files{"a": tt.inputs})
		settle(t, s)
		if got := len(c.bodies) > before; got != tt.want {
			t.Errorf("%s: delivered %v, want %v", tt.inputs, got, tt.want)
		}
		do(t, s, "DELETE", "/_apis/hooks/subscriptions/"+id+hookVersion, "")
	}
	other := s.World().AddProject("Other")
	subscribe(t, s, "git.push", `"projectId":"`+other.ID+`"`, "")
	subscribe(t, s, "workitem.created", `"areaPath":"`+p.Name+`"`, "")
	c.bodies = nil
	r.Push("main", azuredevopstest.Files{"a": "b"})
	wi := p.AddWorkItem("Bug", "Below")
	settle(t, s)
	if got := c.got("eventType"); got != "workitem.created" || c.got("resource.id") != fmt.Sprint(wi.ID) {
		t.Errorf("delivered %s", got)
	}
}

func TestFatesOfDeliveries(t *testing.T) {
	t.Parallel()
	s, c := hooked(t, -1)
	subscribe(t, s, "git.push", "", "")
	r := s.World().Projects[0].Repositories[0]
	push := func(branch string) { r.Push(branch, azuredevopstest.Files{branch: "x"}) }

	s.Deliver(azuredevopstest.Once("git.push", azuredevopstest.Lost))
	push("lost")
	push("one")
	s.World().Projects[0].AddWorkItem("Bug", "Nobody listens")
	settle(t, s)
	s.Deliver(azuredevopstest.Once("", azuredevopstest.Twice))
	push("two")
	settle(t, s)
	s.Deliver(azuredevopstest.Once("", azuredevopstest.Failed))
	push("failed")
	settle(t, s)
	release := make(chan struct{})
	s.Deliver(azuredevopstest.Held(release))
	push("three")
	push("four")
	before := c.got("resource.refUpdates.0.name")
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Settled(done); !errors.Is(err, context.Canceled) {
		t.Errorf("Settled = %v while deliveries are held", err)
	}
	s.Deliver(nil)
	close(release)
	settle(t, s)
	names := strings.ReplaceAll(c.got("resource.refUpdates.0.name"), "refs/heads/", "")
	if names != "one two two three four" || strings.Contains(before, "three") {
		t.Errorf("delivered %s; before the release %s", names, before)
	}
	var results []string
	for _, n := range s.Notifications() {
		results = append(results, n.Result)
	}
	if got := strings.Join(results, " "); got != "succeeded succeeded failed succeeded succeeded" {
		t.Errorf("notifications %s", got)
	}
}

func TestHooksAreRetriedLikeTheServiceDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := hooked(t, 0)
		id := subscribe(t, s, "git.push", "", "")
		r := s.World().Projects[0].Repositories[0]
		began := time.Now()
		c.answers(503, 502, 200)
		r.Push("main", azuredevopstest.Files{"a": "1"})
		settle(t, s)
		if took := time.Since(began); took != 3*time.Second || status(t, s, id) != "enabled" {
			t.Errorf("delivered after %v, %s", took, status(t, s, id))
		}
		c.answers(slices.Repeat([]int{504}, 9)...)
		r.Push("main", azuredevopstest.Files{"a": "2"})
		settle(t, s)
		if n := s.Notifications(); n[1].Attempts != 9 || n[1].Result != "failed" || n[1].Status != 504 || status(t, s, id) != "onProbation" {
			t.Errorf("%+v, %s", n[1], status(t, s, id))
		}
		c.answers(503) // one try only, on probation
		r.Push("main", azuredevopstest.Files{"a": "3"})
		settle(t, s)
		if n := s.Notifications(); n[2].Attempts != 1 || s.Subscriptions()[0].Probed.IsZero() {
			t.Errorf("%+v", n[2])
		}
		r.Push("main", azuredevopstest.Files{"a": "4"})
		settle(t, s)
		if got := status(t, s, id); got != "enabled" {
			t.Errorf("after a good delivery it is %s", got)
		}
	})
}

func TestSubscriptionsAreSwitchedOff(t *testing.T) {
	t.Parallel()
	s, c := hooked(t, -1)
	id := subscribe(t, s, "git.push", "", "")
	r := s.World().Projects[0].Repositories[0]
	push := func() {
		r.Push("main", azuredevopstest.Files{"a": fmt.Sprint(len(c.bodies))})
		settle(t, s)
	}
	c.answers(slices.Repeat([]int{401}, 5)...)
	for range 6 {
		push()
	}
	if got := status(t, s, id); got != "disabledBySystem" || len(c.bodies) != 5 {
		t.Errorf("%s after %d deliveries", got, len(c.bodies))
	}
	s.SetSubscriptionStatus(id, "enabled")
	c.answers(410)
	push()
	push()
	if got := status(t, s, id); got != "disabledBySystem" || len(c.bodies) != 6 {
		t.Errorf("%s after 410 and %d deliveries", got, len(c.bodies))
	}
	s.SetSubscriptionStatus(id, "disabledByUser")
	push()
	if len(c.bodies) != 6 {
		t.Error("delivered although a person has switched it off")
	}
	if n := s.Notifications(); len(n) != 6 {
		t.Errorf("%d notifications, want none of what came while it was off: %+v", len(n), n)
	}
}

func TestHookQueueIsBounded(t *testing.T) {
	t.Parallel()
	s, c := hooked(t, -1)
	subscribe(t, s, "workitem.created", "", "")
	release := make(chan struct{})
	began := make(chan struct{}, 2000)
	s.Deliver(func(ctx context.Context, d azuredevopstest.Delivery) azuredevopstest.Fate {
		began <- struct{}{}
		return azuredevopstest.Held(release)(ctx, d)
	})
	p := s.World().Projects[0]
	p.AddWorkItem("Bug", "on its way")
	<-began
	for range 1001 {
		p.AddWorkItem("Bug", "waits")
	}
	if n := s.Notifications(); len(n) != 1 || n[0].Result != "failed" || n[0].Attempts != 0 {
		t.Errorf("notifications %+v", n)
	}
	close(release)
	settle(t, s)
	if len(c.bodies) != 1001 {
		t.Errorf("%d deliveries", len(c.bodies))
	}
}

func TestCloseEndsDeliveries(t *testing.T) {
	t.Parallel()
	s, c := hooked(t, 0)
	subscribe(t, s, "git.push", "", "")
	s.Deliver(azuredevopstest.Held(nil))
	r := s.World().Projects[0].Repositories[0]
	r.Push("main", azuredevopstest.Files{"a": "1"})
	r.Push("main", azuredevopstest.Files{"a": "2"})
	s.Close()
	s.Close()
	r.Push("main", azuredevopstest.Files{"a": "3"})
	if len(c.bodies) > 0 {
		t.Errorf("delivered %s", c.bodies)
	}
}

func TestSubscriptionsAPI(t *testing.T) {
	t.Parallel()
	s, c := hooked(t, -1)
	id := subscribe(t, s, "git.push", "", `,"basicAuthUsername":"u","basicAuthPassword":"secret"`)
	at := "/_apis/hooks/subscriptions/" + id
	if a := get(t, s, at+hookVersion); strings.Contains(a.body, "secret") || gjson.Get(a.body, "consumerInputs.basicAuthPassword").String() != "********" {
		t.Errorf("shown as %s", a.body)
	}
	if a := do(t, s, "PUT", at+hookVersion, get(t, s, at+hookVersion).body); a.status != 200 {
		t.Fatal(a.body)
	}
	s.World().Projects[0].Repositories[0].Push("main", azuredevopstest.Files{"a": "1"})
	settle(t, s)
	if c.users[0] != "u:secret " {
		t.Errorf("delivered as %s", c.users[0])
	}
	for query, want := range map[string]int{"&publisherId=tfs&eventType=git.push&consumerId=webHooks": 1, "&publisherId=rm": 0, "": 1} {
		if got, _ := list(t, s, "/_apis/hooks/subscriptions"+hookVersion+query); len(got) != want {
			t.Errorf("%s: %d subscriptions, want %d", query, len(got), want)
		}
	}
	good := `{"publisherId":"tfs","eventType":"git.push","consumerId":"webHooks","consumerActionId":"httpRequest","consumerInputs":{"url":"https://x.example"}}`
	for _, change := range []string{"", "{", "tfs nobody", "git.push ", "webHooks slack", "https://x.example ftp://x", `"consumerInputs" "publisherInputs":{"projectId":"x"},"consumerInputs"`} {
		old, other, _ := strings.Cut(change, " ")
		body := strings.ReplaceAll(good, old, other)
		want := 400
		switch {
		case change == "":
			body, want = good, 200
		case strings.Contains(other, "projectId"):
			want = 404
		}
		if a := do(t, s, "POST", "/_apis/hooks/subscriptions"+hookVersion, body); a.status != want {
			t.Errorf("%s: %d, want %d: %s", body, a.status, want, a.body)
		}
	}
	if a := get(t, s, at+"/notifications/1"+hookVersion); gjson.Get(a.body, "details.event.resource.repository.id").String() == "" {
		t.Errorf("notification %s", a.body)
	}
	for _, path := range []string{at + "/notifications/9", "/_apis/hooks/subscriptions/x"} {
		if a := get(t, s, path+hookVersion); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := do(t, s, "DELETE", at+hookVersion, ""); a.status != 204 || len(s.Subscriptions()) != 1 {
		t.Errorf("%d, %+v", a.status, s.Subscriptions())
	}
}

func TestSubscribed(t *testing.T) {
	t.Parallel()
	s, _ := hooked(t, -1)
	done := make(chan error, 1)
	go func() { done <- s.Subscribed(t.Context(), "git.push", "build.complete") }()
	subscribe(t, s, "build.complete", "", "")
	id := subscribe(t, s, "git.push", "", "")
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.SetSubscriptionStatus(id, "onProbation")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Subscribed(ctx, "git.push", "build.complete"); err == nil || !strings.Contains(err.Error(), "no subscription to git.push:") {
		t.Errorf("Subscribed = %v", err)
	}
}
