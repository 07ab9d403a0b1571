package hooks

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

// A Overview is the state of the subscriptions of an organization.
type Overview struct {
	Organization string         `json:"organization"`
	URL          string         `json:"url"`              // of the receiver
	Removed      time.Time      `json:"removed,omitzero"` // by cleanup: services leave them so
	Summary      map[string]int `json:"summary"`          // how many there are of each health
	Hooks        []Finding      `json:"hooks"`            // bad ones first
	Unknown      []Unknown      `json:"unknown,omitempty"`
	// Elsewhere are web hooks that look like those of this integration and
	// deliver to an address that it is not known to have had.
	Elsewhere []Subscription `json:"elsewhere,omitempty"`
}

// Health of a subscription.
const (
	healthGood      = "good"
	healthMissing   = "missing"   // wanted, and not there
	healthBroken    = "broken"    // does not deliver
	healthDiffers   = "differs"   // delivers, but not as it should
	healthDuplicate = "duplicate" // another one does the same
	healthLeftover  = "leftover"  // not wanted (any more)
	healthOff       = "off"       // switched off by a person
	healthFiltered  = "filtered"  // made by a person for a part of the events; left alone
	healthUnclear   = "unclear"   // nobody can tell now whether it is wanted
)

// A Finding is one subscription that there is or should be.
type Finding struct {
	Subscription
	Health string   `json:"health"`
	Reason string   `json:"reason,omitempty"`
	Kinds  []string `json:"kinds,omitempty"` // that the event is for

	Failures    int      `json:"failures,omitempty"` // in the history that Azure DevOps keeps
	LastFailure *Failure `json:"lastFailure,omitempty"`
}

// A Failure is a delivery that failed.
type Failure struct {
	At      time.Time `json:"at,omitzero"`
	Message string    `json:"message,omitempty"`
}

// healthy tells whether nothing needs repair.
func (l *Overview) healthy() bool {
	return len(l.Unknown) == 0 && !slices.ContainsFunc(l.Hooks, Finding.bad)
}

// bad tells whether a subscription needs repair.
func (f Finding) bad() bool {
	return f.Health != healthGood && f.Health != healthOff && f.Health != healthFiltered
}

// arrange counts the subscriptions and puts bad ones first; with onlyBad they are
// all.
func (l *Overview) arrange(onlyBad bool) {
	l.Summary = map[string]int{}
	for _, h := range l.Hooks {
		l.Summary[h.Health]++
	}
	bad, rest := []Finding{}, []Finding{}
	for _, h := range l.Hooks {
		if h.bad() {
			bad = append(bad, h)
		} else if !onlyBad {
			rest = append(rest, h)
		}
	}
	l.Hooks = append(bad, rest...)
}

// overview looks at the subscriptions and changes nothing. Failures are best effort:
// when their history cannot be read, that is in Unknown. The error is ctx's or
// rest.ErrUnauthorized.
func (h *organization) overview(ctx context.Context, w Wanted) (*Overview, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r := &reconciliation{h: h, ask: h.asks(), w: w, report: h.newReport()}
	if r.scope, err = h.scope(ctx); err != nil {
		return nil, err
	}
	if r.list, err = h.listing(ctx, r.ask); err != nil {
		return nil, err
	}
	r.list.lacking = h.lacking(ctx, r.ask, w.Events(), r.list)
	r.plan = h.newPlan(w, r.scope, r.list, h.oldURLs(false))
	r.unknowns()
	out := &Overview{Organization: h.c.Organization(), URL: h.shown(), Hooks: r.plan.health(r), Unknown: r.report.Unknown}
	out.Elsewhere = r.elsewhere()
	if err := h.addFailures(ctx, r.ask, out); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out.Unknown = append(out.Unknown, Unknown{"failed deliveries", err.Error()})
	}
	return out, nil
}

// health judges what a plan would act on.
func (p *plan) health(r *reconciliation) []Finding {
	var out []Finding
	add := func(s *Subscription, health, reason string) {
		out = append(out, Finding{Subscription: *s, Health: health, Reason: reason, Kinds: azuredevops.KindsAfter(s.Event)})
	}
	done := map[*Subscription]bool{}
	for _, s := range p.off {
		done[s] = true
		add(s, healthOff, "switched off by a person")
	}
	for _, w := range p.write {
		done[w.sub] = true
		switch w.reason {
		case reasonOff:
			add(w.sub, healthBroken, w.sub.Status)
		case reasonRefreshed:
			add(w.sub, healthGood, w.reason.String())
		default:
			add(w.sub, healthDiffers, w.reason.String())
		}
	}
	for _, s := range p.best {
		if !done[s] {
			add(s, healthGood, "")
		}
	}
	for _, x := range p.remove {
		health := healthLeftover
		if x.reason == reasonDuplicate {
			health = healthDuplicate
		}
		add(x.sub, health, x.reason)
	}
	for _, s := range p.undecided {
		add(s, healthUnclear, "")
	}
	for _, s := range p.filtered {
		add(s, healthFiltered, "limited by a person to a part of the events")
	}
	for _, key := range p.create {
		to := r.h.target(key.Queue)
		s := &Subscription{Publisher: eventTypes[key.Event].publisher, Event: key.Event, Project: key.Project, ProjectName: r.scope.names[key.Project], consumer: to.consumer}
		reason := ""
		if refused, ok := r.h.state.refused(r.h.c.Key(), key.String(), to.address); ok {
			reason = "refused: " + missingFor(key, &refused)
		} else if to.keyless() {
			reason = noKey
		}
		add(s, healthMissing, reason)
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.ProjectName, b.ProjectName), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Event, b.Event), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// elsewhere finds web hooks with the path of the integration's receiver on
// another host.
func (r *reconciliation) elsewhere() []Subscription {
	var out []Subscription
	old := r.h.oldURLs(false)
	for _, s := range r.list.all {
		u, err := url.Parse(tidyURL(s.consumerInputs["url"]))
		if _, known := eventTypes[s.Event]; known && err == nil && strings.HasSuffix(u.Path, "/integration/webhook") && !r.h.ours(s, old) {
			out = append(out, *s)
		}
	}
	return out
}

