package hooks

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A Report is what a run did to the subscriptions of an organization.
type Report struct {
	Organization string `json:"organization"`
	URL          string `json:"url"`  // of the receiver
	Kept         int    `json:"kept"` // that were as they should be

	Created   []Change `json:"created,omitempty"`
	Adopted   []Change `json:"adopted,omitempty"` // made by others for this address; they may be in Repaired too
	Repaired  []Change `json:"repaired,omitempty"`
	Reenabled []Change `json:"reenabled,omitempty"`
	Removed   []Change `json:"removed,omitempty"`
	Off       []Change `json:"off,omitempty"` // switched off by a person, left alone

	Refused   []Refusal `json:"refused,omitempty"`   // by Azure DevOps; tried again in an hour
	Unknown   []Unknown `json:"unknown,omitempty"`   // could not be found out or done; tried again with the next run
	Postponed int       `json:"postponed,omitempty"` // removals above the limit of a run

	// Gaps are times in which events were not delivered, and that are over: the
	// kinds have to be listed again for the projects. They come with every report
	// until caught says that this is done.
	Gaps []Gap `json:"gaps,omitempty"`
}

// A Change is something done to a subscription, and why.
type Change struct {
	Subscription
	Reason string `json:"reason,omitempty"`
}

// A Refusal is a subscription that Azure DevOps does not let us have.
type Refusal struct {
	Event       string    `json:"event"`
	Project     string    `json:"project,omitempty"`
	ProjectName string    `json:"projectName,omitempty"`
	Status      int       `json:"status"`
	Message     string    `json:"message,omitempty"`
	Missing     string    `json:"missing"` // what it takes, for people
	Since       time.Time `json:"since"`   // of the last try
}

// Unknown is a part of which the state is unknown, and why.
type Unknown struct {
	What  string `json:"what"`
	Error string `json:"error"`
}

// A Gap is a time in which events of a type were not delivered.
type Gap struct {
	Organization string    `json:"organization"`
	Event        string    `json:"event"`
	Project      string    `json:"project,omitempty"` // id; empty for the whole organization
	ProjectName  string    `json:"projectName,omitempty"`
	Kinds        []string  `json:"kinds"`          // whose records may differ
	Status       string    `json:"status"`         // what was the matter
	Since        time.Time `json:"since,omitzero"` // zero means unknown
	Until        time.Time `json:"until,omitzero"` // when that ended, at the latest
}

// sort makes a report that does not depend on who was first.
func (r *Report) sort() {
	for _, l := range [][]Change{r.Created, r.Adopted, r.Repaired, r.Reenabled, r.Removed, r.Off} {
		slices.SortFunc(l, func(a, b Change) int {
			return cmp.Or(cmp.Compare(a.ProjectName, b.ProjectName), cmp.Compare(a.Event, b.Event), cmp.Compare(a.ID, b.ID))
		})
	}
	slices.SortFunc(r.Refused, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(a.ProjectName, b.ProjectName), cmp.Compare(a.Event, b.Event))
	})
	slices.SortFunc(r.Gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.ProjectName, b.ProjectName), cmp.Compare(a.Event, b.Event))
	})
	slices.SortFunc(r.Unknown, func(a, b Unknown) int { return cmp.Compare(a.What, b.What) })
}

// refusals are the refusals in few lines: what is missing, and for which events
// and projects.
func (r *Report) refusals() []string {
	type group struct{ events, projects []string }
	groups := map[string]*group{}
	var order []string
	for _, x := range r.Refused {
		g := groups[x.Missing]
		if g == nil {
			g = &group{}
			groups[x.Missing] = g
			order = append(order, x.Missing)
		}
		g.events = append(g.events, x.Event)
		g.projects = append(g.projects, projectLabel(x.ProjectName, x.Project))
	}
	var out []string
	for _, missing := range order {
		g := groups[missing]
		out = append(out, fmt.Sprintf("%s (%s; %s)", missing, some(g.projects, "projects"), some(g.events, "events")))
	}
	return out
}

// some names a few of many.
func some(names []string, what string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	const most = 5
	if len(names) <= most {
		return what + ": " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s: %s and %d more", what, strings.Join(names[:most], ", "), len(names)-most)
}

func projectLabel(name, id string) string { return cmp.Or(name, id, "the whole organization") }

// healthy tells whether everything could be done. Cleanup has no refusals.
func (r *Report) healthy() bool { return len(r.Refused)+len(r.Unknown) == 0 }

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "%s → %s\n", r.Organization, r.URL)
	fmt.Fprintf(tw, "  kept\t%d\n", r.Kept)
	for _, p := range []struct {
		name string
		list []Change
	}{
		{"created", r.Created},
		{"adopted", r.Adopted},
		{"repaired", r.Repaired},
		{"re-enabled", r.Reenabled},
		{"removed", r.Removed},
		{"switched off by a person", r.Off},
	} {
		if len(p.list) > 0 {
			fmt.Fprintf(tw, "  %s\t%d\n", p.name, len(p.list))
		}
		for _, c := range p.list {
			fmt.Fprintf(tw, "    %s\t%s\t%s\t%s\n", c.label(), projectLabel(c.ProjectName, c.Project), c.ID, c.Reason)
		}
	}
	if r.Postponed > 0 {
		fmt.Fprintf(tw, "  removals left for the next run\t%d\n", r.Postponed)
	}
	for _, line := range r.refusals() {
		fmt.Fprintf(tw, "  refused\t%s\n", line)
	}
	for _, u := range r.Unknown {
		fmt.Fprintf(tw, "  unknown\t%s\t%s\n", u.What, u.Error)
	}
	return tw.Flush()
}
