package jq

import (
	"cmp"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/itchyny/timefmt-go"
)

// Times are lists as C's struct tm has them: year, month from 0, day, hour,
// minute, second, weekday from Sunday, day of the year from 0. All are UTC.

func now(*run, any, []any) (any, error) {
	return float64(time.Now().UnixMicro()) / 1e6, nil
}

func gmtime(in any) (any, error) {
	if !isNumber(in) {
		return nil, errorf("gmtime() requires numeric inputs")
	}
	sec := toFloat(in)
	whole := math.Trunc(sec) // as C converts it
	t, ok := fromUnix(whole)
	if !ok {
		return nil, errorf("error converting number of seconds since epoch to datetime")
	}
	list := brokenDown(t)
	list[5] = list[5].(float64) + (sec - math.Floor(sec))
	return list, nil
}

// fromUnix refuses years that do not fit into C's int.
func fromUnix(sec float64) (time.Time, bool) {
	if sec != sec || math.Abs(sec) > 6.7e16 {
		return time.Time{}, false
	}
	return time.Unix(int64(sec), 0).UTC(), true
}

func brokenDown(t time.Time) []any {
	return []any{
		float64(t.Year()), float64(t.Month() - 1), float64(t.Day()), float64(t.Hour()), float64(t.Minute()),
		float64(t.Second()), float64(t.Weekday()), float64(t.YearDay() - 1),
	}
}

// timeOf reads a list; missing fields are 0, a missing year 1900, fields out of range carry over.
func timeOf(in any) (time.Time, bool) {
	list, ok := in.([]any)
	if !ok {
		return time.Time{}, false
	}
	f := [6]int{1900}
	for i, v := range list {
		if i >= 8 {
			break
		}
		if !isNumber(v) {
			return time.Time{}, false
		}
		if i < len(f) {
			f[i] = int(int32(toInt64(toFloat(v)))) //nolint:gosec // C's int wraps too
		}
	}
	return time.Date(f[0], time.Month(f[1]+1), f[2], f[3], f[4], f[5], 0, time.UTC), true
}

func mktime(in any) (any, error) {
	if _, ok := in.([]any); !ok {
		return nil, errorf("mktime requires array inputs")
	}
	t, ok := timeOf(in)
	if !ok {
		return nil, errorf("mktime requires parsed datetime inputs")
	}
	if t.Unix() == -1 { // which is C's sign of failure
		return nil, errorf("invalid gmtime representation")
	}
	return float64(t.Unix()), nil
}

// directive is a directive of strftime: flags and width, the modifier of locales
// that have other calendars or digits, the letter.
var directive = regexp.MustCompile(`%([-_0^#]*)(\d*)[EO]?([A-Za-z])`)

// unpadded are the directives whose year has as many digits as it needs.
var unpadded = map[string]string{"%Y": "%-Y", "%G": "%-G", "%F": "%-Y-%m-%d", "%c": "%a %b %e %H:%M:%S %-Y"}

func strftime(r *run, in, format any, zone string) (any, error) {
	if isNumber(in) {
		var err error
		if in, err = gmtime(in); err != nil {
			return nil, err
		}
	}
	t, ok := timeOf(in)
	if !ok {
		return nil, errorf("strftime/1 requires parsed datetime inputs")
	}
	f, ok := format.(string)
	if !ok {
		return nil, errorf("strftime/1 requires a string format")
	}
	if len(f) > 1<<12 {
		return nil, errorf("strftime/1: format too long")
	}
	f = directive.ReplaceAllStringFunc(f, func(text string) string {
		part := directive.FindStringSubmatch(text)
		if len(part[2]) > 3 {
			part[2] = "999"
		}
		text = "%" + part[1] + part[2] + part[3]
		return cmp.Or(unpadded[text], text)
	})
	text := timefmt.Format(t.In(time.FixedZone(zone, 0)), f)
	return text, r.growString(len(text))
}

// strptime reads what strptime of the GNU C library reads; offsets and zones
// are skipped, as jq does.
func strptime(in, format any) (any, error) {
	s, ok1 := in.(string)
	f, ok2 := format.(string)
	if !ok1 || !ok2 {
		return nil, errorf("strptime/1 requires string inputs and arguments")
	}
	p := timeParser{s: s, year: 1900}
	if !p.format(f) || strings.Trim(p.s, " \t\n\v\f\r") != "" {
		return nil, errorf("date %q does not match format %q", s, f)
	}
	list := p.list()
	if p.s != "" {
		list = append(list, p.s)
	}
	return list, nil
}
