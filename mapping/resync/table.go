package resync

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// maxTableProjects bounds the rows of one kind in a table for people.
const maxTableProjects = 40

// WriteTable prints the summary for people: a row per kind and one per project
// of it, the sums, and what needs attention.
func (s *Summary) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, strings.Join([]string{"kind", "project", "listed", "mapped", "filtered", "failed", "written", "unchanged", "deleted", "calls", "throttled", ""}, "\t"))
	for _, k := range s.Kinds {
		var calls int64
		var throttled time.Duration
		for _, p := range k.Projects {
			calls += p.Calls
			throttled += p.Throttled
		}
		row(t, k.Resource, "all", k.Counts, calls, throttled)
		for i, p := range k.Projects {
			if i == maxTableProjects {
				fmt.Fprintf(t, "\t… and %d more\t\n", len(k.Projects)-i)
				break
			}
			if p.Project != "" {
				row(t, "", p.Project, p.Counts, p.Calls, p.Throttled)
			}
		}
	}
	row(t, "total", "", s.Total, s.Calls, s.Throttled)
	if err := t.Flush(); err != nil {
		return err
	}
	return s.writeNotes(w)
}

func row(w io.Writer, kind, project string, c Counts, calls int64, throttled time.Duration) {
	wait := ""
	if throttled > 0 {
		wait = throttled.Round(100 * time.Millisecond).String()
	}
	fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t\n", kind, project, c.Listed, c.Mapped, some(c.Filtered), some(c.Failed+c.Unknown+c.Refused),
		c.Written, c.Unchanged, some(c.Deleted), some(calls), wait)
}

// some leaves out what is zero, so that the eye finds the rest.
func some(n int64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// writeNotes prints what a reader should look at, each with its reason.
func (s *Summary) writeNotes(w io.Writer) error {
	var b strings.Builder
	for _, u := range s.Unread {
		what := "all of it"
		if u.Records > 0 {
			what = plural(u.Records, "record")
		}
		fmt.Fprintf(&b, "not read: %s (%s; %s): %s\n", u.Scope, what, strings.Join(u.Resources, ", "), u.Reason)
	}
	for _, x := range s.Rejected {
		fmt.Fprintf(&b, "mapping block did not run: %s\n", x)
	}
	for _, x := range s.LeftOut {
		fmt.Fprintf(&b, "left out of the mapping: %s\n", x)
	}
	for _, x := range s.Refused {
		fmt.Fprintf(&b, "refused by Port: %s of %s, such as %s: %s\n", pluralEntities(x.Entities), x.Blueprint, x.Sample, x.Reason)
	}
	for _, x := range s.Expressions {
		fmt.Fprintf(&b, "mapping: %s\n", x)
	}
	for _, x := range s.Problems {
		fmt.Fprintf(&b, "problem: %s\n", x)
	}
	for _, n := range s.NotDeleted {
		fmt.Fprintf(&b, "%s\n", &n)
	}
	for _, f := range s.Former {
		fmt.Fprintf(&b, "of %s, which is not configured any more: %s deleted, %d kept\n", f.Organization, pluralEntities(f.Deleted), f.Kept)
	}
	for _, bp := range sortedKeys(s.Unwritten) {
		fmt.Fprintf(&b, "deleted: %s of %s, which no block of the mapping writes any more\n", pluralEntities(s.Unwritten[bp]), bp)
	}
	fmt.Fprintf(&b, "resync %s%s after %s: %s listed, %s written, %d deleted, %d calls to Azure DevOps, %d to Port%s\n", s.State, s.withProblems(), s.Duration.Round(10*time.Millisecond),
		plural(int(s.Total.Listed), "record"), pluralEntities(int(s.Total.Written)), s.Total.Deleted, s.Calls, s.PortCalls, s.ofUnwritten())
	_, err := io.WriteString(w, b.String())
	return err
}

// withProblems is what the last line says of a completed resync whose mapping is
// not used completely, or that did not delete everything that is gone.
func (s *Summary) withProblems() string {
	if s.State == StateCompleted && (len(s.LeftOut) > 0 || s.Held() > 0) {
		return " with problems"
	}
	return ""
}

// ofUnwritten names the blueprints that no block writes any more in the last line.
func (s *Summary) ofUnwritten() string {
	if len(s.Unwritten) == 0 {
		return ""
	}
	var parts []string
	for _, bp := range sortedKeys(s.Unwritten) {
		parts = append(parts, fmt.Sprintf("%d of %s", s.Unwritten[bp], bp))
	}
	return "; among the deleted " + strings.Join(parts, ", ") + ", which no block of the mapping writes any more"
}

// entitiesOf is "42 board entities".
func entitiesOf(n int, blueprint string) string {
	return strings.Replace(pluralEntities(n), " ", " "+blueprint+" ", 1)
}

func pluralEntities(n int) string {
	if n == 1 {
		return "1 entity"
	}
	return fmt.Sprintf("%d entities", n)
}

// NewObserver shows resyncs to people: live on a screen, unless it is nil, with the
// table on errs; else as a table on out where that is wanted. nil shows nothing.
func NewObserver(out, errs, screen io.Writer, table bool) Observer {
	switch {
	case screen != nil:
		return NewTerminal(screen, errs)
	case table:
		return NewTable(out)
	}
	return nil
}

// A Table prints the summary of every resync and nothing before.
type Table struct{ w io.Writer }

// NewTable prints to w.
func NewTable(w io.Writer) *Table { return &Table{w: w} }

// Started does nothing.
func (t *Table) Started(*Status) {}

// Ended prints the summary.
func (t *Table) Ended(s *Summary) { _ = s.WriteTable(t.w) }

// Reason says in one line why a resync failed.
func (s *Summary) Reason() string {
	switch {
	case len(s.Unread) > 0:
		return s.Unread[0].Scope + ": " + s.Unread[0].Reason
	case len(s.Problems) > 0:
		return s.Problems[0]
	case len(s.Rejected) > 0:
		return s.Rejected[0]
	case len(s.LeftOut) > 0:
		return s.LeftOut[0]
	case s.Held() > 0:
		i := slices.IndexFunc(s.NotDeleted, func(n NotDeleted) bool { return n.Hold != HoldUnread })
		return s.NotDeleted[i].String()
	}
	return string(s.State)
}
