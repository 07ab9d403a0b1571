package ocean

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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
		if want == "" && host != "none.example" && !errors.Is(err, ErrBlocked) {
			t.Errorf("%s: %v is not ErrBlocked", host, err)
		}
	}
	if _, err := b.dialContext(t.Context(), "tcp", "nonsense"); err == nil {
		t.Error("an address without a port is dialed")
	}
}

func TestStateCandidates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		configured string
		environ    map[string]string
		want       []string
	}{
		{"", nil, []string{"/tmp/ocean/ado-port"}},
		{"", map[string]string{"HOME": "/", "XDG_STATE_HOME": "relative"}, []string{"/.local/state/ado-port", "/tmp/ocean/ado-port"}},
		{"/data", map[string]string{"HOME": "/home/u", "XDG_STATE_HOME": "/x"}, []string{"/data", "/x/ado-port", "/home/u/.local/state/ado-port", "/tmp/ocean/ado-port"}},
	}
	for _, tt := range tests {
		if got := stateCandidates(tt.configured, tt.environ, "/tmp"); !slices.Equal(got, tt.want) {
			t.Errorf("stateCandidates(%q, %v) = %q, want %q", tt.configured, tt.environ, got, tt.want)
		}
	}
}

func TestFirstWritable(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	blocked, free := filepath.Join(file, "below"), filepath.Join(root, "a", "b")
	tests := []struct {
		name, configured string
		candidates       []string
		want, warning    string
	}{
		{"first", free, []string{free, blocked}, free, ""},
		{"second", "", []string{blocked, free}, free, ""},
		{"configured cannot be used", blocked, []string{blocked, free}, free, "OCEAN__STATE_DIRECTORY cannot be used"},
		{"none", "", []string{blocked, blocked}, "", "no directory is writable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			got := firstWritable(tt.configured, tt.candidates, slog.New(slog.NewTextHandler(&log, nil)))
			if got != tt.want || strings.Count(log.String(), "WARN") != strings.Count(log.String(), "\n") ||
				(tt.warning == "") != (log.Len() == 0) || !strings.Contains(log.String(), tt.warning) {
				t.Errorf("firstWritable = %q, want %q, log %s", got, tt.want, log.String())
			}
		})
	}
	left, err := os.ReadDir(free)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDecamelise(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"resyncOnStart": "resync_on_start", "organizationUrl": "organization_url", "clientID": "client_id", "OAuth2Token": "o_auth2token",
		"x509Strict": "x509strict", "resync_on_start": "resync_on_start", "HTTPServer": "http_server", "ALLCAPS": "allcaps", "third-party": "third_party", "": "",
	} {
		if got := decamelise(key); got != want {
			t.Errorf("decamelise(%q) = %q, want %q", key, got, want)
		}
	}
}
