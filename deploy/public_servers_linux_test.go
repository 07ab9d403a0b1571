package deploy_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/ado-port/ado-port/port/porttest"
)

// A slowPort is Port that takes requests and does not answer before it is opened.
type slowPort struct {
	URL   string
	sim   *porttest.Server
	asked chan string // the User-Agent of the first request
	open  func()
}

func newSlowPort(t *testing.T, secure bool) *slowPort {
	t.Helper()
	sim := porttest.NewUnstarted(porttest.Options{ClientID: "fake-port-client-id", ClientSecret: "fake-port-client-secret"})
	t.Cleanup(sim.Close)
	gate, asked := make(chan struct{}), make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.UserAgent():
		default:
		}
		select {
		case <-gate:
			sim.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		server.TLS = &tls.Config{Certificates: []tls.Certificate{authority().leaf}, MinVersion: tls.VersionTLS12}
		server.StartTLS()
	} else {
		server.Start()
	}
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(func() { open(); server.Close() })
	return &slowPort{URL: server.URL, sim: sim, asked: asked, open: open}
}

// tunnel is a proxy.
func tunnel(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		r.RequestURI = ""
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		return
	}
	there, err := net.Dial("tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer there.Close()
	w.WriteHeader(http.StatusOK)
	here, sent, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	go func() { _, _ = io.Copy(there, sent); _ = there.Close() }()
	_, _ = io.Copy(here, there)
}

// A testAuthority is a certificate authority that nobody else knows.
type testAuthority struct {
	pem  string
	leaf tls.Certificate // for 127.0.0.1
}

var authority = sync.OnceValue(func() testAuthority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := func(name string, authority bool) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: authority, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		}
	}
	ca := template("authority of this test", true)
	raw, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template("Port", false), ca, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return testAuthority{
		pem:  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})),
		leaf: tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: key},
	}
})

// A lockedBuffer is written by a process and read by the test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
