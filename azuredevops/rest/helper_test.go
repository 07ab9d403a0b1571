package rest

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
)

const (
	testOrg   = "https://dev.azure.com/acme"
	testToken = "pat-0123456789"
)

type (
	fakeService  = azuredevopstest.Stub
	lockedBuffer = azuredevopstest.Buffer
)

var (
	answer = azuredevopstest.Reply
	always = azuredevopstest.Always
	status = azuredevopstest.AlwaysStatus
	values = azuredevopstest.Values
)

type options struct {
	cred Credential
	most int
	log  io.Writer
	wait time.Duration
	org  string // empty means testOrg

	registry prometheus.Registerer
}

func newTestClient(tb testing.TB, f *fakeService, o options) *Client {
	tb.Helper()
	if o.cred == nil {
		o.cred = PersonalAccessToken(testToken)
	}
	if o.log == nil {
		o.log = io.Discard
	}
	if o.org == "" {
		o.org = testOrg
	}
	c, err := New(Config{
		OrganizationURL: o.org, Credential: o.cred, Transport: f, MaxInFlight: o.most, Timeout: o.wait, Registry: o.registry,
		Log: slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func mustNotShow(t *testing.T, what string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(text, what) {
			t.Errorf("shows %q: %s", what, text)
		}
	}
}
