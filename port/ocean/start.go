package ocean

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// A Start is what a service knows of itself besides its settings.
type Start struct {
	Build         Build
	Organizations []string
	Credential    string // how it signs in to them
	State         string // the state directory; empty: none
	Address       string // on which it listens; empty: none
	Redis         string // that several processes share; empty: it is alone
}

// Announce says in one line what a service is and does, and what it was asked for in
// vain.
func (s *Settings) Announce(ctx context.Context, log *slog.Logger, st Start) {
	log.InfoContext(ctx, "service starts", "version", st.Build.Version, "commit", st.Build.Commit, "organizations", strings.Join(st.Organizations, " "),
		"credential", st.Credential, "listener", string(s.EventListener.Type), "next_resync", s.NextResync(time.Now(), st.Redis != ""),
		"state_directory", cmp.Or(st.State, "none, everything is kept in memory"), "address", st.Address, "base_url", s.BaseURL,
		"storage_queue", s.StorageQueue.URL, "shared_queue", st.Redis,
		"default_resources", cmp.Or(s.DefaultResources, "corrected for a new installation, else compatible"), "off", strings.Join(s.Off(), "; "))
	if s.EventListener.Type == ListenActionsOnly && !s.RunsActions() {
		log.WarnContext(ctx, "this process does nothing: its listener is ACTIONS_ONLY, and self-service actions are switched off")
	}
}

// Stopping says what the end of a service waits for, and how long at most.
func (s *Settings) Stopping(ctx context.Context, log *slog.Logger, work ...string) {
	work = slices.DeleteFunc(work, func(w string) bool { return w == "" })
	log.InfoContext(ctx, "stopping", "finishing", cmp.Or(strings.Join(work, " and "), "nothing"), "within", s.ShutdownWait)
}

// NextResync says when the first resync of the process runs. Of several only the one
// that leads has any, and it goes on where the one before it ended.
func (s *Settings) NextResync(now time.Time, shared bool) string {
	l := &s.EventListener
	switch {
	case s.EventsOnly():
		return "only if the events since the last run do not tell everything"
	case shared && l.Begins(true):
		return "when it leads, unless another has led within the last minute and ended its resync"
	case shared && l.Begins(false):
		return "when it leads, if the last one has not ended; else when Port asks"
	case l.Type == ListenOnce, l.Begins(true):
		return "now"
	case !l.Resyncs():
		return "never"
	case l.Begins(false):
		return "now, if the last one has not ended; else when Port asks"
	}
	if plan := s.Schedule(now); plan != nil {
		if at := plan(now); !at.IsZero() {
			return at.Format(time.RFC3339)
		}
	}
	return "when Port asks"
}

// Off is what the process does not do, each with the reason.
func (s *Settings) Off() []string {
	var off []string
	l := &s.EventListener
	add := func(what string, why bool) {
		if why {
			off = append(off, what)
		}
	}
	add("resyncs: the listener is "+string(l.Type), !l.Resyncs())
	add("scheduled resyncs: OCEAN__SCHEDULED_RESYNC_INTERVAL and OCEAN__RESYNC_CRON are not set", l.Resyncs() && l.Type != ListenOnce && s.Schedule(time.Now()) == nil)
	add("live events: the listener is "+string(l.Type), !s.FollowsEvents())
	add("service hooks: OCEAN__BASE_URL is not set, so changes arrive with the next resync", s.FollowsEvents() && s.BaseURL == "" && s.StorageQueue.URL == "")
	add("self-service actions: OCEAN__ACTIONS_PROCESSOR__ENABLED is not true", !s.HasActions())
	add("self-service actions: the listener is "+string(l.Type), s.HasActions() && !s.RunsActions())
	add("the brake on deletions: OCEAN__DELETION_BRAKE_PER_BLUEPRINT is 1", s.DeletionBrake == 1)
	return off
}
