// Package network decides how the process reaches others: proxies, certificates
// of authorities, and addresses that must not be called. It makes the transports
// of both sides, Port and Azure DevOps, and never reads the environment itself.
package network

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Config says how the process reaches others. Zero fields mean: everything is
// verified, no proxy, no blocked address, the certificates of this machine.
type Config struct {
	// UnverifiedPort and UnverifiedThirdParty accept any certificate in that
	// direction, with a warning.
	UnverifiedPort, UnverifiedThirdParty bool
	// ThirdPartyVariable is the setting that says so of third parties, for the
	// warning; OCEAN__SSL__THIRD_PARTY__VERIFY by default.
	ThirdPartyVariable string
	// BlockPrivate refuses private, loopback and link-local addresses.
	BlockPrivate bool
	// Environ holds the process environment, of which the variables of proxies
	// and certificates are read.
	Environ map[string]string
	// Log gets one warning per direction that is not verified, and one for
	// each file of certificates that cannot be used. Nothing by default.
	Log *slog.Logger

	root string // before the paths of certificates, in tests
}

// A Network makes the transports of the process. They share the trust store, which is
// read when the first encrypted connection is wanted: that takes as long as everything
// else until the first request.
type Network struct {
	cfg     Config
	proxies *proxies
	roots   func() *x509.CertPool
}

// New checks the proxy variables. It neither dials nor reads certificates.
func New(cfg Config) (*Network, error) {
	proxies, err := newProxies(cfg.Environ)
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.UnverifiedPort {
		cfg.Log.Warn("certificates are not verified", "variable", "OCEAN__SSL__PORT__VERIFY")
	}
	if cfg.UnverifiedThirdParty {
		cfg.Log.Warn("certificates are not verified", "variable", cmp.Or(cfg.ThirdPartyVariable, "OCEAN__SSL__THIRD_PARTY__VERIFY"))
	}
	t := trust{environ: cfg.Environ, root: cfg.root, log: cfg.Log}
	return &Network{cfg: cfg, proxies: proxies, roots: sync.OnceValue(t.certificates)}, nil
}

// Port returns a new transport for Port.
func (n *Network) Port() *http.Transport { return n.transport(!n.cfg.UnverifiedPort) }

// ThirdParty returns a new transport for Azure DevOps and everybody else.
func (n *Network) ThirdParty() *http.Transport { return n.transport(!n.cfg.UnverifiedThirdParty) }

// Timeouts of a connection; those of a request are the client's.
const (
	dialTimeout = 30 * time.Second
	keepAlive   = 30 * time.Second
	tlsTimeout  = 15 * time.Second
	idleTimeout = 90 * time.Second
	idlePerHost = 32 // connections that stay open between requests
	// An HTTP/2 connection that a firewall has dropped silently is noticed
	// after these two instead of when the requests on it time out.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
)

// ThirdPartyTLS is how servers of third parties are verified that do not speak HTTP.
func (n *Network) ThirdPartyTLS() *tls.Config { return n.tls(!n.cfg.UnverifiedThirdParty) }

func (n *Network) tls(verify bool) *tls.Config {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if verify {
		conf.RootCAs = n.roots()
	} else {
		conf.InsecureSkipVerify = true // the user asked for it, and is warned
	}
	return conf
}

func (n *Network) transport(verify bool) *http.Transport {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	trust := func() {}
	if verify {
		trust = sync.OnceFunc(func() { conf.RootCAs = n.roots() })
	} else {
		conf.InsecureSkipVerify = true // the user asked for it, and is warned
	}
	return &http.Transport{
		// Asked for every request, before a connection is made with conf.
		Proxy: func(r *http.Request) (*url.URL, error) {
			proxy := n.proxies.forURL(r.URL)
			if r.URL.Scheme == "https" || proxy != nil && proxy.Scheme == "https" {
				trust()
			}
			return proxy, nil
		},
		DialContext:           n.dialer(),
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   tlsTimeout,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		MaxIdleConns:          2 * idlePerHost,
		MaxIdleConnsPerHost:   idlePerHost,
		IdleConnTimeout:       idleTimeout,
		ExpectContinueTimeout: time.Second,
	}
}

// DialPort returns what connects to Port without HTTP, and so without a proxy:
// to its Kafka brokers. Encrypted connections are verified as those of Port are.
func (n *Network) DialPort(encrypted bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	dial := n.dialer()
	if !encrypted {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		raw, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conf := n.tls(!n.cfg.UnverifiedPort)
		conf.ServerName = host
		c := tls.Client(raw, conf)
		ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
		defer cancel()
		if err := c.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		return c, nil
	}
}

func (n *Network) dialer() func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	if !n.cfg.BlockPrivate {
		return d.DialContext
	}
	b := &blocker{
		dial: d.DialContext, resolve: net.DefaultResolver.LookupNetIP, networks: blockedNetworks(), exempt: n.proxies.hosts(),
	}
	return b.dialContext
}
