package jq

import (
	"math"
	"strings"
	"time"
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
	whole := math.Floor(sec)
	t, ok := fromUnix(whole)
	if !ok {
		return nil, errorf("error converting number of seconds since epoch to datetime")
	}
	list := brokenDown(t)
	list[5] = list[5].(float64) + (sec - whole)
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
	return float64(t.Unix()), nil
}

func strftime(in, format any, zone string) (any, error) {
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
	p := timePrinter{t: t, zone: zone}
	p.format(f)
	return p.b.String(), nil
}

// strptime reads what strptime of the GNU C library reads; offsets and zones
// are skipped, as jq does.
func strptime(in, format any) (any, error) {
	s, ok1 := in.(string)
	f, ok2 := format.(string)
	if !ok1 || !ok2 {
		return nil, errorf("strptime/1 requires string inputs and arguments")
	}
	p := timeParser{s: s}
	if !p.format(f) || strings.Trim(p.s, " \t\n\v\f\r") != "" {
		return nil, errorf("date %q does not match format %q", s, f)
	}
	list := p.list()
	if p.s != "" {
		list = append(list, p.s)
	}
	return list, nil
}
