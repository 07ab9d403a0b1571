package webhook_test

import (
	"net"
	"net/http"
	"slices"
	"testing"

	"github.com/ado-port/ado-port/webhook"
)

// Whatever is sent to the hook route, the answer is one that Azure DevOps may
// see.
func FuzzHook(f *testing.F) {
	f.Add("POST", "/webhook", basic(":x"), "application/json", []byte(event(1, 1)))
	f.Add("GET", "", "", "", []byte(nil))
	f.Add("POST", "/webhook/../..", "Basic !", "text/xml", []byte("{"))
	f.Add("POST", "//webhook", "Bearer x", "", []byte(`{"eventType":null,"publisherId":[],"resource":{"id":{}}}`))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	s := serve(f, webhook.Config{Listener: l, Secret: "x"})
	s.Start()
	f.Fuzz(func(t *testing.T, method, path, authorization, contentType string, body []byte) {
		got := do(s, http.MethodPost, "/integration"+slash(path), string(body), "Authorization", authorization, "Content-Type", contentType).Code
		if !slices.Contains([]int{200, 400, 401, 503}, got) {
			t.Errorf("%d", got)
		}
		if method == "" || len(method) > 20 {
			return
		}
		if got := do(s, "POST", hookPath, string(body), "Authorization", basic(":x"), method, contentType).Code; got != 200 && got != 400 {
			t.Errorf("with credentials: %d", got)
		}
	})
}

// slash makes a path one below the prefix.
func slash(path string) string {
	if path != "" && path[0] != '/' {
		return "/" + path
	}
	return path
}
