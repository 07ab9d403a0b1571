package preview

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A writer shows what became of an item.
type writer interface{ write(m mapped) error }

type jsonWriter struct{ w io.Writer }

func (j jsonWriter) write(m mapped) error {
	enc := json.NewEncoder(j.w)
	enc.SetEscapeHTML(false)
	return enc.Encode(m)
}

// A textWriter shows each expression with its value, or with the error and a caret
// under the place.
type textWriter struct{ w io.Writer }

func (t textWriter) write(m mapped) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)", m.Kind, m.Resource)
	if m.ID != "" {
		b.WriteString(", record " + m.ID)
	}
	if m.Item > 0 {
		fmt.Fprintf(&b, ", item %d", m.Item)
	}
	switch s := m.Selector.(type) {
	case selectorError:
		b.WriteString(": " + s.Error)
	case bool:
		switch {
		case !s:
			b.WriteString(": the selector leaves it out")
		case m.Entity == nil:
			b.WriteString(": no entity, because it lacks an identifier or a blueprint")
		}
	}
	b.WriteByte('\n')
	width := 0
	for _, v := range m.values {
		width = max(width, utf8.RuneCountInString(v.Path))
	}
	for _, e := range m.Errors {
		width = max(width, utf8.RuneCountInString(e.Path))
	}
	for _, v := range m.values {
		if v.Err == nil {
			line(&b, width, v.Path, cut(oneLine(v.Expression), 60)+"  →  "+cut(oneLine(string(v.JSON)), 100))
		}
	}
	for _, e := range m.Errors {
		line(&b, width, e.Path, oneLine(e.Expression))
		line(&b, width, "", mark(e)+oneLine(e.Error))
	}
	b.WriteByte('\n')
	_, err := io.WriteString(t.w, b.String())
	return err
}

// mark is the caret under the place of an error. Only syntax errors have one.
func mark(e mapError) string {
	if e.Column == 0 {
		return "failed: "
	}
	return strings.Repeat(" ", e.Column-1) + "^ "
}

func line(b *strings.Builder, width int, path, text string) {
	fmt.Fprintf(b, "  %-*s  %s\n", width, path, text)
}

// oneLine keeps the number of characters, so that a column stays right.
func oneLine(s string) string { return strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace(s) }

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
