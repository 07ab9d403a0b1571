package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// How far the clock of this machine may be off. Tokens of Port and Entra are
// refused by a clock that is off by five minutes.
const (
	skewWarned  = time.Minute
	skewRefused = 5 * time.Minute

	reachTimeout = 10 * time.Second
)

// reach asks an address for anything, with no credential and no repetition. Any
// answer will do. It returns how far the clock there is ahead of ours.
func reach(ctx context.Context, via http.RoundTripper, address string) (status int, ahead time.Duration, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, 0, false, err
	}
	begun := time.Now()
	resp, err := via.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer within %s", reachTimeout)
		}
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return 0, 0, false, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	ahead, known = clockAhead(resp.Header.Get("Date"), begun, time.Now())
	return resp.StatusCode, ahead, known, nil
}

// clockAhead compares the Date of an answer, which is in whole seconds, with the
// time in which the request was on its way: what lies between is no difference.
func clockAhead(date string, begun, ended time.Time) (ahead time.Duration, known bool) {
	at, err := http.ParseTime(date)
	switch {
	case err != nil:
		return 0, false
	case at.After(ended):
		return at.Sub(ended), true
	case at.Add(time.Second).Before(begun):
		return at.Add(time.Second).Sub(begun), true
	}
	return 0, true
}

// clock compares the clock of this machine with that of a service.
func (c *check) clock(subject string, ahead time.Duration, known bool) {
	const remedy = "set the clock of this machine (NTP); in a container it is that of the host"
	off := ahead.Abs().Round(time.Second)
	way := "behind"
	if ahead < 0 {
		way = "ahead of"
	}
	text := fmt.Sprintf("the clock of this machine is %s %s it", off, way)
	switch {
	case !known:
		c.warn("clock", subject, "its answers bear no date to compare the clock with", "")
	case off > skewRefused:
		c.fail("clock", subject, text+": signing in fails like that", remedy)
	case off > skewWarned:
		c.warn("clock", subject, text, remedy)
	default:
		c.ok("clock", subject, "no difference that matters")
	}
}
