package port_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

// While there is no use for an installation none is made; one that exists does not
// wait.
func TestSetupIsPostponed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := porttest.NewUnstarted(porttest.Options{ClientID: "cid"})
		defer srv.Close()
		c, err := port.New(port.ClientConfig{
			ClientID: "cid", ClientSecret: "secret", IntegrationType: "azure-devops", Identifier: "azure", Version: "1", Transport: srv.Transport(),
		})
		if err != nil {
			t.Fatal(err)
		}
		refused, asked := errors.New("refused"), 0
		cfg := port.SetupConfig{Origin: port.OriginEmpty, BeforeCreate: func(context.Context) error {
			if asked++; asked < 8 {
				return refused
			}
			return nil
		}}
		if err := c.SetupWhenReachable(t.Context(), cfg, false); !errors.Is(err, port.ErrPostponed) || !errors.Is(err, refused) {
			t.Errorf("SetupWhenReachable = %v", err)
		}
		if all := srv.Integrations(); len(all) != 0 {
			t.Errorf("made: %+v", all)
		}
		begun := time.Now()
		if err := c.SetupWhenReachable(t.Context(), cfg, true); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); asked != 8 || took < 2*time.Minute || took > 4*time.Minute { // of a fake clock
			t.Errorf("asked %d times in %s", asked, took)
		}
		if all := srv.Integrations(); len(all) != 1 {
			t.Errorf("made: %+v", all)
		}
		if err := c.Setup(t.Context(), cfg); err != nil || asked != 8 {
			t.Errorf("Setup = %v, asked %d times about an installation that exists", err, asked)
		}
	})
}
