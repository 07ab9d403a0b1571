package replica_test

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/replica/replicatest"
)

// A user needs no more than this.
const rights = "on >pw ~ado-port:* +@all -@admin -@dangerous +info"

func TestProve(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	for name, tt := range map[string]struct {
		set, reset string // commands before and after
		url        port.Secret
		replicas   int
		err        string
		losses     []string
		silent     bool
	}{
		"in order":                 {},
		"a user of its own":        {set: "ACL SETUSER own " + rights, url: s.As("own", "pw")},
		"one that may not ask":     {set: "ACL SETUSER mute " + rights + " -info", url: s.As("mute", "pw"), silent: true},
		"one without scripts":      {set: "ACL SETUSER less " + rights + " -@scripting", url: s.As("less", "pw"), err: "'evalsha' command: give the user ~ado-port:* +@all -@admin -@dangerous +info"},
		"one without streams":      {set: "ACL SETUSER less " + rights + " -@stream", url: s.As("less", "pw"), err: "'xadd' command: give the user"},
		"one with other keys":      {set: "ACL SETUSER other on >pw ~ocean:* +@all", url: s.As("other", "pw"), err: "give the user"},
		"a wrong password":         {url: s.As("", "wrong"), err: "OCEAN__SHARED_QUEUE_URL: Redis refuses the user or the password"},
		"keys are thrown away":     {set: "CONFIG SET maxmemory 100mb maxmemory-policy allkeys-lru", reset: "CONFIG SET maxmemory 0 maxmemory-policy noeviction", losses: []string{"allkeys-lru"}},
		"a policy without a bound": {set: "CONFIG SET maxmemory-policy allkeys-lru", reset: "CONFIG SET maxmemory-policy noeviction"},
		"too few copies":           {replicas: 1, err: "OCEAN__SHARED_QUEUE_MIN_REPLICAS is 1, and this Redis has 0 replicas"},
		"a full one":               {set: "CONFIG SET maxmemory 1", reset: "CONFIG SET maxmemory 0", err: "OOM"},
	} {
		if tt.url == "" {
			tt.url = s.URL()
		}
		if tt.set != "" {
			if got := s.Do(tt.set); got != "+OK" {
				t.Fatalf("%s: %s", name, got)
			}
		}
		p, err := replica.Prove(t.Context(), replica.Config{Settings: replica.Settings{URL: tt.url, MinReplicas: tt.replicas}, Name: "test"})
		if tt.reset != "" {
			s.Do(tt.reset)
		}
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: error %v, want %s", name, err, tt.err)
			}
			s.Do("FLUSHALL")
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var losses []string
		for _, l := range p.Losses {
			losses = append(losses, l.Text)
		}
		found := len(losses) == len(tt.losses)
		for i := range min(len(losses), len(tt.losses)) {
			found = found && strings.Contains(losses[i], tt.losses[i])
		}
		if !found || p.Silent != tt.silent || p.Version == "" {
			t.Errorf("%s: losses %q, silent %v, version %q", name, losses, p.Silent, p.Version)
		}
		if left := s.Do("DBSIZE"); left != ":0" {
			t.Errorf("%s: %s keys are left", name, left)
		}
	}
}

func TestProveWithoutARedis(t *testing.T) {
	t.Parallel()
	if p, err := replica.Prove(t.Context(), replica.Config{Name: "test"}); p != nil || err != nil {
		t.Errorf("without an address %v, %v", p, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() { // as a port with TLS does
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	})
	_, err = replica.Prove(t.Context(), replica.Config{Settings: replica.Settings{URL: port.Secret("redis://" + l.Addr().String())}, Name: "test"})
	_ = l.Close()
	served.Wait()
	if err == nil {
		t.Error("no error of something that hangs up")
	}
}

// The certificate of a Redis is verified as those of all others are.
func TestTrust(t *testing.T) {
	t.Parallel()
	s, roots := replicatest.StartTLS(t)
	for name, tt := range map[string]struct {
		url   port.Secret
		trust func() *tls.Config
		err   string
	}{
		"the system's authorities": {err: "unknown authority: mount the certificate of its authority, or name it with SSL_CERT_FILE"},
		"a private authority":      {trust: func() *tls.Config { return &tls.Config{RootCAs: roots} }},
		"no verification":          {trust: func() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }},
		"none by the address":      {url: s.URL() + "?skip_verify=true", trust: func() *tls.Config { return &tls.Config{} }},
	} {
		if tt.url == "" {
			tt.url = s.URL()
		}
		_, err := replica.Prove(t.Context(), replica.Config{Settings: replica.Settings{URL: tt.url}, Name: "test", Trust: tt.trust})
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: error %v, want %q", name, err, tt.err)
		}
	}
}

// What a Redis can lose is said by the service, too.
func TestLossesAreSaid(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	if got := s.Do("CONFIG SET appendonly no"); got != "+OK" {
		t.Fatal(got)
	}
	var log lockedBuffer
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	p, err := replica.Prove(t.Context(), replica.Config{Settings: replica.Settings{URL: s.URL()}, Name: "test"})
	if err != nil || len(p.Losses) != 1 || !strings.Contains(p.Losses[0].Text, "append-only file") {
		t.Errorf("%+v, %v", p, err)
	}
	newMemberOf(t, g)
	until(t, "Redis to be usable", func() bool { return g.Failing() == nil })
	if n := strings.Count(log.String(), "redis can lose deliveries that were acknowledged"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A Redis that cannot be used from the start is said, once.
func TestUnusableFromTheStart(t *testing.T) {
	t.Parallel()
	s := replicatest.Start(t)
	var log lockedBuffer
	g, err := replica.New(replica.Config{Settings: replica.Settings{URL: s.As("", "wrong")}, Name: "test", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	m := newMemberOf(t, g)
	const said = "Redis refuses the user or the password"
	until(t, "the reason", func() bool { return strings.Contains(log.String(), said) })
	m.stop()
	if n := strings.Count(log.String(), said); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
}
