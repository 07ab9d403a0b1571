package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port/porttest"
)

// Bounds of what is said of an entity.
const (
	mostMembers = 3
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

// differences are the members that differ. Times come last: they change with everything.
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
	return append(out, times...)
}

func difference(name, from, to string) string {
	return name + " " + value(from) + " → " + value(to)
}

// value is one for people.
func value(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return "none"
	}
	if r := []rune(text); len(r) > mostLetters {
		return string(r[:mostLetters]) + "…"
	}
	return text
}

func isTime(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil
}
