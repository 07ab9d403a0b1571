package rest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

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

func ids(p *Page) string {
	var out []string
	for o := range rawjson.Objects(p.Body, "value") {
		out = append(out, rawjson.Text(o, "id"))
	}
	return strings.Join(out, ",")
}

func drain(seq iter.Seq2[*Page, error]) (got []string, err error) {
	for p, e := range seq {
		if e != nil {
			return got, e
		}
		got = append(got, ids(p))
		p.Free()
	}
	return got, nil
}

func TestPages(t *testing.T) {
	f := &fakeService{Serve: tokenPages(values(`{"id":1}`, `{"id":2}`), values(), values(`{"id":3}`))}
	l := newTestClient(t, f, options{}).Sender(Caller{})
	got, err := drain(l.Pages(t.Context(), &Request{Route: "_apis/x", Query: []string{"$top", "2"}}, "value"))
	if err != nil || strings.Join(got, "|") != "1,2||3" {
		t.Errorf("pages = %q, %v", got, err)
	}
	if last := f.Sent()[2]; last != "GET /acme/_apis/x?$top=2&continuationToken=2" {
		t.Errorf("last request = %s", last)
	}
}

func TestPagesTokenInBody(t *testing.T) {
	f := &fakeService{Serve: func(r *http.Request) *http.Response {
		if r.URL.Query().Get("continuationToken") == "a b" {
			return answer(200, `{"value":[{"id":2}],"continuationToken":null}`)
		}
		return answer(200, `{"value":[{"id":1}],"continuationToken":"a b"}`)
	}}
	l := newTestClient(t, f, options{}).Sender(Caller{})
	got, err := drain(l.Pages(t.Context(), &Request{Route: "_apis/x"}, "value"))
	if err != nil || strings.Join(got, "|") != "1|2" {
		t.Errorf("pages = %q, %v", got, err)
	}
}

func TestPagesEndBadly(t *testing.T) {
	good := values(`{"id":1}`)
	for _, tt := range []struct {
		name  string
		serve func(n int) *http.Response
		want  error
		not   error
	}{
		{"404 on page 2", func(int) *http.Response { return answer(404, `{"message":"gone"}`) }, errGone, ErrNotFound},
		{"403 on page 2", func(int) *http.Response { return answer(403, ``) }, ErrForbidden, nil},
		{"no list", func(int) *http.Response { return answer(200, `{"count":0}`) }, ErrMalformed, nil},
		{"null list", func(int) *http.Response { return answer(200, `{"value":null}`) }, ErrMalformed, nil},
		{"not an object", func(int) *http.Response { return answer(200, `[]`) }, ErrMalformed, nil},
		{"same page", func(n int) *http.Response {
			return answer(200, good, "x-ms-continuationtoken", strconv.Itoa(n))
		}, ErrMalformed, nil},
		{"same token", func(n int) *http.Response {
			return answer(200, values(fmt.Sprintf(`{"id":%d}`, n)), "x-ms-continuationtoken", "t")
		}, ErrMalformed, nil},
		{"empty pages for ever", func(n int) *http.Response {
			return answer(200, values(), "x-ms-continuationtoken", "e"+strconv.Itoa(n))
		}, ErrMalformed, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := 0
			f := &fakeService{Serve: func(*http.Request) *http.Response {
				if n++; n == 1 {
					return answer(200, good, "x-ms-continuationtoken", "t")
				}
				return tt.serve(n)
			}}
			l := newTestClient(t, f, options{}).Sender(Caller{})
			got, err := drain(l.Pages(t.Context(), &Request{Route: "_apis/x"}, "value"))
			if len(got) == 0 || got[0] != "1" || !errors.Is(err, tt.want) {
				t.Errorf("pages = %.60q, %v, want page 1 and %v", got, err, tt.want)
			}
			if tt.not != nil && errors.Is(err, tt.not) {
				t.Errorf("err = %v is %v", err, tt.not)
			}
		})
	}
}

// 404 on the first page is the caller's to judge.
func TestPagesFirst404(t *testing.T) {
	l := newTestClient(t, &fakeService{Serve: status(404, "")}, options{}).Sender(Caller{})
	if _, err := drain(l.Pages(t.Context(), &Request{Route: "_apis/x"}, "value")); !errors.Is(err, ErrNotFound) {
		t.Errorf("err = %v", err)
	}
}

func TestSkipPages(t *testing.T) {
	f := &fakeService{Serve: func(r *http.Request) *http.Response {
		skip, _ := strconv.Atoi(r.URL.Query().Get("$skip"))
		var out []string
		for i := skip; i < min(skip+2, 5); i++ { // gives less than asked for
			out = append(out, fmt.Sprintf(`{"id":%d}`, i))
		}
		return answer(200, values(out...))
	}}
	l := newTestClient(t, f, options{}).Sender(Caller{})
	got, err := drain(l.OffsetPages(t.Context(), &Request{Route: "_apis/x"}, "value", "$top", "$skip", 100))
	if err != nil || strings.Join(got, "|") != "0,1|2,3|4" || len(f.Sent()) != 4 {
		t.Errorf("pages = %q, %v after %d requests", got, err, len(f.Sent()))
	}
	f.Serve = always(values(`{"id":1}`))
	if _, err := drain(l.OffsetPages(t.Context(), &Request{Route: "_apis/x"}, "value", "$top", "$skip", 100)); !errors.Is(err, ErrMalformed) {
		t.Errorf("repeating page: %v", err)
	}
	f.Serve = func(r *http.Request) *http.Response {
		if r.URL.Query().Get("$skip") == "0" {
			return answer(200, values(`{"id":1}`))
		}
		return answer(404, "")
	}
	if got, err := drain(l.OffsetPages(t.Context(), &Request{Route: "_apis/x"}, "value", "$top", "$skip", 1)); len(got) != 1 || err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("404 on page 2: %q, %v", got, err)
	}
}

func TestPagesStop(t *testing.T) {
	f := &fakeService{Serve: tokenPages(values(`{"id":1}`), values(`{"id":2}`), values(`{"id":3}`))}
	l := newTestClient(t, f, options{}).Sender(Caller{})
	for range l.Pages(t.Context(), &Request{Route: "_apis/x"}, "value") {
		break
	}
	for range l.OffsetPages(t.Context(), &Request{Route: "_apis/x"}, "value", "$top", "$skip", 1) {
		break
	}
	if n := len(f.Sent()); n != 2 {
		t.Errorf("%d requests after two breaks", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := drain(l.Pages(ctx, &Request{Route: "_apis/x"}, "value")); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
