package demo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port/porttest"
)

// Bounds of what is said of an entity.
const (
	mostMembers = 2
	mostLetters = 40
)

// describe says what has become of an entity: its name, and what was changed from what
// to what. Whether anything was is the second result.
func describe(c *porttest.Change, blueprint string) (text string, differs bool) {
	named := func(e *porttest.Entity) string {
		title := e.Title
		if title == "" {
			title = e.Identifier
		}
		return fmt.Sprintf("%s %q", blueprint, title)
	}
	switch {
	case c.After == nil:
		return named(c.Before) + " deleted", true
	case c.Before == nil:
		return named(c.After) + " created", true
	}
	all := differences(c.Before, c.After)
	if len(all) == 0 {
		return named(c.After) + " written, as it was", false
	}
	text = strings.Join(all[:min(len(all), mostMembers)], ", ")
	if n := len(all) - mostMembers; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return named(c.After) + ": " + text, true
}

// differences are the members that differ, the short ones first: they say the most. Times
// come last: they change with everything.
func differences(before, after *porttest.Entity) (out []string) {
	var times []string
	if before.Title != after.Title {
		out = append(out, difference("title", before.Title, after.Title))
	}
	compare := func(before, after []byte) {
		old := gjson.ParseBytes(before).Map()
		gjson.ParseBytes(after).ForEach(func(name, now gjson.Result) bool {
			was := old[name.Str]
			switch {
			case was.Raw == now.Raw || was.Type == gjson.Null && now.Type == gjson.Null:
			case isTime(now.Str) || isTime(was.Str):
				times = append(times, difference(name.Str, was.String(), now.String()))
			default:
				out = append(out, difference(name.Str, was.String(), now.String()))
			}
			return true
		})
	}
	compare(before.Properties, after.Properties)
	compare(before.Relations, after.Relations)
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
	return append(out, times...)
}

// difference says what a member was and is. Where long values begin alike, they are
// shown from where they differ.
func difference(name, from, to string) string {
	old, now := []rune(plain(from)), []rune(plain(to))
	if len(old) > mostLetters && len(now) > mostLetters {
		same := 0
		for same < min(len(old), len(now)) && old[same] == now[same] {
			same++
		}
		for same > 0 && old[same-1] != ' ' {
			same--
		}
		if same > 0 {
			return name + " …" + short(old[same:]) + " → …" + short(now[same:])
		}
	}
	return name + " " + short(old) + " → " + short(now)
}

// plain is a value in one line.
func plain(text string) string { return strings.Join(strings.Fields(text), " ") }

func short(value []rune) string {
	if len(value) == 0 {
		return "none"
	}
	if len(value) > mostLetters {
		return string(value[:mostLetters]) + "…"
	}
	return string(value)
}

func isTime(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil
}
