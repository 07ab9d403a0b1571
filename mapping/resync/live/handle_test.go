package live_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/resync/live"
	"github.com/ado-port/ado-port/webhook"
)

// What a server does with a delivery that cannot be understood.
func TestMalformedIsPermanent(t *testing.T) {
	t.Parallel()
	d := webhook.BodiesHandler(live.New(live.Config{}).Handle, live.ErrMalformed)
	if err := d.Handle(t.Context(), "", []webhook.Delivery{{Body: []byte("{}")}}); !errors.Is(err, webhook.ErrPermanent) {
		t.Errorf("error %v, want one that is permanent", err)
	}
}

// A delivery that cannot be understood takes no other one's further tries away.
func TestMalformedBesideOthers(t *testing.T) {
	t.Parallel()
	org, err := azuredevops.New(azuredevops.ClientConfig{
		OrganizationURL: "https://dev.azure.com/contoso", Credential: azuredevops.PersonalAccessToken("pat"),
	})
	if err != nil {
		t.Fatal(err)
	}
	unreachable := errors.New("Port cannot be reached")
	f := live.New(live.Config{
		Organizations: []*azuredevops.Client{org},
		Mapping:       func(context.Context) (*mapping.Mapping, error) { return nil, unreachable },
	})
	bad, good := []byte(`{}`), []byte(`{"eventType":"git.push","publisherId":"tfs","resource":{}}`)
	if err := f.Handle(t.Context(), [][]byte{bad}); !errors.Is(err, live.ErrMalformed) {
		t.Errorf("alone: %v, want ErrMalformed", err)
	}
	if err := f.Handle(t.Context(), [][]byte{bad, good}); errors.Is(err, live.ErrMalformed) || !errors.Is(err, unreachable) {
		t.Errorf("beside another one: %v, want an error that is tried again", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Handle(ctx, [][]byte{bad}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
