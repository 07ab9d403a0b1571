package ocean

import "time"

// NextResync says when the first resync of the process runs.
func (s *Settings) NextResync(now time.Time) string {
	l := &s.EventListener
	switch {
	case l.Type == ListenOnce, l.Resyncs() && l.ResyncOnStart:
		return "now"
	case !l.Resyncs():
		return "never"
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
	add("live events: the listener is "+string(l.Type), !l.FollowsEvents())
	add("service hooks: OCEAN__BASE_URL is not set, so changes arrive with the next resync", l.FollowsEvents() && s.BaseURL == "")
	add("self-service actions: OCEAN__ACTIONS_PROCESSOR__ENABLED is not true", !s.HasActions())
	add("self-service actions: the listener is "+string(l.Type), s.HasActions() && !s.RunsActions())
	add("the brake on deletions: OCEAN__DELETION_BRAKE_PER_BLUEPRINT is 1", s.DeletionBrake == 1)
	return off
}
