package ocean

import (
	"slices"
	"strings"
	"unicode"
)

// decamelise turns a camelCase key into snake_case as the reference does:
// clientID → client_id, OAuth2Token → o_auth2token, x509Strict → x509strict
// (`port.md` 1.3).
func decamelise(key string) string {
	r := []rune(strings.ReplaceAll(key, "-", "_"))
	var b strings.Builder
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && startsWord(r, i) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// startsWord reports whether the capital at i begins a word.
func startsWord(r []rune, i int) bool {
	prev := r[i-1]
	if prev == '_' || unicode.IsDigit(prev) {
		return false
	}
	return !unicode.IsUpper(prev) || (i+1 < len(r) && unicode.IsLower(r[i+1]))
}

// An Ignored variable is accepted and changes nothing.
type Ignored struct {
	Variable string // a trailing `*` stands for any ending
	Reason   string
}

// ignored returns the variables of `deploy.md` 7 and `port.md` 1.4 that a user
// or a chart may set for the Python integration.
func ignored() []Ignored {
	return []Ignored{
		{"OCEAN__PROCESS_EXECUTION_MODE", "there is one process"},
		{"OCEAN__PORT__INGEST_URL", "Port names its ingest address itself"},
		{"OCEAN__DATABASE__*", "there is no database"},
		{"OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH", "only the hosted integration uses it"},
		{"OCEAN__INTEGRATION__VERSION", "the program knows its version"},
		{"OCEAN__EXECUTION_AGENT__*", "a name that only branches of the chart used"},
		{"OCEAN__STREAMING__*", "answers are always streamed, and never through a file"},
		{"OCEAN__CACHING_STORAGE_MODE", "shared lists are kept in memory"},
		{"OCEAN__PROCESS_IN_QUEUE_MAX_WORKERS", "mapping uses the processors that there are (GOMAXPROCS)"},
		{"OCEAN__YIELD_ITEMS_TO_PARSE_BATCH_SIZE", "items are streamed one by one"},
		{"OCEAN__LAKEHOUSE_ENABLED", "entities are always mapped here"},
		{"OCEAN__LAKEHOUSE_BUFFER_*", "entities are always mapped here"},
		{"OCEAN__LIVE_EVENTS__*", "live events arrive over HTTP"},
	}
}

// ignoredReason says why a name has no effect, or "".
func ignoredReason(name string) string {
	for _, i := range ignored() {
		if prefix, ok := strings.CutSuffix(i.Variable, "*"); ok {
			if strings.HasPrefix(name, prefix) || name == strings.TrimSuffix(prefix, "__") {
				return i.Reason
			}
		} else if name == i.Variable {
			return i.Reason
		}
	}
	return ""
}

// suggest returns the known name that was probably meant, or "".
func (s *schema) suggest(name string) string {
	if exact, ok := s.squashed[squash(name)]; ok {
		return exact
	}
	last := name[strings.LastIndex(name, "__")+1:]
	best, bestDistance := "", 1+len(last)/6 // a slip or two, more in long names
	for _, f := range s.fields {
		if d := distance(name, f.name, bestDistance); d < bestDistance || (d == bestDistance && best == "") {
			best, bestDistance = f.name, d
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b, or more than limit.
func distance(a, b string, limit int) int {
	if diff := len(a) - len(b); diff > limit || -diff > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, corner+1)
		}
		if slices.Min(row) > limit {
			return limit + 1
		}
	}
	return row[len(b)]
}
