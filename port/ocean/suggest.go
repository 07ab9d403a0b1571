package ocean

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// suggest returns the known name that was probably meant, or "".
func (s *schema) suggest(name string) string {
	if exact, ok := s.squashed[squash(name)]; ok {
		return exact
	}
	if present, ok := deprecatedNames[name]; ok {
		return present
	}
	last := name[strings.LastIndex(name, "__")+1:]
	best, bestDistance := "", 1+len(last)/6 // a slip or two, more in long names
	for _, f := range s.fields {
		if d := levenshtein.ComputeDistance(name, f.Variable); d < bestDistance || (d == bestDistance && best == "") {
			best, bestDistance = f.Variable, d
		}
	}
	if best == "" {
		return s.sameWords(name)
	}
	return best
}

// sameWords returns the name in the same section that shares most words with a
// name, if these are most of both: WEBHOOK_PASSWORD is WEBHOOK_SECRET.
func (s *schema) sameWords(name string) string {
	section := strings.LastIndex(name, "__") + len("__")
	wanted := words(name[section:])
	best, bestShare := "", 0.5
	for _, f := range s.fields {
		if !strings.HasPrefix(f.Variable, name[:section]) || strings.Contains(f.Variable[section:], "__") {
			continue
		}
		have, common := words(f.Variable[section:]), 0
		for w := range wanted {
			if have[w] {
				common++
			}
		}
		if share := float64(common) / float64(len(wanted)+len(have)-common); share > bestShare {
			best, bestShare = f.Variable, share
		}
	}
	return best
}

// words are the words of a name, each in one of the spellings that people choose for it.
func words(name string) map[string]bool {
	synonyms := map[string]string{
		"PASSWORD": "SECRET", "PASSWD": "SECRET", "PASS": "SECRET", "KEY": "SECRET", "TOKEN": "SECRET", "HOOK": "WEBHOOK", "HOOKS": "WEBHOOK",
		"WEBHOOKS": "WEBHOOK", "ORG": "ORGANIZATION", "ORGANISATION": "ORGANIZATION", "USER": "USERNAME", "URI": "URL", "TAG": "TAGS", "EXCLUDE": "EXCLUDED",
	}
	if name == "PAT" {
		name = "PERSONAL_ACCESS_TOKEN"
	}
	out := map[string]bool{}
	for w := range strings.SplitSeq(name, "_") {
		if s, ok := synonyms[w]; ok {
			w = s
		}
		out[w] = true
	}
	return out
}
