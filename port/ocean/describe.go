package ocean

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// A Row describes one variable and, in an [Effective], its value.
type Row struct {
	Variable string `json:"variable"`
	Type     string `json:"type"`
	Default  string `json:"default,omitempty"`
	Meaning  string `json:"meaning,omitempty"`
	Required bool   `json:"required,omitempty"`
	Secret   bool   `json:"secret,omitempty"`
	Origin   Origin `json:"origin,omitempty"` // empty when unset
	Value    string `json:"value,omitempty"`  // redacted when secret
	Problem  bool   `json:"problem,omitempty"`
}

func (f *field) row() Row {
	r := f.Row
	if r.Secret && r.Default != "" {
		r.Default = redacted
	}
	return r
}

// Describe returns a row per variable of T, in the struct's order, without
// values, and the variables that are accepted and change nothing.
func Describe[T any]() ([]Row, []Ignored, error) {
	s, err := newSchema(reflect.TypeFor[T]())
	if err != nil {
		return nil, nil, err
	}
	rows := make([]Row, len(s.fields))
	for i, f := range s.fields {
		rows[i] = f.row()
	}
	return rows, ignored(), nil
}

// WriteHelp prints a variable per paragraph, for `help config`.
func WriteHelp(w io.Writer, rows []Row, without []Ignored) error {
	var b bytes.Buffer
	for _, r := range rows {
		fmt.Fprintf(&b, "  %s\n        ", r.Variable)
		b.WriteString(r.Type)
		switch {
		case r.Required:
			b.WriteString(", required")
		case r.Default != "":
			b.WriteString(", default " + clip(r.Default))
		}
		b.WriteString(".\n")
		if r.Meaning != "" {
			wrap(&b, 8, r.Meaning)
		}
	}
	b.WriteString("\nAccepted, without effect:\n\n")
	for _, i := range without {
		fmt.Fprintf(&b, "  %s\n", i.Variable)
		wrap(&b, 8, i.Reason+".")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// wrap writes a sentence, indented, in lines that fit a terminal of 80 columns.
// Marks of code are left out.
func wrap(b *bytes.Buffer, indent int, text string) {
	const width = 80
	line := strings.Repeat(" ", indent)
	for word := range strings.FieldsSeq(strings.ReplaceAll(text, "`", "")) {
		switch n := utf8.RuneCountInString(line); {
		case n == indent:
		case n+1+utf8.RuneCountInString(word) > width:
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", indent)
		default:
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
}

// WriteText prints what was set of the effective configuration as a table, with
// all all of it, then what is worth a word and, from err, what is wrong. No secret
// is in it.
func (e *Effective) WriteText(w io.Writer, all bool, err error) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VARIABLE\tVALUE\tORIGIN")
	left := 0
	for _, r := range e.Rows {
		if set := r.Problem || r.Origin != "" && r.Origin != FromDefault; !set && !all {
			left++
			continue
		}
		value, origin := clip(r.Value), string(r.Origin)
		if r.Problem {
			origin = "see the errors below"
		} else if origin == "" {
			value, origin = "-", "unset"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.Variable, strings.Join(strings.Fields(value), " "), origin)
	}
	t.Flush()
	if left > 0 {
		fmt.Fprintf(&b, "\n%d more have their default or are unset; --all shows them.\n", left)
	}
	section(&b, "Accepted, without effect here:", len(e.Ignored), func(i int) string {
		return e.Ignored[i].Variable + ": " + e.Ignored[i].Reason
	})
	section(&b, "Notes:", len(e.Notices), func(i int) string { return e.Notices[i].String() })
	problems := Problems(err)
	section(&b, "Errors:", len(problems), func(i int) string { return problems[i] })
	_, werr := w.Write(b.Bytes())
	return werr
}

func section(b *bytes.Buffer, title string, n int, line func(int) string) {
	if n == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for i := range n {
		fmt.Fprintf(b, "  %s\n", line(i))
	}
}

// Problems are the messages of an error of [Load], one each.
func Problems(err error) []string {
	var out []string
	for _, e := range split(err) {
		out = append(out, e.Error())
	}
	return out
}

// WriteJSON prints the same for programs: an object with settings, ignored,
// notices and errors.
func (e *Effective) WriteJSON(w io.Writer, err error) error {
	type notice struct {
		Notice
		Level string `json:"level"`
	}
	out := struct {
		Settings []Row     `json:"settings"`
		Ignored  []Ignored `json:"ignored,omitempty"`
		Notices  []notice  `json:"notices,omitempty"`
		Errors   []string  `json:"errors,omitempty"`
	}{Settings: e.Rows, Ignored: e.Ignored, Errors: Problems(err)}
	for _, n := range e.Notices {
		out.Notices = append(out.Notices, notice{n, strings.ToLower(n.Level.String())})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
