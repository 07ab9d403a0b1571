package status

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"time"
)

// A markup is a page in the making. The templates of the standard library look methods
// up by name, so the linker could leave out none in the whole program, which would be
// 5 MB larger, and more with every client of something.
type markup struct{ bytes.Buffer }

// A literal is a text of this program: no variable can be given for one by mistake.
type literal string

// putf adds HTML. What stands in the place of %s is text, also between quotation marks,
// whatever is in it; numbers get their thousands apart.
func (m *markup) putf(format literal, args ...any) {
	safe := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case literal:
			safe[i] = string(a)
		case int64:
			safe[i] = group(a)
		default:
			safe[i] = html.EscapeString(fmt.Sprint(a))
		}
	}
	fmt.Fprintf(m, string(format), safe...)
}

// section adds a part of the page with its heading.
func (m *markup) section(id, class, title literal, body func()) {
	m.putf("<section id=\"%s\" class=\"%s\" aria-labelledby=\"%s-h\">\n<h2 id=\"%s-h\">%s</h2>\n", id, class, id, id, title)
	body()
	m.putf("\n</section>\n")
}

// Classes of sections and tables.
const (
	half literal = "half"
	wide literal = "wide"
	low  literal = "scroll"
	tall literal = "scroll tall"
)

// table adds the table of a section; | is between its columns, and those of numbers
// begin with #.
func (m *markup) table(section, class, columns literal, rows func()) {
	m.putf("<div class=\"%s\" id=\"%s-scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"%s-h\"><table>\n<thead><tr>", class, section, section)
	for name := range strings.SplitSeq(string(columns), "|") {
		if number, ok := strings.CutPrefix(name, "#"); ok {
			m.putf(`<th scope="col" class="n">%s</th>`, number)
		} else {
			m.putf(`<th scope="col">%s</th>`, name)
		}
	}
	m.putf("</tr></thead>\n<tbody>")
	rows()
	m.putf("</tbody>\n</table></div>\n")
}

// known is a number, or that there is none to tell.
func known(n *int64) any {
	if n == nil {
		return literal("unknown")
	}
	return *n
}

// numbers adds cells.
func (m *markup) numbers(all ...int64) {
	for _, n := range all {
		m.putf(`<td class="n">%s</td>`, n)
	}
}

// list adds texts, one below the other.
func list[T any](m *markup, format literal, all []T) {
	for _, x := range all {
		m.putf(format, x)
	}
}

// clock adds the time of a day in a cell.
func (m *markup) clock(t time.Time) {
	m.putf(`<td class="time" title="%s"><time datetime="%s">%s</time></td>`, stamp(t), t.UTC().Format(time.RFC3339), t.UTC().Format(time.TimeOnly))
}

// when says something only if it is so.
func when(is bool, then literal) literal {
	if is {
		return then
	}
	return ""
}

// ago is a time for people, seen from another one.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	if d := now.Sub(t); d >= 0 {
		return short(d) + " ago"
	}
	return "in " + short(t.Sub(now))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func seconds(s float64) string { return short(time.Duration(s * float64(time.Second))) }
