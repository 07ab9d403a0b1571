package jq

import (
	"strconv"
	"strings"
	"time"
)

// A timeParser is strptime of the GNU C library in the C locale. s is what is
// left to read.
type timeParser struct {
	s                                        string
	year, month, day, hour, min, sec         int // month from 0, year in full
	wday, yday                               int
	haveYear, haveMonth, haveDay             bool
	haveWday, haveYday, wantDays, pm, isHalf bool
	century                                  int
	haveCentury, shortYear                   bool
}

var composite = map[byte]string{
	'c': "%a %b %e %H:%M:%S %Y", 'D': "%m/%d/%y", 'F': "%Y-%m-%d", 'r': "%I:%M:%S %p",
	'R': "%H:%M", 'T': "%H:%M:%S", 'x': "%m/%d/%y", 'X': "%H:%M:%S",
}

func (p *timeParser) format(f string) bool {
	if p.year == 0 && !p.haveYear {
		p.year = 1900
	}
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

func (p *timeParser) skipSpace() {
	for p.s != "" && isSpace(p.s[0]) {
		p.s = p.s[1:]
	}
}

// number reads up to width digits behind blanks.
func (p *timeParser) number(lo, hi, width int) (int, bool) {
	for p.s != "" && p.s[0] == ' ' {
		p.s = p.s[1:]
	}
	n, v := 0, 0
	for n < len(p.s) && n < width && p.s[n] >= '0' && p.s[n] <= '9' {
		v = v*10 + int(p.s[n]-'0')
		n++
	}
	if n == 0 || v < lo || v > hi {
		return 0, false
	}
	p.s = p.s[n:]
	return v, true
}

func (p *timeParser) into(dst *int, lo, hi, width int) bool {
	v, ok := p.number(lo, hi, width)
	*dst = v
	return ok
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

func (p *timeParser) directive(c byte) (ok bool) {
	if f, found := composite[c]; found {
		return p.format(f)
	}
	switch c {
	case 'a', 'A':
		p.wday, ok = p.name(7, func(i int) string { return time.Weekday(i).String() })
		p.haveWday = true
		return ok
	case 'b', 'B', 'h':
		p.month, ok = p.name(12, func(i int) string { return time.Month(i + 1).String() })
		p.haveMonth, p.wantDays = true, true
		return ok
	case 'H', 'k':
		p.isHalf = false
		return p.into(&p.hour, 0, 23, 2)
	case 'I', 'l':
		ok = p.into(&p.hour, 1, 12, 2)
		p.hour %= 12
		p.isHalf = true
		return ok
	case 'M':
		return p.into(&p.min, 0, 59, 2)
	case 'S':
		return p.into(&p.sec, 0, 61, 2)
	case 'n', 't':
		p.skipSpace()
		return true
	case '%':
		ok = strings.HasPrefix(p.s, "%")
		p.s = strings.TrimPrefix(p.s, "%")
		return ok
	}
	return p.date(c)
}

func (p *timeParser) date(c byte) (ok bool) {
	switch c {
	case 'd', 'e':
		p.haveDay, p.wantDays = true, true
		return p.into(&p.day, 1, 31, 2)
	case 'm':
		ok = p.into(&p.month, 1, 12, 2)
		p.month--
		p.haveMonth, p.wantDays = true, true
		return ok
	case 'j':
		ok = p.into(&p.yday, 1, 366, 3)
		p.yday--
		p.haveYday = true
		return ok
	case 'Y':
		p.haveYear, p.wantDays, p.haveCentury = true, true, false
		return p.into(&p.year, 0, 9999, 4)
	case 'y':
		ok = p.into(&p.year, 0, 99, 2)
		if p.year += 1900; p.year < 1969 {
			p.year += 100
		}
		p.haveYear, p.wantDays, p.shortYear = true, true, true
		return ok
	case 'C':
		p.haveCentury, p.wantDays = true, true
		return p.into(&p.century, 0, 99, 2)
	}
	return p.other(c)
}

func (p *timeParser) other(c byte) (ok bool) {
	var ignored int
	switch c {
	case 'p', 'P':
		if len(p.s) < 2 {
			return false
		}
		p.pm = false
		switch strings.ToUpper(p.s[:2]) {
		case "AM":
		case "PM":
			p.pm = true
		default:
			return false
		}
		p.s = p.s[2:]
		return true
	case 's':
		return p.epoch()
	case 'u':
		ok = p.into(&p.wday, 1, 7, 1)
		p.wday %= 7
		p.haveWday = true
		return ok
	case 'w':
		p.haveWday = true
		return p.into(&p.wday, 0, 6, 1)
	case 'g', 'U', 'V', 'W':
		return p.into(&ignored, 0, 99, 2)
	case 'G':
		return p.into(&ignored, 0, 9999, 4)
	case 'z':
		return p.offset()
	case 'Z':
		n := 0
		for n < len(p.s) && (p.s[n]|0x20 >= 'a' && p.s[n]|0x20 <= 'z') {
			n++
		}
		p.s = p.s[n:]
		return true
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
	p.year, p.month, p.day = t.Year(), int(t.Month())-1, t.Day()
	p.hour, p.min, p.sec = t.Clock()
	p.haveYear, p.haveMonth, p.haveDay, p.wantDays, p.isHalf = true, true, true, true, false
	return true
}

// offset reads Z, ±hh, ±hhmm or ±hh:mm and forgets it.
func (p *timeParser) offset() bool {
	p.skipSpace()
	if strings.HasPrefix(p.s, "Z") {
		p.s = p.s[1:]
		return true
	}
	if p.s == "" || p.s[0] != '+' && p.s[0] != '-' {
		return false
	}
	rest := p.s[1:]
	if digits(rest) < 2 {
		return false
	}
	rest = rest[2:]
	if sub := strings.TrimPrefix(rest, ":"); digits(sub) >= 2 {
		rest = sub[2:]
	}
	p.s = rest
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
