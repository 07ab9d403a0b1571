package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// errBlocked says that an address is private, loopback, link-local or reserved
// and that OCEAN__DISABLE_IP_OUTBOUND_BLOCKER is false.
var errBlocked = errors.New("address is blocked by OCEAN__DISABLE_IP_OUTBOUND_BLOCKER=false")

// blockedNetworks are the private, shared, reserved and multicast ranges that the
// Python integration's blocker refuses.
func blockedNetworks() []netip.Prefix {
	texts := []string{
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/8",
		"255.255.255.255/32", "224.0.0.0/4", "100.64.0.0/10", "240.0.0.0/4",
		"::1/128", "fe80::/10", "::/128", "fc00::/7", "ff00::/8", "2001:db8::/32", "100::/64",
	}
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// A blocker refuses connections below the name resolution, so redirects and
// names that change their address are covered too.
type blocker struct {
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	resolve  func(ctx context.Context, network, host string) ([]netip.Addr, error)
	networks []netip.Prefix
	exempt   []string // host names of the configured proxies
}

// trustedSuffixes are hosts of Port and Azure, which the Python integration lets
// through as well: a private link gives them private addresses.
func trustedSuffixes() []string { return []string{".getport.io", ".port.io", ".azure.com"} }

// dialContext resolves the host and connects to one of its addresses, unless
// any of them is blocked.
func (b *blocker) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if b.trusted(strings.ToLower(strings.TrimSuffix(host, "."))) {
		return b.dial(ctx, network, address)
	}
	addrs, err := b.resolve(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if slices.ContainsFunc(addrs, b.blocked) {
		return nil, fmt.Errorf("dial %s: %w", address, errBlocked)
	}
	errs := make([]error, 0, len(addrs))
	for _, a := range addrs {
		conn, err := b.dial(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, fmt.Errorf("dial %s: no address", address)
	}
	return nil, errors.Join(errs...)
}

func (b *blocker) trusted(host string) bool {
	if slices.Contains(b.exempt, host) {
		return true
	}
	return slices.ContainsFunc(trustedSuffixes(), func(s string) bool { return strings.HasSuffix(host, s) })
}

// blocked looks at the unmapped address: ::ffff:127.0.0.1 is 127.0.0.1.
func (b *blocker) blocked(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(b.networks, func(p netip.Prefix) bool { return p.Contains(a) })
}
