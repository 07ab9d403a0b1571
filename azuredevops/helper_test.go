package azuredevops

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

const (
	testOrg   = "https://dev.azure.com/acme"
	testToken = "pat-0123456789"
)

type (
	fakeService  = azuredevopstest.Stub
	lockedBuffer = azuredevopstest.Buffer
)

var (
	answer = azuredevopstest.Reply
	always = azuredevopstest.Always
	status = azuredevopstest.AlwaysStatus
	values = azuredevopstest.Values
)

// routes serves by the beginning of the path below the organization; the longest
// one wins.
func routes(table map[string]func(r *http.Request) *http.Response) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		path := strings.TrimPrefix(r.URL.Path, "/acme/")
		best := ""
		for p := range table {
			if strings.HasPrefix(path, p) && len(p) > len(best) {
				best = p
			}
		}
		if best == "" {
			return answer(404, `{"message":"no controller"}`)
		}
		return table[best](r)
	}
}

type options struct {
	cred Credential
	tags []string
	most int
	log  io.Writer
	wait time.Duration
	org  string // empty means testOrg
}

func newTestClient(tb testing.TB, f *fakeService, o options) *Client {
	tb.Helper()
	if o.cred == nil {
		o.cred = PersonalAccessToken(testToken)
	}
	if o.log == nil {
		o.log = io.Discard
	}
	if o.org == "" {
		o.org = testOrg
	}
	c, err := New(ClientConfig{
		OrganizationURL: o.org, Credential: o.cred, Transport: f, ExcludedTags: o.tags, MaxInFlight: o.most, Timeout: o.wait,
		Log: slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func newLister(c *Client) *lister { return &lister{Snapshot: c.Snapshot(), kind: "test"} }

// collect lists a kind: records as text, and errors.
func collect(tb testing.TB, s *Snapshot, kind, selector string, opt ListOptions) (recs []Record, errs []error) {
	tb.Helper()
	l, _, err := Bind(kind, []byte(selector))
	if err != nil {
		tb.Fatal(err)
	}
	for r, err := range l.Records(tb.Context(), s, opt) {
		if err != nil {
			errs = append(errs, err)
		} else {
			r.JSON = bytes.Clone(r.JSON)
			recs = append(recs, r)
		}
	}
	return recs, errs
}

func texts(recs []Record) string {
	var out []string
	for _, r := range recs {
		out = append(out, string(r.JSON))
	}
	return strings.Join(out, "\n")
}

// orgKeys are the members that every record ends with.
const orgKeys = `,"__organizationUrl":"https://dev.azure.com/acme","__organizationName":"acme"`

func blobID(content string) string {
	sum := sha1.Sum([]byte("blob " + strconv.Itoa(len(content)) + "\x00" + content))
	return hex.EncodeToString(sum[:])
}

func numbered(from, to int) stream[int] {
	return func(ctx context.Context) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := from; i < to && ctx.Err() == nil; i++ {
				if !yield(i, nil) {
					return
				}
			}
		}
	}
}

func projectsOf(names ...string) string {
	var out []string
	for i, n := range names {
		out = append(out, fmt.Sprintf(`{"id":"p%d","name":%q}`, i+1, n))
	}
	return values(out...)
}

// tokenPages serves pages of ids, a page per token.
func tokenPages(pages ...string) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		n, _ := strconv.Atoi(r.URL.Query().Get("continuationToken"))
		resp := answer(200, pages[n])
		if n+1 < len(pages) {
			resp.Header.Set("x-ms-continuationtoken", strconv.Itoa(n+1))
		}
		return resp
	}
}

// drain are the ids of the records on each page.
func drain(seq iter.Seq2[*page, error]) (got []string, err error) {
	for p, e := range seq {
		if e != nil {
			return got, e
		}
		got = append(got, ids(p))
		p.Free()
	}
	return got, nil
}

func ids(p *page) string {
	var out []string
	for o := range rawjson.Objects(p.Body, "value") {
		out = append(out, rawjson.Text(o, "id"))
	}
	return strings.Join(out, ",")
}
