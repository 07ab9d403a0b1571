package ocean

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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
