package hooks

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

// A scope is what is known of the projects: those that get subscriptions of
// their own, in the order of the list.
type scope struct {
	projects []string
	names    map[string]string
	unknown  map[string]error // whether they carry an excluded tag
	err      error            // why the list of projects is not complete; nil when it is
}

// has tells whether a project was listed, excluded ones aside.
func (s *scope) has(project string) bool {
	_, ok := s.names[project]
	return ok
}

// scope lists the projects.
func (h *organization) scope(ctx context.Context) (*scope, error) {
	s := &scope{names: map[string]string{}, unknown: map[string]error{}}
	for p, err := range h.c.Projects(ctx, h.reading) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e, _ := errors.AsType[*azuredevops.ScopeError](err)
		switch {
		case err == nil:
			id := strings.ToLower(p.Project)
			s.projects = append(s.projects, id)
			s.names[id] = p.ProjectName
		case errors.Is(err, rest.ErrUnauthorized):
			return nil, err
		case e != nil && e.Scope.Project != "":
			id := strings.ToLower(e.Scope.Project)
			s.unknown[id] = err
			s.names[id] = e.Scope.ProjectName
		default:
			s.err = errors.Join(s.err, err)
		}
	}
	return s, ctx.Err()
}

// Why a subscription is written. The order is that of urgency.
type cause int

const (
	reasonOff         cause = iota // it does not deliver
	reasonCredentials              // it delivers without our credentials
	reasonMoved                    // it delivers to an old address
	reasonRepaired                 // something else is not as it should be
	reasonRefreshed                // it is not known which credentials it has
)

func (r cause) String() string {
	return [...]string{"was switched off", "credentials", "moved from an old address", "version, details or address", "credentials not known"}[r]
}

const reasonDuplicate = "duplicate"

type rewrite struct {
	sub    *Subscription
	reason cause
	gap    *Gap // that ends when the subscription delivers again
}

type removal struct {
	sub    *Subscription
	reason string
	needs  []topic // to exist before this one may go
}

// A loss is a subscription that others have removed.
type loss struct {
	id  string
	gap *Gap
}

// A plan is what to do. It is made of what was listed and remembered alone.
type plan struct {
	best   map[topic]*Subscription // of wanted keys
	create []topic
	write  []rewrite
	remove []removal

	off       []*Subscription // switched off by a person, left alone
	gaps      []Gap           // that have ended
	missing   map[topic]loss
	undecided []*Subscription // ours, but nobody can tell whether they are wanted
	filtered  []*Subscription // with our address, but made by a person for a part of the events
}

// A planner makes a plan.
type planner struct {
	h       *organization
	scope   *scope
	list    *listing
	events  []string
	nothing bool // is wanted, so that nothing is known to be unwanted
	old     map[string]bool
	checked time.Time

	groups map[topic][]*Subscription
	wanted []topic
	isWant map[topic]bool
	plan   *plan
}

// newPlan decides what to do about what was listed.
func (h *organization) newPlan(w Wanted, scope *scope, list *listing, old map[string]bool) *plan {
	p := &planner{
		h: h, scope: scope, list: list, old: old, checked: h.state.checked(h.c.Key()),
		nothing: len(w.Kinds) == 0 && !w.GitOps,
		groups:  map[topic][]*Subscription{}, isWant: map[topic]bool{},
		plan: &plan{best: map[topic]*Subscription{}, missing: map[topic]loss{}},
	}
	for _, e := range w.Events() {
		if _, ok := eventTypes[e]; ok && !list.lacking[e] {
			p.events = append(p.events, e)
		}
	}
	p.group()
	p.want()
	for _, key := range p.keys() {
		p.decide(key)
	}
	p.lost()
	slices.SortStableFunc(p.plan.write, func(a, b rewrite) int { return cmp.Compare(a.reason, b.reason) })
	return p.plan
}

// group sorts our subscriptions by what they are for, the best first.
func (p *planner) group() {
	for _, s := range p.list.all {
		s.ProjectName = p.scope.names[s.Project]
		if !p.h.ours(s, p.old) {
			continue
		}
		if foreignFilter(s.publisherInputs) {
			p.plan.filtered = append(p.plan.filtered, s)
			continue
		}
		p.groups[s.key()] = append(p.groups[s.key()], s)
	}
	for _, g := range p.groups {
		slices.SortFunc(g, p.better)
	}
}

