package ocean

import (
	"encoding/json"
	"log/slog"
	"strings"
)

// unquoted takes the quotes around a value of the environment off: docker --env-file
// passes on what the file has, quotes included. A value that people choose freely,
// such as a password, may mean them: it is only remarked on.
func (f *flat) unquoted(name, text string) string {
	inner, ok := withinQuotes(strings.TrimSpace(text))
	if !ok {
		return text
	}
	note := func(text string) { f.notices = append(f.notices, Notice{slog.LevelWarn, name, text}) }
	if strings.HasSuffix(name, "PASSWORD") || strings.HasSuffix(name, "WEBHOOK_SECRET") {
		note("begins and ends with a quote, which is taken as part of it; docker --env-file wants values without quotes")
		return text
	}
	note("has quotes around its value, as docker --env-file passes them on; they are left out")
	return inner
}

func withinQuotes(text string) (inner string, ok bool) {
	if len(text) < 2 || text[0] != text[len(text)-1] || text[0] != '"' && text[0] != '\'' {
		return "", false
	}
	if json.Unmarshal([]byte(text), &inner) == nil { // "{\"type\":\"POLLING\"}"
		return inner, true
	}
	inner = text[1 : len(text)-1]
	return inner, !strings.Contains(inner, text[:1]) // "a","b" is a list
}
