package ocean

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// values are the settings as they were understood.
type values struct {
	texts   map[string]string // canonical, secrets included
	secrets []string
	rows    []Row
	notices []Notice
	errs    []error
}

// understand checks every setting and stores it in the struct. Defaults pass the
// same way.
func understand(s *schema, f *flat, cfg reflect.Value) *values {
	v := &values{texts: map[string]string{}}
	for _, fd := range s.fields {
		v.take(fd, f.values, cfg)
	}
	return v
}

func (v *values) take(fd *field, settings map[string]setting, cfg reflect.Value) {
	row := fd.row()
	set, ok := settings[fd.Variable]
	if ok && set.text == "null" && (set.null || !fd.text) {
		if ok = fd.hasNull; ok {
			set.text = fd.null
		}
	}
	if ok {
		text, err := v.accept(fd, set, cfg)
		if err == nil {
			v.keep(row, set.origin, text)
			return
		}
		v.errs = append(v.errs, err)
		row.Problem = true
	} else if fd.Required && fd.Default == "" {
		v.errs = append(v.errs, &ValueError{Variable: fd.Variable, Expected: cmp.Or(strings.TrimSuffix(fd.Meaning, "."), fd.expected)})
		row.Problem = true
	}
	if fd.Default == "" {
		v.rows = append(v.rows, row)
		return
	}
	text, err := fd.parse(fd.Default)
	if err == nil {
		err = fd.set(cfg, text)
	}
	if err != nil {
		v.errs = append(v.errs, fmt.Errorf("ocean: default of %s: %w", fd.Variable, err))
		text = fd.Default
	}
	v.keep(row, FromDefault, text)
}

func (v *values) keep(row Row, origin Origin, text string) {
	v.texts[row.Variable] = text
	row.Origin, row.Value = origin, text
	switch {
	case row.Secret:
		v.secrets = append(v.secrets, text)
		row.Value = redacted
	case strings.Contains(text, "://"):
		row.Value = v.withoutPassword(text)
	case origin != FromDefault && looksSecret(text):
		v.secrets = append(v.secrets, text)
		row.Value = redacted
	}
	v.rows = append(v.rows, row)
}

// withoutPassword hides the password of a URL, as people paste them with their
// token inside.
func (v *values) withoutPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return text
	}
	// A token may stand before the colon as well as behind it.
	v.secrets = append(v.secrets, u.User.Username())
	if p, ok := u.User.Password(); ok {
		v.secrets = append(v.secrets, p)
	}
	u.User = url.User("xxxxx")
	return u.String()
}

// goList is a list as a Go template prints it, which charts do in some
// workloads and versions.
var goList = regexp.MustCompile(`^\[[^",]*\]$`)

// exponent is a number as a chart prints it when it is a million or more.
var exponent = regexp.MustCompile(`^[0-9](\.[0-9]+)?e\+[0-9]{2,}$`)

// accept stores a setting and returns its canonical text. It adds a notice about
// repairs that may lose something.
func (v *values) accept(fd *field, set setting, cfg reflect.Value) (string, error) {
	text := set.text
	if !fd.text {
		text = strings.TrimSpace(text)
	}
	out, err := fd.parse(text)
	if err == nil {
		err = fd.set(cfg, out)
	}
	if err != nil {
		e := &ValueError{Variable: fd.Variable, Origin: set.origin, Expected: fd.expected}
		if fd.Secret {
			v.secrets = append(v.secrets, text)
		}
		if !fd.Secret && !strings.Contains(text, "@") { // a URL may hold a password
			e.Got = clip(text)
		}
		if e.Expected == "" {
			e.Expected = strings.TrimPrefix(strings.TrimPrefix(err.Error(), "expected "), "want ")
		}
		return "", e
	}
	note := func(text string) { v.notices = append(v.notices, Notice{slog.LevelWarn, fd.Variable, text}) }
	switch {
	case fd.isList() && goList.MatchString(text) && !json.Valid([]byte(text)):
		note(`is a list without quotes; it was split at spaces. If an entry holds a space, write JSON such as ["a","two words"]`)
	case fd.Secret && exponent.MatchString(text):
		note("looks like a number that the chart rounded (such as 1e+06); quote it in the values file")
	}
	return out, nil
}

