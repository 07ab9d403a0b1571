package status_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/webhook/status"
)

// all is a document with something in every section, and what a section has of it.
func all(t *testing.T) status.Sections {
	t.Helper()
	text, err := os.ReadFile("testdata/all.json")
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	out := status.Sections{}
	for name, value := range members {
		out[name] = func() any { return value }
	}
	now := time.Now()
	out["live"] = func() any {
		return []map[string]any{{"start": now.Add(-5 * time.Minute).Truncate(time.Minute), "events": 30, "meanSeconds": 0.2, "slowestSeconds": 1.5}, {"start": now.Truncate(time.Minute), "events": 1234, "meanSeconds": 0.1, "slowestSeconds": 3}}
	}
	return out
}

func site(t *testing.T, cfg status.SiteConfig) *status.Site {
	t.Helper()
	if cfg.Document == nil {
		cfg.Document = status.New(prometheus.NewRegistry(), "", nil)
	}
	s, err := status.NewSite(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func show(t *testing.T, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/", http.NoBody))
	if w.Code != http.StatusOK {
		t.Fatalf("the page is %d: %s", w.Code, w.Body)
	}
	return w
}

// section is a part of the page without its tags, in one line.
func section(page, id string) string {
	_, page, _ = strings.Cut(page, `<section id="`+id+`"`)
	page, _, _ = strings.Cut(page, "</section>")
	_, page, _ = strings.Cut(page, ">")
	return strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " "))), " ")
}

func TestPageShowsEverySection(t *testing.T) {
	t.Parallel()
	s := site(t, status.SiteConfig{
		More: all(t), Press: func(string) error { return nil },
		Redrive: func(context.Context, ...uint64) (int, error) { return 0, nil },
	})
	page := show(t, s).Body.String()
	for id, want := range map[string][]string{
		"problems":     {"https://dev.azure.com/acme does not answer since", "Port refuses the credential", "disk is full", "the last resync failed: Payments: 503", "expressions of the mapping fail: 1", "deliveries that were given up: 2", "that https://dev.azure.com/acme refused: 1", "cannot be claimed: no answer", "Redis cannot be used since 03:04:05 UTC: dial tcp", "storage queue cannot be read since 03:04:05 UTC: status 503"},
		"now":          {"A full resync runs", "Asked for by schedule", "pauses of 2 min", "repository (resources[1])", "Payments: 1,200 listed, 7 written", "and 3 more", "syncing"},
		"resyncs":      {"2 of 3 resyncs completed", "Payments: 503", "(incremental)", "applied to records of", "no call"},
		"kinds":        {"not complete", "Payments: 503 Service Unavailable", "Refused by Port: 2 of board", "Not read: Payments, 3 records: 503", "left out here", "did not run"},
		"deletions":    {"deleted 4 entities", "5 of old were deleted", "9 of board stay, such as b1: could not be read"},
		"expressions":  {`properties.owner: failed 3 times, first for "x-1"`, "found nothing for some records"},
		"live":         {"7 deliveries wait, the oldest for 3s", "1,264 live events were handled in the last hour, at most 1234 in a minute", "102ms on average and at most 3s"},
		"dead-letters": {"Deliveries that were given up: 2", "git.push", "boom after 5 tries", "Handle all once more"},
		"hooks":        {"good: 108", "off: 2", "Refused: git.push", "Not known: list: 403"},
		"replica": {
			"Alive, when Redis last answered 3", "This process is ado-port-1/6ba7b810 . Who leads is not known.", "Parts of the queue here 21",
			"Deliveries that wait for all 1,300 Dead letters of all 2", "Redis cannot be used since 03:04:05 UTC", "dial tcp: connection refused",
		},
		"storage-queue": {
			"https://acme.queue.core.windows.net/hooks", "Queue cannot be read", "Received 1,200", "Dead letters of them 2", "cannot be read since 03:04:05 UTC", "status 503 ServerBusy",
		},
		"actions": {"under way: 1, waiting: 2", "3 succeeded, 4 failed, 5 canceled", "run-1 deploy running", "no answer"},
		"audit":   {"deleted", "gone from Azure DevOps", "properties.state", "git.push e-1"},
		"config":  {"OCEAN__BASE_URL https://x.example environment", "[redacted]", "OCEAN__CLIENT_TIMEOUT 1m0s"},
		"demo":    {"Port is away: on", "Bug #1 moved", "state New → Done, 7 ms"},
	} {
		got := section(page, id)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("section %s lacks %q: %s", id, w, got)
			}
		}
	}
}

// Before anything has happened, and while the state directory is waited for, the page is
// there too.
func TestEmptyPage(t *testing.T) {
	t.Parallel()
	page := show(t, site(t, status.SiteConfig{})).Body.String()
	for id, want := range map[string]string{"now": "No resync runs", "resyncs": "None has ended yet", "dead-letters": "There are none", "audit": "The audit is off", "hooks": "no public address"} {
		if got := section(page, id); !strings.Contains(got, want) {
			t.Errorf("section %s: %s", id, got)
		}
	}
	if strings.Contains(page, "<button") || strings.Contains(page, "Needs attention") {
		t.Error("there are buttons, or problems")
	}
	if strings.Contains(page, `id="replica"`) || strings.Contains(page, `id="storage-queue"`) {
		t.Error("there is a group of processes, or a storage queue")
	}
}

