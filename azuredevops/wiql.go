package azuredevops

import (
	"strings"
	"time"
)

// wiqlFilter splits the conditions of a selector from what may follow them. A sort
// order is dropped: which items there are does not depend on it, and paging by id
// needs its own. An ASOF clause is kept.
func wiqlFilter(wiql string) (conditions, asOf string) {
	conditions = strings.TrimSpace(wiql)
	order, date := -1, -1
	words := wiqlWords(conditions)
	for i, w := range words {
		switch {
		case order < 0 && strings.EqualFold(w.text, "order") && i+1 < len(words) && strings.EqualFold(words[i+1].text, "by"):
			order = w.at
		case strings.EqualFold(w.text, "asof"):
			date = w.at
		}
	}
	if date >= 0 && date > order {
		asOf = strings.TrimSpace(conditions[date:])
		conditions = conditions[:date]
	}
	if order >= 0 {
		conditions = conditions[:min(order, len(conditions))]
	}
	return strings.TrimSpace(conditions), asOf
}

type wiqlWord struct {
	text string
	at   int
}

// wiqlWords are the words of a query outside quotes and brackets.
func wiqlWords(s string) []wiqlWord {
	var out []wiqlWord
	for i := 0; i < len(s); {
		switch ch := s[i]; {
		case ch == '\'' || ch == '"':
			i = skipTo(s, i+1, ch)
		case ch == '[':
			i = skipTo(s, i+1, ']')
		case isWordByte(ch):
			from := i
			for i < len(s) && isWordByte(s[i]) {
				i++
			}
			out = append(out, wiqlWord{s[from:i], from})
		default:
			i++
		}
	}
	return out
}

// skipTo returns the index behind the next ch. A doubled quote inside a text ends it
// and begins another, which amounts to the same.
func skipTo(s string, i int, ch byte) int {
	if n := strings.IndexByte(s[i:], ch); n >= 0 {
		return i + n + 1
	}
	return len(s)
}

func isWordByte(ch byte) bool {
	return ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z' || ch >= '0' && ch <= '9' || ch == '_' || ch == '@' || ch == '.' || ch >= 0x80
}

// wiqlQuery asks for the ids above last of the work items of a project.
func wiqlQuery(project, wiql, last string) string {
	conditions, asOf := wiqlFilter(wiql)
	var b strings.Builder
	b.WriteString("SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = '")
	b.WriteString(strings.ReplaceAll(project, "'", "''"))
	b.WriteString("'")
	if conditions != "" {
		b.WriteString(" AND (" + conditions + ")")
	}
	if last != "" {
		b.WriteString(" AND [System.Id] > " + last)
	}
	b.WriteString(" ORDER BY [System.Id] ASC")
	if asOf != "" {
		b.WriteString(" " + asOf)
	}
	return b.String()
}

// wiqlSince adds to the conditions of a selector that an item has changed.
func wiqlSince(wiql string, since time.Time) string {
	if since.IsZero() {
		return wiql
	}
	conditions, asOf := wiqlFilter(wiql)
	if conditions != "" {
		conditions = "(" + conditions + ") AND "
	}
	return strings.TrimSpace(conditions + "[System.ChangedDate] >= '" + stamp(since) + "' " + asOf)
}
