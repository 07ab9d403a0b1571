package ocean

import (
	"encoding"
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

// values are the settings as caarlos0/env takes them: one canonical text each.
type values struct {
	environ map[string]string
	missing map[string]bool
	secrets []string
	rows    []Row
	notices []Notice
	errs    []error
}

// normalize checks every setting and writes it in the one form that the struct
// parser understands. Defaults pass the same way.
func normalize(s *schema, f *flat) *values {
	v := &values{environ: map[string]string{}, missing: map[string]bool{}}
	for _, fd := range s.fields {
		v.take(fd, f.values)
	}
	return v
}

func (v *values) take(fd *field, settings map[string]setting) {
	row := fd.row()
	set, ok := settings[fd.name]
	if ok && set.text == "null" && (set.null || !fd.isText()) {
		if ok = fd.hasNull; ok {
			set.text = fd.null
		}
	}
	if ok {
		text, err := v.accept(fd, set)
		if err == nil {
			v.keep(fd, row, set.origin, text)
			return
		}
		v.errs = append(v.errs, err)
		v.missing[fd.name] = true
		row.Problem = true
	} else if fd.required && fd.def == "" {
		v.missing[fd.name] = true
		e := &ValueError{Variable: fd.name, Expected: strings.TrimSuffix(fd.doc, ".")}
		if fd.doc == "" {
			e.Expected = fd.expected()
		}
		v.errs = append(v.errs, e)
		row.Problem = true
	}
	if fd.def == "" {
		v.rows = append(v.rows, row)
		return
	}
	text, err := canonical(fd, fd.def)
	if err != nil {
		v.errs = append(v.errs, fmt.Errorf("ocean: default of %s: %w", fd.name, err))
		text = fd.def
	}
	v.keep(fd, row, FromDefault, text)
}

func (v *values) keep(fd *field, row Row, origin Origin, text string) {
	v.environ[fd.name] = text
	row.Origin, row.Value = origin, text
	switch {
	case fd.secret:
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

// accept makes the text canonical, and adds a notice about repairs that may lose
// something.
func (v *values) accept(fd *field, set setting) (string, error) {
	text := strings.TrimSpace(set.text)
	if fd.isText() {
		text = set.text
	}
	out, err := canonical(fd, text)
	if err != nil {
		e := &ValueError{Variable: fd.name, Origin: set.origin, Expected: fd.expected()}
		if fd.secret {
			v.secrets = append(v.secrets, text)
		}
		if !fd.secret && !strings.Contains(text, "@") { // a URL may hold a password
			e.Got = clip(text)
		}
		if fd.isCustom() && !fd.secret && len(fd.oneof) == 0 {
			e.Expected = strings.TrimPrefix(strings.TrimPrefix(err.Error(), "expected "), "want ")
		}
		return "", e
	}
	switch {
	case fd.isList() && goList.MatchString(text) && !json.Valid([]byte(text)):
		v.notices = append(v.notices, Notice{
			slog.LevelWarn, fd.name,
			`is a list without quotes; it was split at spaces. If an entry holds a space, write JSON such as ["a","two words"]`,
		})
	case fd.secret && exponent.MatchString(text):
		v.notices = append(v.notices, Notice{
			slog.LevelWarn, fd.name,
			"looks like a number that the chart rounded (such as 1e+06); quote it in the values file",
		})
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

// canonical is the one text of a value. Its error says what is wrong with it
// only for types that parse themselves.
func canonical(fd *field, text string) (string, error) {
	if len(fd.oneof) > 0 {
		return enum(fd, text)
	}
	b := fd.base()
	switch {
	case fd.form == "url":
		return httpURL(text)
	case fd.form == "lower":
		return strings.ToLower(text), nil
	case b == durationType:
		return duration(fd, text)
	case fd.isCustom():
		u, _ := reflect.TypeAssert[encoding.TextUnmarshaler](reflect.New(b))
		return text, u.UnmarshalText([]byte(text))
	case fd.isList():
		return list(text)
	}
	switch b.Kind() { //nolint:exhaustive // the rest is text
	case reflect.Bool:
		return boolean(text)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return integer(fd, text)
	case reflect.Float32, reflect.Float64:
		return number(fd, text)
	}
	return text, nil
}

// expected is the form that a value must have, for error messages.
func (f *field) expected() string {
	b := f.base()
	limits := ""
	switch {
	case f.min != "" && f.max != "":
		limits = fmt.Sprintf(" between %s and %s", f.min, f.max)
	case f.min != "":
		limits = " of at least " + f.min
	case f.max != "":
		limits = " of at most " + f.max
	}
	switch {
	case len(f.oneof) > 0:
		return "one of " + strings.Join(f.oneof, ", ")
	case f.form == "url":
		return "an http or https URL such as https://example.com"
	case b == durationType:
		return fmt.Sprintf("a duration%s such as 90s or 15m (bare digits are %s)", limits, unitName(f.unit))
	case f.isList():
		return `a list such as ["a","b"] or a,b`
	}
	switch f.typeName() {
	case "boolean":
		return "true or false"
	case "integer":
		return "a whole number" + limits
	case "number":
		return "a number" + limits
	}
	return "a text"
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

func enum(fd *field, text string) (string, error) {
	for _, v := range fd.oneof {
		if strings.EqualFold(v, text) {
			return v, nil
		}
	}
	if v, ok := fd.aliases[strings.ToLower(text)]; ok {
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
func integer(fd *field, text string) (string, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(text, 64)
		if ferr != nil || f != float64(int64(f)) || f > 1<<53 || f < -(1<<53) || strings.ContainsAny(text, "xX_pP") {
			return "", errForm
		}
		n = int64(f)
	}
	if !within(fd, float64(n)) || !fits(fd.base(), n) {
		return "", errForm
	}
	return strconv.FormatInt(n, 10), nil
}

func fits(t reflect.Type, n int64) bool {
	switch t.Kind() { //nolint:exhaustive // integers only
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return !reflect.Zero(t).OverflowInt(n)
	}
	return n >= 0 && !reflect.Zero(t).OverflowUint(uint64(n))
}

func number(fd *field, text string) (string, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != f || !within(fd, f) {
		return "", errForm
	}
	return strconv.FormatFloat(f, 'g', -1, 64), nil
}

func within(fd *field, n float64) bool {
	lo, errLo := strconv.ParseFloat(fd.min, 64)
	hi, errHi := strconv.ParseFloat(fd.max, 64)
	null, errNull := strconv.ParseFloat(fd.null, 64)
	if errNull == nil && n == null {
		return true
	}
	return (errLo != nil || n >= lo) && (errHi != nil || n <= hi)
}

// duration takes a bare number in the unit of the variable, Go's forms, and the
// days and weeks that Ocean takes. Range tags are durations.
func duration(fd *field, text string) (string, error) {
	d, err := parseDuration(text, fd.unit)
	if err != nil {
		return "", err
	}
	lo, errLo := time.ParseDuration(fd.min)
	hi, errHi := time.ParseDuration(fd.max)
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
