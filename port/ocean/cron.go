package ocean

import (
	"errors"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// A Schedule says when a resync is due: every so often, or by a cron
// expression. The zero value never is.
type Schedule struct {
	next     cron.Schedule
	distance time.Duration // 0: there is no fixed one
}

// UnmarshalText takes whole minutes (`45`), a duration (`90m`) or a cron
// expression (`0 */6 * * *`, `@daily`).
func (s *Schedule) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	if d, err := parseDuration(t, time.Minute); err == nil {
		if d < time.Second {
			return errors.New("an interval of at least a second")
		}
		*s = Schedule{next: cron.Every(d), distance: d}
		return nil
	}
	next, err := parseCron(t)
	if err != nil {
		return errors.New("minutes such as 60, a duration such as 90m, or a cron expression such as 0 */6 * * *")
	}
	*s = Schedule{next: next}
	return nil
}

// parseCron is cron.ParseStandard without its panic on a time zone that no
// expression follows.
func parseCron(text string) (cron.Schedule, error) {
	if strings.Contains(text, "TZ=") && len(strings.Fields(text)) < 2 {
		return nil, errors.New("no expression behind the time zone")
	}
	return cron.ParseStandard(text)
}

// Next is the first time after t at which a resync is due; the zero time when
// it never is.
func (s Schedule) Next(t time.Time) time.Time {
	if s.next == nil {
		return time.Time{}
	}
	return s.next.Next(t)
}

// IsZero reports whether there is no schedule.
func (s Schedule) IsZero() bool { return s.next == nil }

// A CronSpec is a cron expression of five fields, or @hourly and the like. The
// zero value is never due.
type CronSpec struct{ Schedule }

// UnmarshalText takes a cron expression only.
func (c *CronSpec) UnmarshalText(text []byte) error {
	next, err := parseCron(strings.TrimSpace(string(text)))
	if err != nil {
		return errors.New("a cron expression of five fields such as 0 */6 * * *, or @daily")
	}
	c.Schedule = Schedule{next: next}
	return nil
}

// An IncrementalInterval is 15, 30 or 60 minutes.
type IncrementalInterval time.Duration

// UnmarshalText takes minutes, or a duration such as 1h.
func (i *IncrementalInterval) UnmarshalText(text []byte) error {
	d, err := parseDuration(strings.TrimSpace(string(text)), time.Minute)
	switch {
	case err != nil, d != 15*time.Minute && d != 30*time.Minute && d != time.Hour:
		return errors.New("15, 30 or 60 minutes, also written 15m, 30m or 1h")
	}
	*i = IncrementalInterval(d)
	return nil
}

// Duration returns the interval as a duration.
func (i IncrementalInterval) Duration() time.Duration { return time.Duration(i) }
