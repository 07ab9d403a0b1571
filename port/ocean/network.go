package ocean

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// NetworkConfig says how the process reaches others. Zero fields mean:
// everything is verified, no proxy, no blocked address, the certificates of this
// machine.
type NetworkConfig struct {
	// SSL is nil to verify in both directions.
	SSL *SSL
	// BlockPrivate refuses private addresses (`port.md` 9.4).
	BlockPrivate bool
	// Environ holds the variables of [Trust] and [NewProxies].
	Environ map[string]string
	// Root is put before the paths of certificates; tests have their own.
	Root string
	// Parallel is how many connections to one host stay open between requests: 32.
	Parallel int
	// Log gets one warning per direction that is not verified, and hears of
	// certificates that cannot be used. Nothing by default.
	Log *slog.Logger
}

// A Network makes the transports of the process. They share the trust store,
// which is read when the first of them is asked for.
type Network struct {
	cfg     NetworkConfig
	proxies *Proxies
	roots   func() *x509.CertPool
}

// NewNetwork checks the proxy variables. It neither dials nor reads
// certificates.
func NewNetwork(cfg NetworkConfig) (*Network, error) {
	proxies, err := NewProxies(cfg.Environ)
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = 32
	}
	if cfg.SSL == nil {
		all := Verification{Verify: true, Strict: true}
		cfg.SSL = &SSL{Port: all, ThirdParty: all}
	}
	cfg.SSL.Port.warn(cfg.Log, "OCEAN__SSL__PORT__VERIFY")
	cfg.SSL.ThirdParty.warn(cfg.Log, "OCEAN__SSL__THIRD_PARTY__VERIFY")
	trust := Trust{Environ: cfg.Environ, Root: cfg.Root, Log: cfg.Log}
	return &Network{cfg: cfg, proxies: proxies, roots: sync.OnceValue(trust.Pool)}, nil
}

// Roots is the trust store, for clients that speak TLS without HTTP (Kafka).
// Reading it takes some milliseconds the first time. Safe for concurrent use.
func (n *Network) Roots() *x509.CertPool { return n.roots() }

// Proxies are the proxies of the environment.
func (n *Network) Proxies() *Proxies { return n.proxies }

// Port returns a new transport for Port.
func (n *Network) Port() *http.Transport { return n.transport(n.cfg.SSL.Port) }

// ThirdParty returns a new transport for Azure DevOps and everybody else.
func (n *Network) ThirdParty() *http.Transport {
	return n.transport(n.cfg.SSL.ThirdParty)
}

// Timeouts of a connection; those of a request are the client's.
const (
	dialTimeout = 30 * time.Second
	keepAlive   = 30 * time.Second
	tlsTimeout  = 15 * time.Second
	idleTimeout = 90 * time.Second
	// An HTTP/2 connection that a firewall has dropped silently is noticed
	// after these two instead of when the requests on it time out.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
)

// warn tells once about a direction that is not verified. The strict flag
// relaxes a profile that only Python has (`port.md` 9.2).
func (v Verification) warn(log *slog.Logger, variable string) {
	if !v.Verify {
		log.Warn("certificates are not verified", "variable", variable)
	}
}

func (n *Network) transport(v Verification) *http.Transport {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if v.Verify {
		conf.RootCAs = n.roots()
	} else {
		conf.InsecureSkipVerify = true // the user asked for it, and is warned
	}
	return &http.Transport{
		Proxy:                 n.proxies.For,
		DialContext:           n.dialer(),
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   tlsTimeout,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		MaxIdleConns:          2 * n.cfg.Parallel,
		MaxIdleConnsPerHost:   n.cfg.Parallel,
		IdleConnTimeout:       idleTimeout,
		ExpectContinueTimeout: time.Second,
	}
}

func (n *Network) dialer() func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	if !n.cfg.BlockPrivate {
		return d.DialContext
	}
	b := &blocker{
		dial: d.DialContext, resolve: net.DefaultResolver.LookupNetIP, networks: blockedNetworks(), exempt: n.proxies.Hosts(),
	}
	return b.dialContext
}