// What the page says of a group of processes and of a storage queue, and when it asks for
// attention.
func TestShared(t *testing.T) {
	t.Parallel()
	const url = `"url":"https://acme.queue.core.windows.net/hooks"`
	for name, tt := range map[string]struct {
		replica, storage, queue string
		hooks                   string
		want                    map[string]string // by section
		lacks                   string            // nowhere on the page
		problem                 bool
	}{
		"leads": {
			replica: `{"usable":true,"name":"a/1","leads":"a/1","leader":true,"members":2,"seats":{"partition":32,"leader":1}}`, queue: `{"kind":"redis","usable":true,"depth":0,"sharedDepth":0,"deadLetters":0,"toMove":{"deliveries":940,"deadLetters":2}}`,
			storage: `{` + url + `,"activity":"waiting","state":"reachable","received":3}`,
			want: map[string]string{
				"replica": "Alive 2 Redis answers Parts of the queue here 32 Deliveries that wait for all 0 Dead letters of all 0 " +
					"Deliveries in the state directory, to be moved 940 Dead letters in the state directory, to be moved 2 This process is a/1 . It leads.",
				"storage-queue": "Queue empty, asked again soon Last read never Received 3 Dead letters of them 0",
			},
		},
		"another one leads": {
			replica: `{"usable":true,"name":"a/1","leads":"b/2","members":2}`, queue: `{"kind":"redis","usable":true}`,
			// That it was away is old news: it is not asked any more.
			storage: `{` + url + `,"activity":"not reading","state":"unreachable"}`,
			hooks:   `[{"organization":"https://dev.azure.com/acme","subscriptions":{}}]`,
			want: map[string]string{
				"replica": "b/2 leads.", "storage-queue": "Queue read by the one that leads",
				"resyncs": "the process that leads runs them", "kinds": "the process that leads runs them", "hooks": "The process that leads looks after them.",
			},
			lacks: "no resync yet",
		},
		"what nobody knows": {
			replica: `{"usable":true,"members":2}`, queue: `{"kind":"redis","usable":true}`,
			want: map[string]string{
				"replica": "Deliveries that wait for all unknown Dead letters of all unknown", "now": "Deliveries that wait unknown", "live": "How many deliveries wait is unknown.",
			},
			lacks: "objects wait for another try",
		},
		"nobody leads": {
			replica: `{"usable":true,"name":"a/1","members":1}`, want: map[string]string{"replica": "Nobody leads yet."},
		},
		"no member": {
			replica: `{"usable":false,"error":"gone","members":1}`, want: map[string]string{"replica": "This process is no member now. Who leads is not known.", "problems": "gone"}, problem: true,
		},
		"reads": {
			storage: `{` + url + `,"activity":"reading","state":"reachable","lastError":"of before"}`, want: map[string]string{"storage-queue": "Queue can be read"},
		},
		"begins": {
			storage: `{` + url + `,"activity":"not reading","state":"not asked"}`, want: map[string]string{"storage-queue": "Queue not read yet"},
		},
		"full": {
			storage: `{` + url + `,"activity":"held","state":"reachable","held":"too many wait"}`, want: map[string]string{"storage-queue": "not read further", "problems": "too many wait"}, problem: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			more := status.Sections{}
			for name, text := range map[string]string{"replica": tt.replica, "storageQueue": tt.storage, "queue": tt.queue, "hooks": tt.hooks} {
				if text != "" {
					more[name] = func() any { return json.RawMessage(text) }
				}
			}
			page := show(t, site(t, status.SiteConfig{More: more})).Body.String()
			for id, want := range tt.want {
				if got := section(page, id); !strings.Contains(got, want) {
					t.Errorf("section %s lacks %q: %s", id, want, got)
				}
			}
			if tt.lacks != "" && strings.Contains(page, tt.lacks) || strings.Contains(page, "Needs attention") != tt.problem {
				t.Errorf("the page has %q, or its problems are %q", tt.lacks, section(page, "problems"))
			}
		})
	}
}

// Dead letters that cannot be listed are not none, and none has a button.
func TestDeadLettersAway(t *testing.T) {
	t.Parallel()
	page := show(t, site(t, status.SiteConfig{
		More:    status.Sections{"deadLetters": func() any { return map[string]string{"error": "dial tcp: refused"} }},
		Redrive: func(context.Context, ...uint64) (int, error) { return 0, nil },
	})).Body.String()
	if got := section(page, "dead-letters"); !strings.HasSuffix(got, "Dead letters cannot be listed now: dial tcp: refused") || strings.Contains(page, "<button") {
		t.Errorf("the section is %q", got)
	}
}

