package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// TestBlocker needs names that resolve to addresses of its choice.
func TestBlocker(t *testing.T) {
	t.Parallel()
	hosts := map[string][]string{
		"public.example": {"93.184.215.14"}, "private.example": {"10.1.2.3"}, "mixed.example": {"93.184.215.14", "192.168.0.1"},
		"mapped.example": {"::ffff:127.0.0.1"}, "six.example": {"2606:2800:21f::1"}, "ula.example": {"fd00::1"}, "zone.example": {"fe80::1%eth0"},
		"cgn.example": {"100.64.0.1"}, "metadata.example": {"169.254.169.254"}, "none.example": {}, "down.example": {"93.184.215.99", "93.184.215.14"},
		"tenant.azure.com": {"10.0.0.4"}, "proxy.internal": {"10.0.0.5"},
	}
	var dialed string
	b := &blocker{
		networks: blockedNetworks(), exempt: []string{"proxy.internal"},
		dial: func(_ context.Context, _, address string) (net.Conn, error) {
			if strings.HasPrefix(address, "93.184.215.99") {
				return nil, errors.New("refused")
			}
			dialed = address
			return nil, nil
		},
		resolve: func(_ context.Context, _, host string) ([]netip.Addr, error) {
			var out []netip.Addr
			for _, a := range hosts[host] {
				out = append(out, netip.MustParseAddr(a))
			}
			return out, nil
		},
	}
	tests := map[string]string{
		"public.example": "93.184.215.14:443", "private.example": "", "mixed.example": "", "mapped.example": "", "six.example": "[2606:2800:21f::1]:443",
		"ula.example": "", "zone.example": "", "cgn.example": "", "metadata.example": "", "none.example": "", "down.example": "93.184.215.14:443",
		"tenant.azure.com": "tenant.azure.com:443", "proxy.internal": "proxy.internal:443",
	}
	for host, want := range tests {
		dialed = ""
		_, err := b.dialContext(t.Context(), "tcp", host+":443")
		if dialed != want || (want == "") != (err != nil) {
			t.Errorf("%s: dialed %q, %v, want %q", host, dialed, err, want)
		}
		if want == "" && host != "none.example" && !errors.Is(err, errBlocked) {
			t.Errorf("%s: %v is not errBlocked", host, err)
		}
	}
	if _, err := b.dialContext(t.Context(), "tcp", "nonsense"); err == nil {
		t.Error("an address without a port is dialed")
	}
}