// addFailures looks up what failed lately.
func (h *organization) addFailures(ctx context.Context, ask rest.Sender, out *Overview) error {
	byID := map[string]*Finding{}
	byHost := map[rest.Service][]string{}
	for i := range out.Hooks {
		if s := &out.Hooks[i]; s.ID != "" {
			byID[s.ID] = s
			byHost[home(s.Publisher)] = append(byHost[home(s.Publisher)], s.ID)
		}
	}
	for _, host := range rest.Services() {
		counts, err := h.failureCounts(ctx, ask, host, byHost[host], time.Time{})
		if err != nil {
			return err
		}
		var failing []string
		for _, id := range byHost[host] {
			if byID[id].Failures = counts[id]; counts[id] > 0 {
				failing = append(failing, id)
			}
		}
		for ids := range slices.Chunk(failing, detailChunk) {
			page, err := h.queryNotifications(ctx, ask, host, notificationsQuery{
				SubscriptionIDs: ids, ResultType: "failed", IncludeDetails: true, MaxResults: len(ids), MaxResultsPerSubscription: 1,
			})
			if err != nil {
				return err
			}
			for _, n := range page.results {
				if s := byID[n.subscription]; s != nil && (s.LastFailure == nil || s.LastFailure.At.Before(n.created)) {
					s.LastFailure = &Failure{n.created, n.failure}
				}
			}
		}
	}
	return nil
}

// A cleanup is the removal of all subscriptions of ours, at the present address and
// at those that the installation had before. Those that people have limited to a
// part of the events stay.
type cleanup struct {
	*reconciliation
	jobs []*Subscription
}

// cleanup lists what would be removed. The error is as that of reconcile.
func (h *organization) cleanup(ctx context.Context) (*cleanup, error) {
	r := &reconciliation{h: h, ask: h.asks(), report: h.newReport(), scope: &scope{}}
	var err error
	if r.list, err = h.listing(ctx, r.ask); err != nil {
		return nil, err
	}
	r.unknowns()
	c, old := &cleanup{reconciliation: r}, h.oldURLs(false)
	for _, s := range r.list.all {
		if h.ours(s, old) && !foreignFilter(s.publisherInputs) {
			c.jobs = append(c.jobs, s)
		}
	}
	return c, nil
}

// run removes what was listed. The error is ctx's.
func (c *cleanup) run(ctx context.Context) (*Report, error) {
	h, r := c.h, c.reconciliation
	unlock, err := h.lock(ctx)
	if err != nil {
		return r.report, err
	}
	defer unlock()
	parallel(ctx, width, c.jobs, func(ctx context.Context, s *Subscription) { r.delete(ctx, s, "cleanup") })
	r.report.sort()
	if err := h.state.save(ctx); err != nil {
		h.log.WarnContext(ctx, "state of service hooks not saved", "err", err)
	}
	return r.report, ctx.Err()
}

// summary is the sum of all in one line, bad ones first.
func (l *Overview) summary() string {
	total := 0
	var parts []string
	for _, health := range []string{
		healthBroken, healthMissing, healthDiffers, healthDuplicate, healthLeftover, healthUnclear, healthOff, healthFiltered, healthGood,
	} {
		if n := l.Summary[health]; n > 0 {
			total += n
			parts = append(parts, fmt.Sprintf("%d %s", n, health))
		}
	}
	return fmt.Sprintf("%d subscriptions: %s", total, cmp.Or(strings.Join(parts, ", "), "none is wanted"))
}

// WriteText writes the list as a table for people.
func (l *Overview) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "%s → %s\n%s\n", l.Organization, l.URL, l.summary())
	if !l.Removed.IsZero() {
		fmt.Fprintf(tw, "Removed by ado-port hooks --cleanup at %s; services with this state directory, or this shared Redis, leave them so until ado-port hooks --repair.\n", l.Removed.Format(time.RFC3339))
	}
	if len(l.Hooks) > 0 {
		fmt.Fprintln(tw, "HEALTH\tPROJECT\tEVENT\tSTATUS\tFAILURES\tID\tREMARK")
	}
	for _, h := range l.Hooks {
		remark := h.Reason
		if h.LastFailure != nil {
			remark = strings.TrimPrefix(remark+"; ", "; ") + "last failure " + h.LastFailure.At.Format(time.RFC3339) + ": " + h.LastFailure.Message
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n",
			h.Health, projectLabel(h.ProjectName, h.Project), h.label(), cmp.Or(h.Status, "-"), h.Failures, cmp.Or(h.ID, "-"), remark)
	}
	for _, u := range l.Unknown {
		fmt.Fprintf(tw, "unknown\t%s\t%s\n", u.What, u.Error)
	}
	if len(l.Elsewhere) > 0 {
		fmt.Fprintln(tw, "Looks like this integration at another address; --old-url makes it ours:")
	}
	for _, s := range l.Elsewhere {
		fmt.Fprintf(tw, "elsewhere\t%s\t%s\t%s\t-\t%s\t%s\n", projectLabel(s.ProjectName, s.Project), s.Event, s.Status, s.ID, s.URL)
	}
	return tw.Flush()
}
