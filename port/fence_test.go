package port_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/port"
)

// A fence lets nothing through after its time, and asks nobody before.
func TestFence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(6 * time.Second)
		ctx := port.WithFence(t.Context(), func() error {
			if time.Now().Before(end) {
				return nil
			}
			return errors.New("stopped for too long")
		})
		inner, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		if err := port.CheckFence(inner); err != nil {
			t.Errorf("error %v while the right lasts", err)
		}
		time.Sleep(time.Minute) // as a process that is stopped
		if err := port.CheckFence(inner); !errors.Is(err, port.ErrFenced) {
			t.Errorf("error %v, want ErrFenced", err)
		}
		if err := port.CheckFence(t.Context()); err != nil {
			t.Errorf("error %v without a fence", err)
		}
	})
}
