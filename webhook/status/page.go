package status

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// SiteConfig is what a Site shows and does.
type SiteConfig struct {
	Document *Document
	// More is shown on the page besides what Document shows. It is too large, or too much
	// for programs, to be in /status.json.
	More Sections
	// Redrive has dead letters handled once more, all of them without ids, and returns how
	// many; nil: there is no button.
	Redrive func(ctx context.Context, ids ...uint64) (int, error)
	// Press switches one of the buttons that the section "demo" names; nil: there are none.
	Press func(name string) error
}

// MostDeadLetters are how many the page shows.
const MostDeadLetters = 50

// A Site serves /status.json, the page, and what its buttons do. It asks for no password:
// that is for whoever serves it.
type Site struct {
	cfg    SiteConfig
	mux    *http.ServeMux
	token  string // in every form, so that only our own pages can press buttons
	cross  *http.CrossOriginProtection
	style  literal
	script literal
	policy string
}

//go:embed page
var files embed.FS

// NewSite makes a Site. Its routes are /status.json, / and what is below /page/.
func NewSite(cfg SiteConfig) (*Site, error) {
	s := &Site{cfg: cfg, mux: http.NewServeMux(), token: rand.Text(), cross: http.NewCrossOriginProtection()}
	style, err := files.ReadFile("page/page.css")
	if err != nil {
		return nil, err
	}
	script, err := files.ReadFile("page/page.js")
	if err != nil {
		return nil, err
	}
	s.style, s.script = literal(style), literal(script)
	s.policy = "default-src 'none'; style-src '" + hash(style) + "'; script-src '" + hash(script) + "'; img-src data:; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	s.mux.Handle("GET /status.json", cfg.Document)
	s.mux.HandleFunc("GET /{$}", s.show)
	if cfg.Redrive != nil {
		s.mux.HandleFunc("POST /page/redrive", s.acting(s.redrive))
	}
	if cfg.Press != nil {
		s.mux.HandleFunc("POST /page/press", s.acting(s.press))
	}
	return s, nil
}

// hash is how a Content-Security-Policy names a script or style that may be inline.
func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// ServeHTTP answers a request of a browser.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// show renders the page.
func (s *Site) show(w http.ResponseWriter, r *http.Request) {
	v, err := s.view()
	if err != nil {
		http.Error(w, "the status could not be read: "+err.Error(), http.StatusInternalServerError)
		return
	}
	v.notice(r.URL.Query())
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", s.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	// With no-referrer a browser hides where our own forms come from.
	h.Set("Referrer-Policy", "same-origin")
	_, _ = w.Write(s.render(v)) // the client is gone
}

// view reads everything that there is to show.
func (s *Site) view() (*view, error) {
	members := s.cfg.Document.members()
	put(members, s.cfg.More)
	text, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	v := &view{Token: s.token, Redrives: s.cfg.Redrive != nil}
	if err := json.Unmarshal(text, v); err != nil {
		return nil, err
	}
	return v, nil
}

// maxForm bounds what is read of a form.
const maxForm = 16 << 10

// acting lets through what a button of our own page asks for. Browsers send along the
// password wherever the request comes from, so that does not say who asks. act returns
// what the page is told, as a query.
func (s *Site) acting(act func(*http.Request) (url.Values, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := s.cross.Check(r); err != nil {
			http.Error(w, "this was not asked for by the status page: "+err.Error(), http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "the form cannot be read", http.StatusBadRequest)
			return
		}
		if subtle.ConstantTimeCompare([]byte(r.PostForm.Get("token")), []byte(s.token)) != 1 {
			http.Error(w, "the page is an old one: load it again", http.StatusForbidden)
			return
		}
		q, err := act(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Location", "../?"+q.Encode()) // relative: a proxy may serve it elsewhere
		w.WriteHeader(http.StatusSeeOther)
	}
}

// redrive has one dead letter handled again, or all.
func (s *Site) redrive(r *http.Request) (url.Values, error) {
	var ids []uint64
	for _, text := range r.PostForm["id"] {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("no id of a dead letter: %w", err)
		}
		ids = append(ids, id)
	}
	n, err := s.cfg.Redrive(r.Context(), ids...)
	if err != nil {
		return nil, fmt.Errorf("the dead letters stay: %w", err)
	}
	return url.Values{"redriven": {strconv.Itoa(n)}}, nil
}

func (s *Site) press(r *http.Request) (url.Values, error) {
	return url.Values{}, s.cfg.Press(r.PostForm.Get("button"))
}

// notice is what the last button did.
func (v *view) notice(q url.Values) {
	n, err := strconv.Atoi(q.Get("redriven"))
	switch {
	case err != nil || n < 0:
	case n == 1:
		v.Notice = "One delivery is handled once more."
	default:
		v.Notice = strconv.Itoa(n) + " deliveries are handled once more."
	}
}

// short is a duration for people.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute)/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// group writes a number with its thousands apart.
func group(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
