package hooks

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/azuredevops"
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
	values = azuredevopstest.Values
)

func mustNotShow(t *testing.T, what string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(text, what) {
			t.Errorf("shows %q: %s", what, text)
		}
	}
}

type options struct {
	tags []string
	most int
	log  io.Writer
	org  string // empty means testOrg
}

func newTestClient(tb testing.TB, f *fakeService, o options) *azuredevops.Client {
	tb.Helper()
	if o.log == nil {
		o.log = io.Discard
	}
	if o.org == "" {
		o.org = testOrg
	}
	c, err := azuredevops.New(azuredevops.ClientConfig{
		OrganizationURL: o.org, Credential: azuredevops.PersonalAccessToken(testToken), Transport: f, ExcludedTags: o.tags, MaxInFlight: o.most, Log: testLog(o.log),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func projectsOf(names ...string) string {
	var out []string
	for i, n := range names {
		out = append(out, fmt.Sprintf(`{"id":"p%d","name":%q}`, i+1, n))
	}
	return values(out...)
}
