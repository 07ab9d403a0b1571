package network

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// proxies decides which requests go through a proxy, as the Python integration
// does (https://www.python-httpx.org/environment_variables/).
// golang.org/x/net/http/httpproxy is not used because it never proxies loopback
// addresses and knows neither ALL_PROXY nor URL patterns. The zero value uses
// none. It is safe for concurrent use.
type proxies struct {
	http, https *url.URL
	none        bool // NO_PROXY=*
	rules       []noProxy
}

// newProxies reads HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, of which the
// lower-case spelling is preferred. Errors name the variable and never its
// value, which may hold a password.
func newProxies(environ map[string]string) (*proxies, error) {
	get := func(name string) (string, string) {
		if v := strings.TrimSpace(environ[strings.ToLower(name)]); v != "" {
			return strings.ToLower(name), v
		}
		// In a CGI process HTTP_PROXY is a header of the client.
		if name == "HTTP_PROXY" && environ["REQUEST_METHOD"] != "" {
			return name, ""
		}
		return name, strings.TrimSpace(environ[name])
	}
	p := &proxies{}
	for _, e := range []struct {
		name string
		to   []**url.URL
	}{{"ALL_PROXY", []**url.URL{&p.http, &p.https}}, {"HTTP_PROXY", []**url.URL{&p.http}}, {"HTTPS_PROXY", []**url.URL{&p.https}}} {
		name, text := get(e.name)
		if text == "" {
			continue
		}
		u := proxyURL(text)
		if u == nil {
			return nil, fmt.Errorf("%s from environment: want the URL of a proxy such as http://proxy.example.com:3128", name)
		}
		for _, to := range e.to {
			*to = u
		}
	}
	_, exceptions := get("NO_PROXY")
	for entry := range strings.SplitSeq(exceptions, ",") {
		if entry = strings.ToLower(strings.TrimSpace(entry)); entry == "*" {
			p.none = true
		} else if entry != "" {
			p.rules = append(p.rules, newNoProxy(entry))
		}
	}
	return p, nil
}

// proxyURL reads an address; without a scheme it is an HTTP proxy. nil is none.
func proxyURL(text string) *url.URL {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return nil
	}
	return u
}

// forURL is the proxy for an address, nil for none.
func (p *proxies) forURL(u *url.URL) *url.URL {
	proxy := p.http
	if u.Scheme == "https" {
		proxy = p.https
	}
	if proxy == nil || p.none {
		return nil
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ip, _ := netip.ParseAddr(host)
	for _, rule := range p.rules {
		if rule.matches(u.Scheme, host, port, ip.Unmap()) {
			return nil
		}
	}
	return proxy
}

// hosts are the proxies' own host names.
func (p *proxies) hosts() []string {
	var out []string
	for _, u := range []*url.URL{p.http, p.https} {
		if u != nil {
			out = append(out, strings.ToLower(u.Hostname()))
		}
	}
	return out
}

// A noProxy is one entry of NO_PROXY. Empty fields match everything.
type noProxy struct {
	scheme, port string
	network      netip.Prefix
	// host matches itself, and names below it unless exact; only those below it
	// when it began with a dot.
	host        string
	below, only bool
}

func newNoProxy(entry string) noProxy {
	var n noProxy
	if scheme, rest, ok := strings.Cut(entry, "://"); ok {
		if scheme != "all" {
			n.scheme = scheme
		}
		entry, _, _ = strings.Cut(rest, "/")
		n.below = strings.HasPrefix(entry, "*") // a URL pattern names one host
	} else if prefix, err := netip.ParsePrefix(entry); err == nil {
		n.network = prefix
		return n
	} else {
		n.below = entry != "localhost"
	}
	if host, port, err := net.SplitHostPort(entry); err == nil {
		entry, n.port = host, port
	}
	entry = strings.Trim(entry, "[]")
	if ip, err := netip.ParseAddr(entry); err == nil {
		ip = ip.Unmap()
		n.network = netip.PrefixFrom(ip, ip.BitLen())
		return n
	}
	entry = strings.TrimPrefix(entry, "*")
	n.only = strings.HasPrefix(entry, ".")
	n.below = n.below || n.only
	n.host = strings.TrimPrefix(entry, ".")
	return n
}

func (n noProxy) matches(scheme, host, port string, ip netip.Addr) bool {
	switch {
	case n.scheme != "" && n.scheme != scheme, n.port != "" && n.port != port:
		return false
	case n.network.IsValid():
		return ip.IsValid() && n.network.Contains(ip)
	case n.host == "": // `http://` or `http://*`
		return true
	case n.below && strings.HasSuffix(host, "."+n.host):
		return true
	}
	return !n.only && host == n.host
}
