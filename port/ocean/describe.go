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

// WriteHelp prints a variable per paragraph, for --help.
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
			wrap(&b, strings.ReplaceAll(r.Meaning, "`", ""))
		}
	}
	b.WriteString("\nAccepted, without effect:\n\n")
	for _, i := range without {
		fmt.Fprintf(&b, "  %s\n", i.Variable)
		wrap(&b, i.Reason+".")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// wrap writes a sentence, indented, in lines that fit a terminal of 80 columns.
func wrap(b *bytes.Buffer, text string) {
	const indent, width = "       ", 80 // and the blank before every word
	line := indent
	for word := range strings.FieldsSeq(text) {
		if line != indent && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(line + "\n")
			line = indent
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// WriteText prints the effective configuration as a table, then what is worth
// a word and, from err, what is wrong. No secret is in it.
func (e *Effective) WriteText(w io.Writer, err error) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VARIABLE\tVALUE\tORIGIN")
	for _, r := range e.Rows {
		value, origin := clip(r.Value), string(r.Origin)
		if r.Problem {
			origin = "see the errors below"
		} else if origin == "" {
			value, origin = "-", "unset"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.Variable, strings.Join(strings.Fields(value), " "), origin)
	}
	t.Flush()
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
	type pair struct {
		Variable string `json:"variable"`
		Text     string `json:"text"`
		Level    string `json:"level,omitempty"`
	}
	out := struct {
		Settings []Row    `json:"settings"`
		Ignored  []pair   `json:"ignored,omitempty"`
		Notices  []pair   `json:"notices,omitempty"`
		Errors   []string `json:"errors,omitempty"`
	}{Settings: e.Rows, Errors: Problems(err)}
	for _, i := range e.Ignored {
		out.Ignored = append(out.Ignored, pair{Variable: i.Variable, Text: i.Reason})
	}
	for _, n := range e.Notices {
		out.Notices = append(out.Notices, pair{n.Variable, n.Text, strings.ToLower(n.Level.String())})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
