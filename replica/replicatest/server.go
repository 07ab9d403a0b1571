// Package replicatest runs a Redis for tests: the real one, because what is tested is
// what it does.
package replicatest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/network/networktest"
)

// A Server is a redis-server with a folder of its own, which writes every change to
// its append-only file before it answers.
type Server struct {
	tb    testing.TB
	dir   string
	port  int
	trust *tls.Config // nil: connections are not encrypted
	cmd   *exec.Cmd
}

const password = "replica-test"

// Start starts one; without redis-server on the PATH the test is skipped.
func Start(tb testing.TB) *Server {
	tb.Helper()
	return start(tb, nil)
}

// StartTLS starts one that wants encrypted connections, and returns who has signed its
// certificate.
func StartTLS(tb testing.TB) (*Server, *x509.CertPool) {
	tb.Helper()
	web := httptest.NewTLSServer(nil) // has a certificate for loopback addresses
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return start(tb, web), roots
}

func start(tb testing.TB, as *httptest.Server) *Server {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		tb.Skip("redis-server is not on the PATH")
	}
	s := &Server{tb: tb, dir: tb.TempDir(), port: networktest.FreePort(tb)}
	if as != nil {
		key, err := x509.MarshalPKCS8PrivateKey(as.TLS.Certificates[0].PrivateKey)
		if err != nil {
			tb.Fatal(err)
		}
		for name, block := range map[string]*pem.Block{"certificate": {Type: "CERTIFICATE", Bytes: as.Certificate().Raw}, "key": {Type: "PRIVATE KEY", Bytes: key}} {
			if err := os.WriteFile(filepath.Join(s.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
				tb.Fatal(err)
			}
		}
		s.trust = &tls.Config{InsecureSkipVerify: true} // for Do only
	}
	s.Again()
	tb.Cleanup(s.Kill)
	return s
}

// URL is its address.
func (s *Server) URL() port.Secret { return s.As("", password) }

// Password is the one in URL.
func (s *Server) Password() string { return password }

// As is its address for a user.
func (s *Server) As(user, password string) port.Secret {
	scheme := "redis"
	if s.trust != nil {
		scheme = "rediss"
	}
	return port.Secret(fmt.Sprintf("%s://%s:%s@127.0.0.1:%d/0", scheme, user, password, s.port))
}

// Kill ends it without warning.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Again starts it on its data, and waits until it answers.
func (s *Server) Again() {
	s.tb.Helper()
	s.cmd = exec.Command("redis-server", "-")
	s.cmd.Dir = s.dir
	listen := fmt.Sprintf("port %d\n", s.port)
	if s.trust != nil {
		listen = fmt.Sprintf("port 0\ntls-port %d\ntls-cert-file certificate\ntls-key-file key\ntls-ca-cert-file certificate\ntls-auth-clients no\n", s.port)
	}
	s.cmd.Stdin = strings.NewReader(listen + fmt.Sprintf("bind 127.0.0.1\nrequirepass %s\nappendonly yes\nappendfsync always\nsave \"\"\n", password))
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if s.Do("PING") == "+PONG" {
			return
		}
		<-tick.C
	}
	if s.trust != nil {
		s.tb.Skip("redis-server does not answer encrypted connections: it may be built without TLS")
	}
	s.tb.Fatal("redis-server does not answer")
}

// Do sends a command of plain words and returns the first line of the answer.
func (s *Server) Do(command string) string {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", s.port), time.Second)
	if err != nil {
		return ""
	}
	defer c.Close()
	if s.trust != nil {
		c = tls.Client(c, s.trust)
	}
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = fmt.Fprintf(c, "AUTH %s\r\n%s\r\n", password, command)
	in := bufio.NewReader(c)
	line := ""
	for range 2 {
		if line, err = in.ReadString('\n'); err != nil {
			return ""
		}
	}
	return strings.TrimSpace(line)
}