// clip shortens a value that is quoted in a message.
func clip(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func unitName(unit time.Duration) string {
	switch unit {
	case time.Millisecond:
		return "milliseconds"
	case time.Minute:
		return "minutes"
	case time.Hour:
		return "hours"
	default:
		return "seconds"
	}
}

// errForm says that a text does not have the form that expected describes.
var errForm = errors.New("not of the expected form")

func (f *field) enum(text string) (string, error) {
	for _, v := range f.oneof {
		if strings.EqualFold(v, text) {
			return v, nil
		}
	}
	if v, ok := f.aliases[strings.ToLower(text)]; ok {
		return v, nil
	}
	return "", errForm
}

// boolean takes the forms that Ocean takes (pydantic).
func boolean(text string) (string, error) {
	switch strings.ToLower(text) {
	case "1", "t", "true", "y", "yes", "on":
		return "true", nil
	case "0", "f", "false", "n", "no", "off":
		return "false", nil
	}
	return "", errForm
}

// integer takes decimal digits, and a whole number in exponent form: charts
// print a million as 1e+06.
func (f *field) integer(text string) (string, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		x, ferr := strconv.ParseFloat(text, 64)
		if ferr != nil || x != float64(int64(x)) || x > 1<<53 || x < -(1<<53) || strings.ContainsAny(text, "xX_pP") {
			return "", errForm
		}
		n = int64(x)
	}
	if !f.within(float64(n)) {
		return "", errForm
	}
	return strconv.FormatInt(n, 10), nil
}

func (f *field) within(n float64) bool {
	lo, errLo := strconv.ParseFloat(f.min, 64)
	hi, errHi := strconv.ParseFloat(f.max, 64)
	null, errNull := strconv.ParseFloat(f.null, 64)
	if errNull == nil && n == null {
		return true
	}
	return (errLo != nil || n >= lo) && (errHi != nil || n <= hi)
}

// duration takes a bare number in the unit of the variable, Go's forms, and the
// days and weeks that Ocean takes. Range tags are durations.
func (f *field) duration(text string) (string, error) {
	d, err := parseDuration(text, f.unit)
	if err != nil {
		return "", err
	}
	lo, errLo := time.ParseDuration(f.min)
	hi, errHi := time.ParseDuration(f.max)
	if d < 0 || (errLo == nil && d < lo) || (errHi == nil && d > hi) {
		return "", errForm
	}
	return d.String(), nil
}

func parseDuration(text string, unit time.Duration) (time.Duration, error) {
	text = strings.ToLower(strings.ReplaceAll(text, " ", ""))
	if days, ok := strings.CutSuffix(text, "d"); ok {
		text, unit = days, 24*time.Hour
	} else if weeks, ok := strings.CutSuffix(text, "w"); ok {
		text, unit = weeks, 7*24*time.Hour
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		d := n * float64(unit)
		if d != d || d > float64(1<<62) || d < 0 {
			return 0, errForm
		}
		return time.Duration(d), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errForm
	}
	return d, nil
}

// list takes JSON, Go's `[a b]`, and entries between commas; the result is JSON.
func list(text string) (string, error) {
	var entries []any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&entries); err == nil && !d.More() {
		out := make([]string, 0, len(entries))
		for _, e := range entries {
			switch e.(type) {
			case nil, map[string]any, []any:
				return "", errForm
			}
			out = append(out, scalar(e))
		}
		return scalar(out), nil
	}
	inner, ok := strings.CutPrefix(text, "[")
	switch {
	case ok && goList.MatchString(text):
		return scalar(strings.Fields(strings.TrimSuffix(inner, "]"))), nil
	case ok && strings.HasSuffix(inner, "]") && !strings.ContainsAny(inner, `"{[`):
		text = strings.TrimSuffix(inner, "]") // [a, b]
	case ok, strings.HasPrefix(text, "{"), strings.HasPrefix(text, "map["):
		return "", errForm // JSON with a slip: guessing would hide it
	}
	out := []string{}
	for e := range strings.SplitSeq(text, ",") {
		if e = strings.TrimSpace(e); e != "" {
			out = append(out, e)
		}
	}
	return scalar(out), nil
}

// httpURL checks a URL and removes trailing slashes: kept, they would
// make requests to //v1.
func httpURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "", errForm
	}
	return strings.TrimRight(text, "/"), nil
}
