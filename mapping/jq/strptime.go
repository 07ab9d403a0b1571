package jq

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A timeParser is strptime of the GNU C library in the C locale. s is what is
// left to read.
type timeParser struct {
	s                                string
	year, month, day, hour, min, sec int // month from 0, year in full
	wday, yday, century              int

	haveMonth, haveDay, haveWday, haveYday, haveCentury bool
	wantDays, pm, isHalf, shortYear                     bool
}

var composite = map[byte]string{
	'c': "%a %b %e %H:%M:%S %Y", 'D': "%m/%d/%y", 'F': "%Y-%m-%d", 'r': "%I:%M:%S %p",
	'R': "%H:%M", 'T': "%H:%M:%S", 'x': "%m/%d/%y", 'X': "%H:%M:%S",
}

func (p *timeParser) format(f string) bool {
	for i := 0; i < len(f); i++ {
		switch c := f[i]; {
		case isSpace(c):
			p.skipSpace()
		case c != '%':
			if p.s == "" || p.s[0] != c {
				return false
			}
			p.s = p.s[1:]
		default:
			i++
			for i < len(f) && strings.IndexByte("-_0^#EO", f[i]) >= 0 {
				i++
			}
			if i >= len(f) || !p.directive(f[i]) {
				return false
			}
		}
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func (p *timeParser) skipSpace() { p.s = strings.TrimLeft(p.s, " \t\n\v\f\r") }

// numeric are the directives of numbers: the bounds, the most digits, what to do
// with one.
var numeric = map[byte]struct {
	lo, hi, width int
	set           func(p *timeParser, v int)
}{
	'H': {0, 23, 2, (*timeParser).setHour},
	'k': {0, 23, 2, (*timeParser).setHour},
	'I': {1, 12, 2, func(p *timeParser, v int) { p.hour, p.isHalf = v%12, true }},
	'l': {1, 12, 2, func(p *timeParser, v int) { p.hour, p.isHalf = v%12, true }},
	'M': {0, 59, 2, func(p *timeParser, v int) { p.min = v }},
	'S': {0, 61, 2, func(p *timeParser, v int) { p.sec = v }},
	'd': {1, 31, 2, (*timeParser).setDay},
	'e': {1, 31, 2, (*timeParser).setDay},
	'm': {1, 12, 2, func(p *timeParser, v int) { p.setMonth(v - 1) }},
	'j': {1, 366, 3, func(p *timeParser, v int) { p.yday, p.haveYday = v-1, true }},
	'Y': {0, 9999, 4, func(p *timeParser, v int) { p.year, p.wantDays, p.haveCentury = v, true, false }},
	'y': {0, 99, 2, func(p *timeParser, v int) {
		if p.year = 1900 + v; v < 69 {
			p.year += 100
		}
		p.wantDays, p.shortYear = true, true
	}},
	'C': {0, 99, 2, func(p *timeParser, v int) { p.century, p.haveCentury, p.wantDays = v, true, true }},
	'u': {1, 7, 1, func(p *timeParser, v int) { p.setWeekday(v % 7) }},
	'w': {0, 6, 1, (*timeParser).setWeekday},
	'g': {0, 99, 2, (*timeParser).ignore},
	'U': {0, 99, 2, (*timeParser).ignore},
	'V': {0, 99, 2, (*timeParser).ignore},
	'W': {0, 99, 2, (*timeParser).ignore},
	'G': {0, 9999, 4, (*timeParser).ignore},
}

func (p *timeParser) setHour(v int)    { p.hour, p.isHalf = v, false }
func (p *timeParser) setDay(v int)     { p.day, p.haveDay, p.wantDays = v, true, true }
func (p *timeParser) setMonth(v int)   { p.month, p.haveMonth, p.wantDays = v, true, true }
func (p *timeParser) setWeekday(v int) { p.wday, p.haveWday = v, true }
func (p *timeParser) ignore(int)       {}

// number reads up to width digits behind blanks.
func (p *timeParser) number(lo, hi, width int) (int, bool) {
	p.s = strings.TrimLeft(p.s, " ")
	n := min(digits(p.s), width)
	v, err := strconv.Atoi(p.s[:n])
	p.s = p.s[n:]
	return v, err == nil && v >= lo && v <= hi
}

func (p *timeParser) name(count int, name func(int) string) (int, bool) {
	for i := range count {
		full := name(i)
		for _, n := range []string{full, full[:3]} {
			if len(p.s) >= len(n) && strings.EqualFold(p.s[:len(n)], n) {
				p.s = p.s[len(n):]
				return i, true
			}
		}
	}
	return 0, false
}

// The half of the day; zones and offsets (Z, ±hh, ±hhmm, ±hh:mm) are skipped.
var (
	halfOfDay  = regexp.MustCompile(`^(?i:[ap]m)`)
	zoneName   = regexp.MustCompile(`^[A-Za-z]*`)
	zoneOffset = regexp.MustCompile(`^(?:Z|[+-]\d\d(?::?\d\d)?)`)
)

// take reads what a pattern matches.
func (p *timeParser) take(re *regexp.Regexp) (text string, ok bool) {
	at := re.FindStringIndex(p.s)
	if at == nil {
		return "", false
	}
	text, p.s = p.s[:at[1]], p.s[at[1]:]
	return text, true
}

func (p *timeParser) directive(c byte) bool {
	if f, found := composite[c]; found {
		return p.format(f)
	}
	if d, found := numeric[c]; found {
		v, ok := p.number(d.lo, d.hi, d.width)
		d.set(p, v)
		return ok
	}
	switch c {
	case 'a', 'A':
		day, ok := p.name(7, func(i int) string { return time.Weekday(i).String() })
		p.setWeekday(day)
		return ok
	case 'b', 'B', 'h':
		month, ok := p.name(12, func(i int) string { return time.Month(i + 1).String() })
		p.setMonth(month)
		return ok
	case 'n', 't':
		p.skipSpace()
		return true
	case '%':
		rest, ok := strings.CutPrefix(p.s, "%")
		p.s = rest
		return ok
	case 'p', 'P':
		half, ok := p.take(halfOfDay)
		p.pm = strings.EqualFold(half, "pm")
		return ok
	case 's':
		return p.epoch()
	case 'z':
		p.skipSpace()
		_, ok := p.take(zoneOffset)
		return ok
	case 'Z':
		_, ok := p.take(zoneName)
		return ok
	}
	return false
}

func (p *timeParser) epoch() bool {
	n := digits(p.s)
	sec, err := strconv.ParseFloat(p.s[:n], 64)
	t, ok := fromUnix(sec)
	if err != nil || !ok {
		return false
	}
	p.s = p.s[n:]
	p.year = t.Year()
	p.setMonth(int(t.Month()) - 1)
	p.setDay(t.Day())
	p.hour, p.min, p.sec = t.Clock()
	p.isHalf = false
	return true
}

// list is the result of strptime. Without any part of a date, weekday and day
// of the year are 8 and 367, as in jq.
func (p *timeParser) list() []any {
	if p.isHalf && p.pm {
		p.hour += 12
	}
	if p.haveCentury {
		if p.shortYear {
			p.year = p.century*100 + p.year%100
		} else {
			p.year = p.century * 100
		}
	}
	if p.haveYday && !p.haveMonth && p.wantDays && !p.haveWday {
		t := time.Date(p.year, 1, 1+p.yday, 0, 0, 0, 0, time.UTC)
		p.month = int(t.Month()) - 1
		if !p.haveDay {
			p.day = t.Day()
		}
		p.haveMonth = true
	}
	wday, yday := 8, 367
	t := time.Date(p.year, time.Month(p.month+1), p.day, 0, 0, 0, 0, time.UTC)
	if p.wantDays {
		wday = int(t.Weekday())
		first := time.Date(p.year, 1, 1, 0, 0, 0, 0, time.UTC)
		yday = int(t.Sub(first).Hours()) / 24
	}
	if p.haveWday {
		wday = p.wday
	}
	if p.haveYday {
		yday = p.yday
	}
	if !p.wantDays && p.day >= 1 {
		wday, yday = int(t.Weekday()), t.YearDay()-1
	}
	return []any{
		float64(p.year), float64(p.month), float64(p.day), float64(p.hour), float64(p.min), float64(p.sec),
		float64(wday), float64(yday),
	}
}