// What comes from outside is text, wherever it stands.
func TestPageEscapes(t *testing.T) {
	t.Parallel()
	const evil = `</script><script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	var spoil func(v any) any
	spoil = func(v any) any {
		switch x := v.(type) {
		case string:
			if _, err := time.Parse(time.RFC3339, x); err != nil {
				return x + evil
			}
		case []any:
			for i := range x {
				x[i] = spoil(x[i])
			}
		case map[string]any:
			for k := range x {
				x[k] = spoil(x[k])
			}
		}
		return v
	}
	sections := status.Sections{}
	for name, of := range all(t) {
		text, err := json.Marshal(of())
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		v = spoil(v)
		sections[name] = func() any { return v }
	}
	page := show(t, site(t, status.SiteConfig{More: sections, Press: func(string) error { return nil }})).Body.String()
	if !strings.Contains(page, "alert(1)") {
		t.Fatal("nothing of it is shown")
	}
	if n := strings.Count(page, "<script"); n != 1 || strings.Contains(page, "<img") {
		t.Errorf("%d scripts, or an image", n)
	}
}

func TestPageHeaders(t *testing.T) {
	t.Parallel()
	w := show(t, site(t, status.SiteConfig{More: all(t)}))
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'sha256-", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := w.Header().Get(name); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	policy := w.Header().Get("Content-Security-Policy")
	if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("the policy is %s", policy)
	}
	if page := w.Body.String(); regexp.MustCompile(`\s(style|on[a-z]+)=`).MatchString(page) || regexp.MustCompile(`(src|href)="https?:`).MatchString(page) {
		t.Error("the page has inline styles or handlers, or loads something from elsewhere")
	}
}

// Buttons work for the page itself and for nobody else.
func TestButtonsAreForThePage(t *testing.T) {
	t.Parallel()
	var redriven []uint64
	var pressed []string
	s := site(t, status.SiteConfig{
		Redrive: func(_ context.Context, ids ...uint64) (int, error) {
			redriven = append(redriven, ids...)
			if slices.Contains(ids, 9) {
				return 0, errors.New("no such letter")
			}
			return len(ids), nil
		},
		Press: func(name string) error { pressed = append(pressed, name); return nil },
		More:  all(t),
	})
	token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(show(t, s).Body.String())[1]
	post := func(path, body string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	form := "id=3&token=" + url.QueryEscape(token)
	for _, tt := range []struct {
		name, path, body string
		header           []string
		want             int
	}{
		{"no token", "/page/redrive", "id=3", nil, 403},
		{"wrong token", "/page/redrive", "id=3&token=x", nil, 403},
		{"token in the query", "/page/redrive?" + form, "", nil, 403},
		{"another site", "/page/redrive", form, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another port", "/page/redrive", form, []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"another origin", "/page/redrive", form, []string{"Origin", "https://evil.example"}, 403},
		{"opaque origin", "/page/redrive", form, []string{"Origin", "null"}, 403},
		{"too long", "/page/redrive", strings.Repeat("x", 1<<20), nil, 400},
		{"no number", "/page/redrive", form + "&id=x", nil, 400},
		{"nowhere", "/page/else", form, nil, 404},
		{"no letter", "/page/redrive", "id=9&token=" + token, nil, 400},
		{"the page", "/page/redrive", form, []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1"}, 303},
		{"an old browser", "/page/press", "button=port&token=" + token, []string{"Origin", "http://127.0.0.1"}, 303},
	} {
		if got := post(tt.path, tt.body, tt.header...); got.Code != tt.want {
			t.Errorf("%s: %d %s, want %d", tt.name, got.Code, got.Body, tt.want)
		}
	}
	if !slices.Equal(redriven, []uint64{9, 3}) || !slices.Equal(pressed, []string{"port"}) {
		t.Errorf("redriven %v, pressed %v", redriven, pressed)
	}
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/page/redrive", http.NoBody)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered %d", w.Code)
	}
	w = httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?redriven=2", http.NoBody))
	if got := section(w.Body.String(), "notice"); got != "2 deliveries are handled once more." {
		t.Errorf("the notice is %q", got)
	}
}

// A page that is open for an hour leaves nothing behind. What it shows has bounds where it
// is kept.
func TestPageKeepsNothing(t *testing.T) {
	s := site(t, status.SiteConfig{More: all(t)})
	render := func(times int) (live uint64) {
		for range times {
			show(t, s)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapObjects
	}
	before := render(50)
	if after := render(1800); after > before+2000 { // one every other second
		t.Errorf("%d objects are alive after 1800 pages, %d before", after, before)
	}
}

func FuzzPage(f *testing.F) {
	f.Add(`{"resync":{"last":{"expressions":["x"]}}}`)
	f.Add(`{"live":[{"start":"2026-01-01T00:00:00Z","events":-1,"slowestSeconds":1e300}],"demo":{"buttons":[{"name":"\"><"}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &members) != nil {
			return
		}
		sections := status.Sections{}
		for name, v := range members {
			sections[name] = func() any { return v }
		}
		w := httptest.NewRecorder()
		site(t, status.SiteConfig{More: sections}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		if w.Code != http.StatusOK && !strings.Contains(w.Body.String(), "could not be read") {
			t.Error(fmt.Sprint(w.Code), w.Body)
		}
	})
}
