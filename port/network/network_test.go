package network

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// authority is a private certificate authority.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	a := &authority{}
	a.key, a.cert = issue(t, template, template, nil)
	return a
}

func issue(t *testing.T, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// server starts an HTTPS server with a certificate of the authority for a host
// name that only the proxy and the tests' dialer know, and for 127.0.0.1.
func (a *authority) server(t *testing.T) *httptest.Server {
	t.Helper()
	key, cert := issue(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"tfs.example.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, a.cert, a.key)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// get asks for a URL and returns the body.
func get(t *testing.T, transport *http.Transport, url string) (string, error) {
	t.Helper()
	t.Cleanup(transport.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func write(t *testing.T, root, path string, text []byte) {
	t.Helper()
	file := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "private"), newAuthority(t, "other")
	server := ca.server(t)
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("not a certificate")})
	tests := []struct {
		name    string
		files   map[string][]byte
		environ map[string]string
		want    bool
	}{
		{"nothing", nil, nil, false},
		{"mounted by the chart", map[string][]byte{"usr/local/share/ca-certificates/cert.crt": ca.pem()}, map[string]string{"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}, true},
		{"several in one file", map[string][]byte{"usr/local/share/ca-certificates/x/y.pem": append(append(other.pem(), key...), ca.pem()...)}, nil, true},
		{".cer of Windows", map[string][]byte{"usr/local/share/ca-certificates/y.cer": ca.cert.Raw}, nil, true},
		{"upper-case ending", map[string][]byte{"usr/share/ca-certificates/Y.CRT": ca.pem()}, nil, true},
		{"other ending", map[string][]byte{"usr/local/share/ca-certificates/y.txt": ca.pem()}, nil, false},
		{"SSL_CERT_FILE", map[string][]byte{"my.bundle": ca.pem()}, map[string]string{"SSL_CERT_FILE": "/my.bundle"}, true},
		{"SSL_CERT_DIR", map[string][]byte{"a/b.pem": ca.pem()}, map[string]string{"SSL_CERT_DIR": "/nowhere:/a"}, true},
		{"REQUESTS_CA_BUNDLE", map[string][]byte{"b": ca.pem()}, map[string]string{"REQUESTS_CA_BUNDLE": "/b"}, true},
		{"CURL_CA_BUNDLE", map[string][]byte{"b": ca.pem()}, map[string]string{"CURL_CA_BUNDLE": "/b"}, true},
		{"garbage beside it", map[string][]byte{
			"usr/local/share/ca-certificates/a.crt": []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
			"usr/local/share/ca-certificates/b.crt": ca.pem(), "usr/local/share/ca-certificates/empty.crt": nil,
		}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for path, text := range tt.files {
				write(t, root, path, text)
			}
			n, err := New(Config{Environ: tt.environ, root: root})
			if err != nil {
				t.Fatal(err)
			}
			for name, transport := range map[string]*http.Transport{"port": n.Port(), "third party": n.ThirdParty()} {
				body, err := get(t, transport, server.URL)
				var unknown x509.UnknownAuthorityError
				if tt.want && (err != nil || body != "HTTP/2.0") || !tt.want && !errors.As(err, &unknown) {
					t.Errorf("%s: %q, %v", name, body, err)
				}
			}
		})
	}
}

// The trust store is read for the first encrypted connection, of however many, and for
// no other one.
func TestTrustIsReadWhenNeeded(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	ca := newAuthority(t, "private")
	write(t, root, "usr/local/share/ca-certificates/a.crt", ca.pem())
	secure := ca.server(t)
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(plain.Close)
	var log bytes.Buffer
	n, err := New(Config{root: root, Environ: map[string]string{"SSL_CERT_FILE": "/nowhere"}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	transport := n.Port()
	if _, err := get(t, transport, plain.URL); err != nil || log.Len() > 0 {
		t.Errorf("without TLS: %v, and the log says %s", err, log.String())
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := get(t, transport, []string{plain.URL, secure.URL}[i%2]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if strings.Count(log.String(), "certificates skipped") != 1 {
		t.Errorf("the log says %s", log.String())
	}
}

// The chart points SSL_CERT_FILE at a private authority: Port stays reachable.
func TestTrustIsAdditive(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	ca := newAuthority(t, "private")
	write(t, root, "etc/ssl/certs/cert.pem", ca.pem())
	pool := trust{root: root, environ: map[string]string{"SSL_CERT_FILE": "/etc/ssl/certs/cert.pem"}, log: discard()}.certificates()
	builtIn := trust{root: t.TempDir(), log: discard()}.certificates()
	want := builtIn.Clone()
	want.AddCert(ca.cert)
	if builtIn.Equal(x509.NewCertPool()) || !pool.Equal(want) {
		t.Error("the pool is not the built-in authorities and the private one")
	}
}

func TestTrustWarnings(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	root := t.TempDir()
	if err := os.Symlink("..", filepath.Join(root, "loop")); err != nil {
		t.Fatal(err)
	}
	write(t, root, "etc/ssl/certs/5ed36f99.0", []byte("a link of OpenSSL"))
	trust{
		root: root, log: slog.New(slog.NewTextHandler(&log, nil)),
		environ: map[string]string{"SSL_CERT_FILE": "/missing.pem", "SSL_CERT_DIR": "/"},
	}.certificates()
	if got := log.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "variable=SSL_CERT_FILE") {
		t.Errorf("log = %s", got)
	}
}

func TestWithoutVerification(t *testing.T) {
	t.Parallel()
	server := newAuthority(t, "private").server(t)
	var log bytes.Buffer
	n, err := New(Config{
		root: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, nil)),
		UnverifiedThirdParty: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, n.ThirdParty(), server.URL); err != nil {
		t.Errorf("third party: %v", err)
	}
	if _, err := get(t, n.ThirdParty(), server.URL); err != nil {
		t.Errorf("third party: %v", err)
	}
	if _, err := get(t, n.Port(), server.URL); err == nil {
		t.Error("port is not verified")
	}
	if got := log.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "OCEAN__SSL__THIRD_PARTY__VERIFY") {
		t.Errorf("log = %s", got)
	}
}

// Without HTTP the same authorities are trusted, and names are checked.
func TestDialPort(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "private")
	server := ca.server(t)
	address := strings.TrimPrefix(server.URL, "https://")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	write(t, root, "ca.pem", ca.pem())
	for name, tt := range map[string]struct {
		environ   map[string]string
		address   string
		encrypted bool
		good      bool
	}{
		"trusted":    {map[string]string{"SSL_CERT_FILE": "/ca.pem", "ALL_PROXY": "http://127.0.0.1:1"}, address, true, true},
		"other name": {map[string]string{"SSL_CERT_FILE": "/ca.pem"}, "localhost:" + port, true, false},
		"unknown":    {nil, address, true, false},
		"plain":      {nil, address, false, true},
		"no port":    {nil, "127.0.0.1", true, false},
	} {
		n, err := New(Config{root: root, Environ: tt.environ, Log: discard()})
		if err != nil {
			t.Fatal(err)
		}
		c, err := n.DialPort(tt.encrypted)(t.Context(), "tcp", tt.address)
		if (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
		if tt.encrypted && tt.address == address {
			d := tls.Dialer{Config: n.ThirdPartyTLS()}
			third, err := d.DialContext(t.Context(), "tcp", address)
			if (err == nil) != tt.good {
				t.Errorf("%s, of a third party: %v", name, err)
			}
			if err == nil {
				third.Close()
			}
		}
		if err == nil {
			c.Close()
		}
	}
}

// forwardProxy is a proxy that leads every host to one server. It counts what
// goes through it.
type forwardProxy struct {
	target  string
	tunnels atomic.Int32
	plain   atomic.Int32
	ended   chan struct{} // one value per tunnel
}

func (p *forwardProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		p.plain.Add(1)
		io.WriteString(w, "plain "+r.URL.String())
		return
	}
	p.tunnels.Add(1)
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		server.Close()
		return
	}
	io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	var copies sync.WaitGroup
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		copies.Go(func() {
			io.Copy(pair[0], pair[1])
			pair[0].Close()
			pair[1].Close()
		})
	}
	copies.Wait()
	p.ended <- struct{}{}
}

func TestForwardProxy(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "private")
	server := ca.server(t)
	proxy := &forwardProxy{target: server.Listener.Addr().String(), ended: make(chan struct{}, 10)}
	front := httptest.NewServer(proxy)
	t.Cleanup(func() {
		front.Close()
		server.CloseClientConnections()
		for range proxy.tunnels.Load() {
			<-proxy.ended
		}
	})
	root := t.TempDir()
	write(t, root, "usr/local/share/ca-certificates/cert.crt", ca.pem())
	address := strings.TrimPrefix(front.URL, "http://")
	n, err := New(Config{root: root, Environ: map[string]string{"ALL_PROXY": address, "NO_PROXY": "https://127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	transport := n.ThirdParty()
	if body, err := get(t, transport, "https://tfs.example.com/tfs"); err != nil || body != "HTTP/2.0" {
		t.Errorf("tunnel: %q, %v", body, err)
	}
	if body, err := get(t, transport, "http://tfs.example.com/tfs"); err != nil || body != "plain http://tfs.example.com/tfs" {
		t.Errorf("plain: %q, %v", body, err)
	}
	if body, err := get(t, transport, server.URL); err != nil || body != "HTTP/2.0" {
		t.Errorf("direct: %q, %v", body, err)
	}
	if a, b := proxy.tunnels.Load(), proxy.plain.Load(); a != 1 || b != 1 {
		t.Errorf("the proxy saw %d tunnels and %d plain requests, want 1 and 1", a, b)
	}
	if _, err := New(Config{Environ: map[string]string{"ALL_PROXY": "ftp://h"}}); err == nil {
		t.Error("a proxy that nobody speaks is accepted")
	}
}

func TestBlockPrivate(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "in") }))
	t.Cleanup(server.Close)
	for _, block := range []bool{false, true} {
		n, err := New(Config{root: t.TempDir(), BlockPrivate: block})
		if err != nil {
			t.Fatal(err)
		}
		_, err = get(t, n.ThirdParty(), server.URL)
		if block != errors.Is(err, errBlocked) || !block && err != nil {
			t.Errorf("block %t: %v", block, err)
		}
	}
	// A proxy that the administrator configured is not blocked.
	n, err := New(Config{root: t.TempDir(), BlockPrivate: true, Environ: map[string]string{"HTTP_PROXY": server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, n.ThirdParty(), "http://example.com"); err != nil {
		t.Errorf("through the proxy: %v", err)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func BenchmarkCertificates(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		trust{log: discard()}.certificates()
	}
}

func BenchmarkBuiltInCertificates(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		trust{root: b.TempDir(), log: discard()}.certificates()
	}
}
