package network

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/port/network/networktest"
)

// realProxy starts tinyproxy, a proxy that others have written.
func realProxy(t *testing.T) (address string) {
	t.Helper()
	program, err := exec.LookPath("tinyproxy")
	if err != nil {
		t.Skip("tinyproxy is not installed")
	}
	port := strconv.Itoa(networktest.FreePort(t))
	conf := filepath.Join(t.TempDir(), "tinyproxy.conf")
	text := fmt.Sprintf("Port %s\nListen 127.0.0.1\nAllow 127.0.0.1\nMaxClients 20\nLogLevel Connect\nBasicAuth someone pass-word\n", port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-d", "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for range again.C { // until it listens
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("tinyproxy does not start")
		}
	}
	return "127.0.0.1:" + port
}

// Through a proxy that wants a password, to a server whose certificate a private
// authority has issued; a lenient entry of NO_PROXY goes past it.
func TestRealProxy(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "private")
	secure := ca.server(t)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "via "+r.Header.Get("Via")) }))
	t.Cleanup(plain.Close)
	address := realProxy(t)
	root := t.TempDir()
	write(t, root, "bundle.pem", ca.pem())
	_, plainPort, _ := net.SplitHostPort(plain.Listener.Addr().String())
	proxy := "http://someone:pass-word@" + address
	for _, tt := range []struct {
		name, url, want string
		environ         map[string]string
	}{
		{"HTTPS_PROXY", secure.URL, "HTTP/2.0", map[string]string{"HTTPS_PROXY": proxy}},
		{"ALL_PROXY, without scheme", secure.URL, "HTTP/2.0", map[string]string{"ALL_PROXY": strings.TrimPrefix(proxy, "http://")}},
		{"HTTP_PROXY", plain.URL, "via 1.1 ", map[string]string{"HTTP_PROXY": proxy}},
		{"NO_PROXY with a url", plain.URL, "via ", map[string]string{"HTTP_PROXY": proxy, "NO_PROXY": " http://127.0.0.1:" + plainPort + "/ , example.com"}},
	} {
		tt.environ["REQUESTS_CA_BUNDLE"] = "/bundle.pem"
		n, err := New(Config{root: root, Environ: tt.environ})
		if err != nil {
			t.Fatal(err)
		}
		transport := n.ThirdParty()
		body, err := get(t, transport, tt.url)
		if err != nil || !strings.HasPrefix(body, tt.want) || tt.want == "via " && body != tt.want {
			t.Errorf("%s: %q, %v", tt.name, body, err)
		}
		transport.CloseIdleConnections()
	}
	n, err := New(Config{root: root, Environ: map[string]string{"HTTPS_PROXY": address}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, n.ThirdParty(), secure.URL); err == nil || !strings.Contains(err.Error(), "Proxy Authentication Required") && !strings.Contains(err.Error(), "Unauthorized") {
		t.Errorf("without the password: %v", err)
	}
}
