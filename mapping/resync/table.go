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

// maxTableProjects bounds the rows of one block in a table for people.
const maxTableProjects = 40

// WriteTable prints the summary for people: what needs attention, the totals, a row
// for each block, with verbose one for each of its projects, and how it ended.
func (s *Summary) WriteTable(w io.Writer, verbose bool) error {
	for _, l := range s.lines(verbose) {
		if _, err := fmt.Fprintln(w, l.text); err != nil {
			return err
		}
	}
	return nil
}

func (s *Summary) lines(verbose bool) []line {
	out := s.problems(verbose)
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := s.columns()
	fmt.Fprint(t, "block\t")
	if verbose {
		fmt.Fprint(t, "project\t")
	}
	for _, c := range columns {
		fmt.Fprint(t, c.name, "\t")
	}
	fmt.Fprint(t, "\n")
	put := func(block, project string, f figures) {
		fmt.Fprint(t, block, "\t")
		if verbose {
			fmt.Fprint(t, project, "\t")
		}
		for _, c := range columns {
			fmt.Fprint(t, c.of(f), "\t")
		}
		fmt.Fprint(t, "\n")
	}
	put("total", "", s.figures())
	for _, k := range s.Kinds {
		put(k.Name(), "all", k.figures())
		if !verbose {
			continue
		}
		for i, p := range k.Projects {
			if i == maxTableProjects {
				put("", fmt.Sprintf("… and %d more", len(k.Projects)-i), figures{})
				break
			}
			if p.Project != "" {
				put("", p.Project, figures{p.Counts, p.Calls, 0})
			}
		}
	}
	_ = t.Flush() // a strings.Builder takes everything
	for text := range strings.Lines(b.String()) {
		out = append(out, line{plain, strings.TrimRight(text, " \n")})
	}
	return append(out, line{s.level(), s.last()})
}

// figures are those of a row.
type figures struct {
	Counts
	calls     int64
	throttled time.Duration
}

func (s *Summary) figures() figures { return figures{s.Total, s.Calls, s.Throttled} }

func (k *KindSummary) figures() figures {
	f := figures{k.Counts, 0, k.Throttled}
	for _, p := range k.Projects {
		f.calls += p.Calls
	}
	return f
}

// A column shows one figure.
type column struct {
	name string
	of   func(figures) string
}

// columns leaves out those that are empty: they tell nothing.
func (s *Summary) columns() []column {
	count := func(name string, of func(*figures) int64) column {
		return column{name, func(f figures) string {
			if n := of(&f); n != 0 {
				return strconv.FormatInt(n, 10)
			}
			return "-"
		}}
	}
	all := []column{
		count("listed", func(f *figures) int64 { return f.Listed }),
		count("filtered", func(f *figures) int64 { return f.Filtered }),
		count("failed", func(f *figures) int64 { return f.Failed }),
		count("unknown", func(f *figures) int64 { return f.Unknown }),
		count("mapped", func(f *figures) int64 { return f.Mapped }),
		count("written", func(f *figures) int64 { return f.Written }),
		count("unchanged", func(f *figures) int64 { return f.Unchanged }),
		count("merged", func(f *figures) int64 { return f.Merged }),
		count("refused", func(f *figures) int64 { return f.Refused }),
		count("kept", func(f *figures) int64 { return f.Kept }),
		count("deleted", func(f *figures) int64 { return f.Deleted }),
		count("calls", func(f *figures) int64 { return f.calls }),
		{"throttled", func(f figures) string {
			if f.throttled == 0 {
				return "-"
			}
			return f.throttled.Round(100 * time.Millisecond).String()
		}},
	}
	return slices.DeleteFunc(all, func(c column) bool { return c.name != "listed" && c.of(s.figures()) == "-" })
}

// problems are what a reader should look at, each with its reason.
func (s *Summary) problems(verbose bool) []line {
	var out []line
	add := func(l level, format string, args ...any) { out = append(out, line{l, fmt.Sprintf(format, args...)}) }
	for _, u := range s.Unread {
		what := "all of it"
		if u.Records > 0 {
			what = plural(u.Records, "record")
		}
		add(bad, "not read: %s (%s; %s): %s", u.Scope, what, strings.Join(u.Resources, ", "), u.Reason)
	}
	for _, x := range s.Rejected {
		add(bad, "mapping block did not run: %s", x)
	}
	for _, x := range s.LeftOut {
		add(bad, "left out of the mapping: %s", x)
	}
	for _, x := range s.Refused {
		add(bad, "refused by Port: %s, such as %s: %s", entitiesOf(x.Entities, x.Blueprint), x.Sample, x.Reason)
	}
	for _, x := range s.Expressions {
		add(bad, "mapping: %s", x)
	}
	if verbose {
		for _, x := range s.Empty {
			add(plain, "mapping: %s", x)
		}
	}
	for _, x := range s.Problems {
		add(bad, "problem: %s", x)
	}
	for _, n := range s.NotDeleted {
		l := bad
		if n.Hold == HoldReferred {
			l = plain
		}
		add(l, "%s", &n)
	}
	for _, f := range s.Former {
		add(plain, "of %s, which is not configured any more: %s deleted, %d not", f.Organization, pluralEntities(f.Deleted), f.Kept)
	}
	for _, bp := range sortedKeys(s.Unwritten) {
		add(plain, "deleted: %s, which no block of the mapping writes any more", entitiesOf(s.Unwritten[bp], bp))
	}
	return out
}

func (s *Summary) level() level {
	if s.State == StateCompleted && s.withProblems() == "" {
		return good
	}
	return bad
}

// last is the line at the end.
func (s *Summary) last() string {
	return fmt.Sprintf("resync %s%s after %s: %s listed, %s written, %d deleted, %d calls to Azure DevOps, %d to Port%s", s.State, s.withProblems(), s.Duration.Round(10*time.Millisecond),
		plural(int(s.Total.Listed), "record"), pluralEntities(int(s.Total.Written)), s.Total.Deleted, s.Calls, s.PortCalls, s.ofUnwritten())
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

// NewObserver shows resyncs to people: live on a screen, unless it has no writer;
// else as a table on out where that is wanted. nil shows nothing.
func NewObserver(out io.Writer, screen Screen, table, verbose bool) Observer {
	switch {
	case screen.Writer != nil:
		return NewTerminal(screen, verbose)
	case table:
		return &Table{out, verbose}
	}
	return nil
}

// A Table prints the summary of every resync and nothing before.
type Table struct {
	w       io.Writer
	verbose bool
}

// Started does nothing.
func (t *Table) Started(*Status) {}

// Ended prints the summary.
func (t *Table) Ended(s *Summary) { _ = s.WriteTable(t.w, t.verbose) }

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
		i := slices.IndexFunc(s.NotDeleted, func(n NotDeleted) bool { return n.Hold.suspicious() })
		return s.NotDeleted[i].String()
	}
	return string(s.State)
}
