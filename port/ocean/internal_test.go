package ocean

import "testing"

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
