package ocean_test

import (
	"flag"
	"log/slog"
	"testing"
	"time"

	"github.com/ado-port/ado-port/port/ocean"
)

func TestSchedule(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 10, 7, 0, 0, time.UTC)
	tests := []struct {
		text string
		want time.Duration
	}{{"45", 45 * time.Minute}, {"90s", 90 * time.Second}, {"2h", 2 * time.Hour}, {"@hourly", 53 * time.Minute}, {"*/15 * * * *", 8 * time.Minute}}
	for _, tt := range tests {
		var s ocean.Schedule
		if err := s.UnmarshalText([]byte(tt.text)); err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if got := s.Next(from).Sub(from); got != tt.want || s.IsZero() {
			t.Errorf("%q is next due in %v, want %v", tt.text, got, tt.want)
		}
	}
	var never ocean.Schedule
	if !never.IsZero() || !never.Next(from).IsZero() {
		t.Error("the zero schedule is due")
	}
	var spec ocean.CronSpec
	if err := spec.UnmarshalText([]byte("CRON_TZ=UTC 0 12 * * *")); err != nil || spec.Next(from).Hour() != 12 {
		t.Errorf("cron = %v, %v", spec, err)
	}
}

func TestListenerRoles(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	tests := []struct {
		listener         ocean.EventListener
		resync, webhooks bool
	}{
		{ocean.EventListener{Type: ocean.ListenPolling}, true, true},
		{ocean.EventListener{Type: ocean.ListenKafka}, true, true},
		{ocean.EventListener{Type: ocean.ListenWebhook}, true, true},
		{ocean.EventListener{Type: ocean.ListenOnce}, true, false},
		{ocean.EventListener{Type: ocean.ListenWebhooksOnly}, false, true},
		{ocean.EventListener{Type: ocean.ListenActionsOnly}, false, false},
		{ocean.EventListener{Type: ocean.ListenOnce, ShouldResync: &no, ShouldProcessWebhooks: &yes}, false, true},
	}
	for _, tt := range tests {
		l := tt.listener
		if l.Resyncs() != tt.resync || l.ProcessesWebhooks() != tt.webhooks {
			t.Errorf("%s: resync %t, webhooks %t", l.Type, l.Resyncs(), l.ProcessesWebhooks())
		}
	}
}

func TestSettingsHelpers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "/": "", "a/b/": "/a/b", "/x": "/x"} {
		if got := (&ocean.Settings{PathPrefix: text}).Prefix(); got != want {
			t.Errorf("Prefix(%q) = %q, want %q", text, got, want)
		}
	}
	yes, no := true, false
	for _, tt := range []struct {
		set  *bool
		want bool
	}{{nil, false}, {&yes, false}, {&no, true}} {
		if got := (&ocean.Settings{DisableIPBlocker: tt.set}).BlockPrivateAddresses(); got != tt.want {
			t.Errorf("BlockPrivateAddresses = %t, want %t", got, tt.want)
		}
	}
	for text, want := range map[string]slog.Level{"DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARNING": slog.LevelWarn, "ERROR": slog.LevelError, "CRITICAL": slog.LevelError + 4} {
		if got := (&ocean.Application{LogLevel: text}).Level(); got != want {
			t.Errorf("Level(%s) = %v, want %v", text, got, want)
		}
	}
}

func TestSailFlags(t *testing.T) {
	t.Parallel()
	fs := flag.NewFlagSet("sail", flag.ContinueOnError)
	overrides, fallbacks := ocean.SailFlags(fs)
	if err := fs.Parse([]string{"-O", "-l", "DEBUG", "--port=9000", "-i", "false", "."}); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := load(ocean.Sources{
		Overrides: overrides, Fallbacks: fallbacks,
		Environ: map[string]string{"OCEAN__EVENT_LISTENER": `{"type":"KAFKA"}`, "APPLICATION__PORT": "8001", "OCEAN__INITIALIZE_PORT_RESOURCES": "true"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Ocean.EventListener.Type != ocean.ListenOnce || cfg.Ocean.InitializePortResources || cfg.Application.LogLevel != "DEBUG" || cfg.Application.Port != 8001 {
		t.Errorf("listener %s, resources %t, application %+v", cfg.Ocean.EventListener.Type, cfg.Ocean.InitializePortResources, cfg.Application)
	}
}
