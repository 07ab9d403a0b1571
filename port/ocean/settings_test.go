package ocean_test

import (
	"flag"
	"log/slog"
	"maps"
	"strconv"
	"strings"
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

// Intervals count from the start of the process, as the resyncs do that they mean.
func TestPlannedResyncs(t *testing.T) {
	t.Parallel()
	const hourly, at = "OCEAN__SCHEDULED_RESYNC_INTERVAL", "OCEAN__RESYNC_CRON"
	start := time.Date(2026, 3, 1, 10, 7, 0, 0, time.Local)
	for _, tt := range []struct {
		listener string
		set      map[string]string
		want     time.Duration // after the start, of the one that follows 70 minutes; 0: none
		every    time.Duration
	}{
		{"POLLING", nil, 0, 0},
		{"POLLING", map[string]string{hourly: "60"}, 2 * time.Hour, time.Hour},
		{"KAFKA", map[string]string{at: "30 11 * * *"}, 83 * time.Minute, 0},
		{"KAFKA", map[string]string{hourly: "60", at: "30 11 * * *"}, 83 * time.Minute, time.Hour},
		{"WEBHOOK", map[string]string{hourly: "*/10 * * * *", at: "30 12 * * *", "OCEAN__EVENT_LISTENER__APP_HOST": "http://x"}, 73 * time.Minute, 0},
		{"ONCE", map[string]string{hourly: "60"}, 0, 0},
		{"WEBHOOKS_ONLY", map[string]string{hourly: "60"}, 0, 0},
		{"ACTIONS_ONLY", map[string]string{hourly: "60", at: "30 11 * * *"}, 0, 0},
	} {
		environ := map[string]string{"OCEAN__EVENT_LISTENER__TYPE": tt.listener}
		maps.Copy(environ, tt.set)
		cfg, _, err := load(ocean.Sources{Environ: environ})
		if err != nil {
			t.Fatal(err)
		}
		next := cfg.Ocean.Schedule(start)
		if next == nil || tt.want == 0 {
			if next != nil || tt.want != 0 || cfg.Ocean.Distance() != 0 {
				t.Errorf("%s %v: a plan that nothing heeds, or none that something does", tt.listener, tt.set)
			}
			continue
		}
		if got := next(start.Add(70 * time.Minute)).Sub(start); got != tt.want || cfg.Ocean.Distance() != tt.every {
			t.Errorf("%s %v: next in %v, every %v; want %v and %v", tt.listener, tt.set, got, cfg.Ocean.Distance(), tt.want, tt.every)
		}
	}
}

// A process says to Port what it does itself or what a setting says, and leaves the
// rest to the other processes of its installation.
func TestProcessesDecideAboutThemselves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		listener             string
		set                  map[string]string
		destination          string // empty: not decided
		incremental, actions string // "", "true" or "false"
	}{
		{"POLLING", nil, "{}", "", ""},
		{"POLLING", map[string]string{"OCEAN__ACTIONS_PROCESSOR__ENABLED": "true", "OCEAN__INTEGRATION__INCREMENTAL_SYNC_ENABLED": "true"}, "{}", "false", "true"},
		{"POLLING", map[string]string{"OCEAN__ACTIONS_PROCESSOR__ENABLED": "false"}, "{}", "", "false"},
		{"WEBHOOK", map[string]string{"OCEAN__EVENT_LISTENER__APP_HOST": "https://x/y/"}, `{"type":"WEBHOOK","url":"https://x/y/resync"}`, "", ""},
		{"WEBHOOKS_ONLY", nil, "", "", ""},
		{"WEBHOOKS_ONLY", map[string]string{"OCEAN__ACTIONS_PROCESSOR__ENABLED": "true"}, "", "", ""},
		{"ACTIONS_ONLY", nil, "", "", "true"},
		{"ACTIONS_ONLY", map[string]string{"OCEAN__ACTIONS_PROCESSOR__ENABLED": "false"}, "", "", "false"},
		{"POLLING", map[string]string{"OCEAN__ACTIONS_PROCESSOR__ENABLED": "true", "OCEAN__EVENT_LISTENER__SHOULD_RUN_ACTIONS": "false"}, "{}", "", ""},
		{"ONCE", map[string]string{"OCEAN__ACTIONS_PROCESSOR__ENABLED": "true"}, "", "", ""},
		{"ONCE", nil, "", "", ""},
		{"ONCE", map[string]string{"OCEAN__INTEGRATION__INCREMENTAL_SYNC_ENABLED": "true"}, "", "true", ""},
		{"ONCE", map[string]string{"OCEAN__INTEGRATION__INCREMENTAL_SYNC_ENABLED": "false"}, "", "false", ""},
	} {
		environ := map[string]string{"OCEAN__EVENT_LISTENER__TYPE": tt.listener}
		maps.Copy(environ, tt.set)
		cfg, _, err := load(ocean.Sources{Environ: environ})
		if err != nil {
			t.Fatal(err)
		}
		text := func(b *bool) string {
			if b == nil {
				return ""
			}
			return strconv.FormatBool(*b)
		}
		c := cfg.Ocean.Setup(nil, nil)
		if string(c.ChangelogDestination) != tt.destination || text(c.IncrementalSync) != tt.incremental || text(c.ActionsProcessing) != tt.actions {
			t.Errorf("%s %v decides %s, incremental %q, actions %q", tt.listener, tt.set, c.ChangelogDestination, text(c.IncrementalSync), text(c.ActionsProcessing))
		}
	}
}

func TestNextResync(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		listener ocean.ListenerType
		start    bool
		shared   bool
		want     string
	}{
		{"ONCE", true, false, "now"},
		{"POLLING", true, false, "now"},
		{"POLLING", true, true, "when it leads, unless another has led within the last minute and ended its resync"},
		{"POLLING", false, true, "when Port asks"},
		{"WEBHOOK", true, false, "now, if the last one has not ended; else when Port asks"},
		{"WEBHOOK", true, true, "when it leads, if the last one has not ended; else when Port asks"},
		{"WEBHOOKS_ONLY", true, true, "never"},
	} {
		var s ocean.Settings
		s.EventListener.Type, s.EventListener.ResyncOnStart = tt.listener, tt.start
		if got := s.NextResync(time.Now(), tt.shared); got != tt.want {
			t.Errorf("NextResync of %s, at its start %v, shared %v = %q, want %q", tt.listener, tt.start, tt.shared, got, tt.want)
		}
	}
	events := ocean.Settings{EventListener: ocean.EventListener{Type: ocean.ListenOnce}, OnceEventsOnly: true}
	if got := events.NextResync(time.Now(), false); !strings.HasPrefix(got, "only if the events") {
		t.Errorf("NextResync of a run of events = %q", got)
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
