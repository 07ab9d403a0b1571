package port_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/porttest"
)

const logRoute = "POST /v1/logs/integration/{id}"

func shipper(c *port.Client) *port.LogShipper {
	s := port.NewLogShipper(port.LogConfig{Masker: port.NewMasker(testSecret, "tiny"), Hostname: "host", Instance: "one"})
	s.Attach(c)
	return s
}

func log(s *port.LogShipper) *slog.Logger { return slog.New(s) }

func TestLogShipper(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{})
		if err := c.Setup(t.Context(), port.SetupConfig{Origin: port.OriginEmpty}); err != nil {
			t.Fatal(err)
		}
		s := shipper(c)
		stop := s.Start(t.Context(), c)
		log(s).Info("as Port names it", "resync_id", "r1", "kind", "project", "kind_index", 3)
		if err := s.Flush(t.Context()); err != nil || !strings.Contains(string(srv.Logs()[0]), `"event_id":"r1","event_kind":"resync","kind":"project","index":3`) {
			t.Errorf("%s, %v", srv.Logs(), err)
		}
		log(s).With("event_id", "e1").WithGroup("g").Info("hello "+testSecret, "k", testSecret, "tiny", "tiny", slog.Group("in", "err", errors.New("no "+testSecret)),
			"any", map[string]any{testSecret: []string{testSecret}})
		log(s).Debug("not shipped")
		time.Sleep(6 * time.Second)
		got := srv.Logs()[1:]
		if len(got) != 1 {
			t.Fatalf("%d records after the interval, want 1", len(got))
		}
		for _, part := range []string{
			`"message":"hello [REDACTED]"`, `"level":"INFO"`, `"event_id":"e1"`, `"hostname":"host"`, `"instance":"one"`,
			`"err":"no [REDACTED]"`, `"tiny":"tiny"`, `"any":{"[REDACTED]":["[REDACTED]"]}`,
		} {
			if !strings.Contains(string(got[0]), part) {
				t.Errorf("%s is not in %s", part, got[0])
			}
		}
		noSecret(t, string(got[0]))
		for range 100 {
			log(s).Warn("many")
		}
		synctest.Wait()
		if n := len(srv.Logs()); n != 102 {
			t.Errorf("%d records once a shipment is full, want 102", n)
		}
		log(s).Info("the last one")
		stop()
		if n := len(srv.Logs()); n != 103 {
			t.Errorf("%d records after the end, want 103", n)
		}
	})
}

// Port is away: the newest records are kept, the lost ones counted, and
// nothing is logged about it into the same log.
func TestLogShipperDropsOldest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, c := catalog(t, porttest.Options{})
		if err := c.Setup(t.Context(), port.SetupConfig{Origin: port.OriginEmpty}); err != nil {
			t.Fatal(err)
		}
		s := shipper(c)
		srv.Fault(porttest.Reset(logRoute))
		for i := range 5050 {
			log(s).Info(fmt.Sprint("line ", i)) //nolint:sloglint // tells the records apart
		}
		if err := s.Flush(t.Context()); err == nil {
			t.Error("Flush succeeded without Port")
		}
		srv.ClearFaults()
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		logs := srv.Logs()
		if len(logs) != 5001 {
			t.Errorf("%d records, want 5000 and the one that tells of the others", len(logs))
		}
		all := fmt.Sprintf("%s", logs)
		if !strings.Contains(all, `"dropped":50`) || strings.Contains(all, `"line 49"`) || !strings.Contains(all, `"line 50"`) {
			t.Error("the wrong records were dropped")
		}
	})
}

func TestMasker(t *testing.T) {
	t.Parallel()
	m := port.NewMasker("abc\"def/ghi", "", "None", "12345", testSecret)
	for in, want := range map[string]string{
		`{"a":"x abc\"def/ghi y"}`:                         `{"a":"x [REDACTED] y"}`,
		`{"a":"x abc\u0022def\/ghi y"}`:                    `{"a":"x [REDACTED] y"}`,
		`{"very-secret-value":12345,"b":["None","12345"]}`: `{"[REDACTED]":12345,"b":["None","12345"]}`,
		`{"u":"https://user:pa55word@dev.azure.com/x"}`:    `{"u":"[REDACTED]dev.azure.com/x"}`,
		`{"u":"https://sim-org@dev.azure.com/x"}`:          `{"u":"https://sim-org@dev.azure.com/x"}`,
		`{"n": 12345678901234567890 , "e":"\u00fc"}`:       `{"n": 12345678901234567890 , "e":"\u00fc"}`,
	} {
		if got := string(m.JSON([]byte(in))); got != want {
			t.Errorf("JSON(%s) = %s, want %s", in, got, want)
		}
	}
	var nilMasker *port.Masker
	if nilMasker.String("abc") != "abc" {
		t.Error("a nil masker changes text")
	}
}
