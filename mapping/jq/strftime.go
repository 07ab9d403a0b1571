package jq

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A timePrinter is strftime of the GNU C library in the C locale.
type timePrinter struct {
	t    time.Time
	zone string
	b    strings.Builder
}

func (p *timePrinter) format(f string) {
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			p.b.WriteByte(f[i])
			continue
		}
		j := i + 1
		for j < len(f) && strings.IndexByte("_-0^#", f[j]) >= 0 {
			j++
		}
		flags := f[i+1 : j]
		for j < len(f) && f[j] >= '0' && f[j] <= '9' {
			j++
		}
		width, _ := strconv.Atoi(strings.TrimLeft(f[i+1+len(flags):j], "0")) // no digits: 0
		if j < len(f) && (f[j] == 'E' || f[j] == 'O') {
			j++
		}
		text, ok := "", false
		if j < len(f) {
			text, ok = p.directive(f[j], flags, min(width, 1000))
		}
		if !ok {
			p.b.WriteString(f[i:min(j+1, len(f))])
			i = j
			continue
		}
		if strings.Contains(flags, "^") {
			text = strings.ToUpper(text)
		}
		p.b.WriteString(text)
		i = j
	}
}

// directive is the text of %c; numbers are padded as flags and width say.
func (p *timePrinter) directive(c byte, flags string, width int) (string, bool) {
	if v, w, pad, ok := p.number(c); ok {
		switch {
		case strings.Contains(flags, "-"):
			return strconv.Itoa(v), true
		case strings.Contains(flags, "_"):
			pad = ' '
		case strings.Contains(flags, "0"):
			pad = '0'
		}
		return padLeft(strconv.Itoa(v), max(w, width), pad), true
	}
	if f, ok := composite[c]; ok {
		sub := timePrinter{t: p.t, zone: p.zone}
		sub.format(f)
		return sub.b.String(), true
	}
	text, ok := p.text(c)
	return padLeft(text, width, ' '), ok
}

var composite = map[byte]string{
	'c': "%a %b %e %H:%M:%S %Y", 'D': "%m/%d/%y", 'F': "%Y-%m-%d", 'r': "%I:%M:%S %p",
	'R': "%H:%M", 'T': "%H:%M:%S", 'x': "%m/%d/%y", 'X': "%H:%M:%S",
}

func (p *timePrinter) number(c byte) (v, width int, pad byte, ok bool) {
	t := p.t
	isoYear, isoWeek := t.ISOWeek()
	hour12 := (t.Hour()+11)%12 + 1
	switch c {
	case 'C':
		return floorDiv(t.Year(), 100), 2, '0', true
	case 'd':
		return t.Day(), 2, '0', true
	case 'e':
		return t.Day(), 2, ' ', true
	case 'g':
		return ((isoYear % 100) + 100) % 100, 2, '0', true
	case 'G':
		return isoYear, 1, '0', true
	case 'H':
		return t.Hour(), 2, '0', true
	case 'I':
		return hour12, 2, '0', true
	case 'j':
		return t.YearDay(), 3, '0', true
	case 'k':
		return t.Hour(), 2, ' ', true
	case 'l':
		return hour12, 2, ' ', true
	case 'm':
		return int(t.Month()), 2, '0', true
	case 'M':
		return t.Minute(), 2, '0', true
	case 'S':
		return t.Second(), 2, '0', true
	case 's':
		return int(t.Unix()), 1, '0', true
	case 'u':
		return (int(t.Weekday())+6)%7 + 1, 1, '0', true
	case 'w':
		return int(t.Weekday()), 1, '0', true
	case 'U':
		return (t.YearDay() + 6 - int(t.Weekday())) / 7, 2, '0', true
	case 'W':
		return (t.YearDay() + 6 - (int(t.Weekday())+6)%7) / 7, 2, '0', true
	case 'V':
		return isoWeek, 2, '0', true
	case 'y':
		return ((t.Year() % 100) + 100) % 100, 2, '0', true
	case 'Y':
		return t.Year(), 1, '0', true
	}
	return 0, 0, 0, false
}

func (p *timePrinter) text(c byte) (string, bool) {
	switch c {
	case 'a':
		return p.t.Format("Mon"), true
	case 'A':
		return p.t.Weekday().String(), true
	case 'b', 'h':
		return p.t.Format("Jan"), true
	case 'B':
		return p.t.Month().String(), true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 'p':
		return p.t.Format("PM"), true
	case 'P':
		return p.t.Format("pm"), true
	case 'z':
		return "+0000", true
	case 'Z':
		return p.zone, true
	case '%':
		return "%", true
	}
	return "", false
}

func padLeft(s string, width int, pad byte) string {
	if len(s) >= width {
		return s
	}
	if pad == ' ' {
		return fmt.Sprintf("%*s", width, s)
	}
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	return sign + strings.Repeat(string(pad), max(width-len(s)-len(sign), 0)) + s
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