// ours tells whether a subscription delivers one of the known events to us, at
// the present address or an old one, whoever made it: those of the Python
// integration have the same address.
func (h *organization) ours(s *Subscription, old map[string]bool) bool {
	at := s.address()
	e, ok := eventTypes[s.Event]
	return ok && e.publisher == s.Publisher && s.consumer == h.target(s.queue()).consumer && at != "" && (at == h.target(s.queue()).address || old[at])
}

// better orders subscriptions of one key: enabled before others, here before
// elsewhere, known before new, newest first.
func (p *planner) better(a, b *Subscription) int {
	rank := func(s *Subscription) int {
		n := 0
		switch s.Status {
		case statusEnabled:
		case statusOnProbation:
			n += 4
		case statusDisabledByUser:
			n += 12
		default:
			n += 8
		}
		to := p.h.target(s.queue())
		if s.address() != to.address {
			n += 2
		}
		if e := p.h.state.entry(s.ID); e.Print == "" || e.Print != to.print() {
			n++
		}
		return n
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
}

// want lists the wanted keys. An event that Azure DevOps takes only per project
// is wanted there as long as there is none for the organization.
func (p *planner) want() {
	add := func(k topic) {
		if !p.isWant[k] {
			p.isWant[k] = true
			p.wanted = append(p.wanted, k)
		}
	}
	for _, e := range p.events {
		for _, to := range []*target{p.h.web, p.h.queue} {
			if to.used() {
				p.wantAt(to, e, add)
			}
		}
	}
}

// wantAt adds the keys of an event that are wanted at a target.
func (p *planner) wantAt(to *target, event string, add func(topic)) {
	queue := to.consumer == storageQueue
	if whole := (topic{Event: event, Queue: queue}); !p.h.cfg.PerProject {
		add(whole)
		r, refused := p.h.state.refused(p.h.c.Key(), whole.String(), to.address)
		if !refused || r.Status != http.StatusBadRequest || len(p.groups[whole]) > 0 {
			return
		}
	}
	for _, id := range p.scope.projects {
		add(topic{event, id, queue})
	}
}

// keys are all keys that matter: the wanted ones, then the others in the order of
// the list.
func (p *planner) keys() []topic {
	out := slices.Clone(p.wanted)
	seen := map[topic]bool{}
	for _, s := range p.list.all {
		if k := s.key(); len(p.groups[k]) > 0 && !p.isWant[k] && !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	return out
}

// decide plans for one key.
func (p *planner) decide(key topic) {
	group := p.groups[key]
	unlisted := p.list.unknown[eventTypes[key.Event].publisher] != nil
	switch {
	case p.scope.unknown[key.Project] != nil && key.Project != "":
		p.plan.undecided = append(p.plan.undecided, group...)
	case !p.isWant[key]:
		p.unwanted(key, group, unlisted)
	case len(group) > 0:
		p.keep(key, group[0])
		if unlisted {
			return
		}
		for _, s := range group[1:] {
			p.plan.remove = append(p.plan.remove, removal{sub: s, reason: reasonDuplicate, needs: []topic{key}})
		}
	case !unlisted:
		p.plan.create = append(p.plan.create, key)
	}
}

// unwanted plans the removal of what nobody needs, or no more once something
// else is there. That takes complete knowledge.
func (p *planner) unwanted(key topic, group []*Subscription, unlisted bool) {
	var needs []topic
	reason := "no kind of the mapping needs the event"
	switch {
	case p.nothing || unlisted || p.scope.err != nil:
		p.plan.undecided = append(p.plan.undecided, group...)
		return
	case !slices.Contains(p.events, key.Event):
	case key.Project == "" && len(p.scope.unknown) > 0:
		p.plan.undecided = append(p.plan.undecided, group...)
		return
	case key.Project != "" && !p.scope.has(key.Project):
		reason = "the project is gone or excluded"
	case !p.h.target(key.Queue).used():
		reason, needs = "replaced by the storage queue", p.instead(key, !key.Queue)
		if key.Queue {
			reason = "replaced by web hooks"
		}
	case key.Project == "":
		reason, needs = "replaced by one per project", p.instead(key, key.Queue)
	default:
		reason, needs = "replaced by one for the organization", p.instead(key, key.Queue)
	}
	for _, s := range group {
		p.plan.remove = append(p.plan.remove, removal{sub: s, reason: reason, needs: needs})
	}
}

// instead are the wanted keys that deliver the events of one that is not wanted. Where
// an event is to be had for projects only, that for the organization is not among them.
func (p *planner) instead(key topic, queue bool) (needs []topic) {
	for _, id := range p.scope.projects {
		k := topic{key.Event, id, queue}
		if p.isWant[k] && (key.Project == "" || key.Project == id) {
			needs = append(needs, k)
		}
	}
	if whole := (topic{Event: key.Event, Queue: queue}); len(needs) == 0 && p.isWant[whole] {
		needs = append(needs, whole)
	}
	return needs
}

// keep plans what to write to the subscription that stays.
func (p *planner) keep(key topic, s *Subscription) {
	p.plan.best[key] = s
	e := p.h.state.entry(s.ID)
	gap := p.gap(key, s, e)
	if s.Status == statusDisabledByUser {
		p.plan.off = append(p.plan.off, s)
		return
	}
	reason, needed := p.h.why(s, e)
	switch {
	case s.Status != statusEnabled:
		p.plan.write = append(p.plan.write, rewrite{s, reasonOff, gap})
		return
	case gap != nil:
		p.plan.gaps = append(p.plan.gaps, *gap)
	}
	if needed {
		p.plan.write = append(p.plan.write, rewrite{s, reason, nil})
	}
}

// why tells whether an enabled subscription has to be written.
func (h *organization) why(s *Subscription, e entry) (cause, bool) {
	to := h.target(s.queue())
	anonymous, wanted := s.consumerInputs["basicAuthUsername"] == "", to.secret != ""
	mark := h.shapeMark(s)
	seen := mark == "" || mark == e.Shape
	switch {
	case s.address() != to.address:
		return reasonMoved, true
	case !s.queue() && anonymous == wanted && !seen,
		wanted && e.Print != "" && e.Print != to.print():
		return reasonCredentials, true
	case !seen:
		return reasonRepaired, true
	case wanted && e.Print != to.print():
		return reasonRefreshed, true
	}
	return 0, false
}

// gap is the time that a subscription did not deliver, nil when it did.
func (p *planner) gap(key topic, s *Subscription, e entry) *Gap {
	status, since := s.Status, p.checked
	if e.Organization == "" {
		since = time.Time{} // nobody knows
	}
	switch {
	case e.Off:
		since = e.Since
		if s.Status == statusEnabled {
			status = "was off"
		}
	case s.Status != statusEnabled:
	case e.Organization != "" && !p.checked.IsZero() && s.Probed.After(p.checked):
		status = "was on probation"
	default:
		return nil
	}
	return p.h.gapOf(key, s.ProjectName, status, since)
}

func (h *organization) gapOf(key topic, name, status string, since time.Time) *Gap {
	return &Gap{
		Organization: h.c.Organization(), Event: key.Event, Project: key.Project, ProjectName: name,
		Kinds: azuredevops.KindsAfter(key.Event), Status: status, Since: since,
	}
}

// lost finds wanted subscriptions that were there and have been removed by
// others: what happened since is not known.
func (p *planner) lost() {
	created := map[topic]bool{}
	for _, k := range p.plan.create {
		created[k] = true
	}
	for id, e := range p.h.state.of(p.h.c.Key()) {
		key := topic{e.Event, e.Project, e.Queue}
		if !created[key] || p.covered(key) {
			continue
		}
		since := p.checked
		if e.Off {
			since = e.Since
		}
		if before, ok := p.plan.missing[key]; ok && !since.Before(before.gap.Since) {
			continue
		}
		p.plan.missing[key] = loss{id, p.h.gapOf(key, p.scope.names[key.Project], "missing", since)}
	}
}

// covered tells whether subscriptions of the other scope deliver the events.
func (p *planner) covered(key topic) bool {
	if key.Project != "" {
		return len(p.groups[topic{Event: key.Event, Queue: key.Queue}]) > 0
	}
	return len(p.scope.projects) > 0 && !slices.ContainsFunc(p.scope.projects, func(id string) bool {
		return len(p.groups[topic{key.Event, id, key.Queue}]) == 0
	})
}
