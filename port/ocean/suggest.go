package ocean

import (
	"slices"
	"strings"
)

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
