package resync

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
)

// State is how a resync ended, in Port's words.
type State string

// States of a resync that has ended.
const (
	StateCompleted State = "completed"
	StateFailed    State = "failed"
	StateAborted   State = "aborted"
)

// A Summary is what a resync did.
type Summary struct {
	ID       string        `json:"id"`
	Cause    string        `json:"cause"`
	State    State         `json:"state"`
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"-"`
	Kinds    []KindSummary `json:"kinds"`
	Total    Counts        `json:"total"`
	// RecordsOf is when the stored records were read to which a changed mapping was
	// applied in place of reading; zero: Azure DevOps was read.
	RecordsOf time.Time `json:"recordsOf,omitzero"`
	// Calls are those of Azure DevOps during the resync, Throttled is how long it asked
	// for pauses meanwhile.
	Calls     int64         `json:"calls"`
	Throttled time.Duration `json:"-"`
	PortCalls int64         `json:"portCalls"`
	// Unread names what could not be listed or mapped, and why.
	Unread []Unread `json:"unread,omitempty"`
	// Refused says why Port refused entities.
	Refused []catalog.Refusal `json:"refused,omitempty"`
	// Rejected are the blocks of the mapping that did not run.
	Rejected []string `json:"rejected,omitempty"`
	// LeftOut are members of the mapping that are not used: their expressions do not
	// compile. What Port holds for them stays.
	LeftOut []string `json:"leftOut,omitempty"`
	// Expressions are the expressions that failed, Empty those that found nothing for
	// some records, as expressions do.
	Expressions []string `json:"expressions,omitempty"`
	Empty       []string `json:"empty,omitempty"`
	// Problems is what went wrong besides.
	Problems []string `json:"problems,omitempty"`
	// Unwritten counts the deleted entities of blueprints that no block of the mapping
	// writes any more. They are in Total.
	Unwritten map[string]int `json:"unwritten,omitempty"`
	// Remapped are the blueprints with entities to delete whose blocks of the mapping
	// have changed since the last complete resync; only in a plan.
	Remapped []string `json:"remapped,omitempty"`
	// Former are the organizations that are not configured any more and of which there
	// were entities.
	Former []Former `json:"formerOrganizations,omitempty"`
	// NotDeleted are the entities that stay although nothing made them, and why.
	NotDeleted []NotDeleted `json:"notDeleted,omitempty"`
}

// Ended is when the resync ended.
func (s *Summary) Ended() time.Time { return s.Started.Add(s.Duration) }

func (s *Summary) heldBy(h Hold) bool {
	return slices.ContainsFunc(s.NotDeleted, func(n NotDeleted) bool { return n.Hold == h })
}

// Held counts the entities that are gone for all that is known, and stay because
// they are too many at once.
func (s *Summary) Held() (n int) {
	for _, x := range s.NotDeleted {
		if x.Hold.suspicious() {
			n += x.Entities
		}
	}
	return n
}

// A Former is an organization that is not configured any more. Its entities are
// deleted once everything that is configured was read.
type Former struct {
	Organization string `json:"organization"`
	Deleted      int    `json:"deleted"`
	Kept         int    `json:"kept,omitempty"`
}

// KindSummary is one resource of the mapping.
type KindSummary struct {
	identifier string // as Port knows it, "work-item-5"

	Resource string `json:"resource"` // its place in the mapping, "resources[5]"
	Kind     string `json:"kind"`
	Counts   Counts `json:"counts"`
	// Throttled is how long something of the kind waited because Azure DevOps asked
	// for a pause.
	Throttled time.Duration    `json:"-"`
	Projects  []ProjectSummary `json:"-"` // there may be thousands
	// Complete says that all of it was listed and mapped; if not, FirstError is why.
	Complete   bool   `json:"complete"`
	FirstError string `json:"firstError,omitempty"`
}

// Name is the block for people: "work-item (resources[5])".
func (k *KindSummary) Name() string { return k.Kind + " (" + k.Resource + ")" }

// ProjectSummary is one project (or the organization) of a resource.
type ProjectSummary struct {
	Organization string
	Project      string // name, or id where no name is known; empty: no project
	Counts       Counts
	Calls        int64
}

// Unread is something that several resources could not read, with its reason.
type Unread struct {
	Resources []string `json:"resources"`
	Scope     string   `json:"scope"`
	Reason    string   `json:"reason"`
	Records   int      `json:"records,omitempty"` // records with something unread; 0: the whole scope
}

// end reports the end of the resync to Port and sums up.
func (r *run) end(ctx context.Context, err error) (*Summary, error) {
	if ctx.Err() != nil || r.dropped.Load() {
		r.settle()
	}
	sum := r.summary()
	switch {
	case ctx.Err() != nil:
		sum.State = StateAborted
	case err != nil:
		sum.Problems = append(sum.Problems, err.Error())
		sum.State = StateFailed
		if r.mode == planning {
			return sum, err
		}
		r.log.ErrorContext(ctx, "resync failed before it began", "err", err)
		err = nil
	case len(sum.Unread)+len(sum.Problems)+len(sum.Rejected) > 0:
		sum.State = StateFailed
	default:
		sum.State = StateCompleted
	}
	if r.mode == planning {
		sum.Remapped = r.remapped(ctx)
		return sum, err
	}
	if sum.State == StateCompleted && r.mode != incremental && !sum.heldBy(HoldThreshold) {
		r.runner.completed.set(ctx, r.mapping)
	}
	r.store(ctx, sum.State == StateCompleted)
	r.reports.end(sum.State)
	sum.log(ctx, r)
	return sum, err
}

// settle counts what did not get its turn.
func (r *run) settle() {
	for _, b := range r.resources {
		for _, src := range b.all() {
			c := src.counted()
			src.add(Counts{Kept: c.unsettled()})
		}
	}
}

func (r *run) summary() *Summary {
	s := &Summary{ID: r.id, Cause: r.cause, Started: r.started, Duration: time.Since(r.started)}
	if r.use.replays {
		s.RecordsOf = r.use.oldest()
	}
	s.PortCalls = r.cfg.Port.Calls() - r.portCalls
	used := r.usage().since(r.before)
	for _, n := range used.calls {
		s.Calls += n
	}
	s.Throttled = used.throttledFor("")
	unread := map[string]*Unread{}
	for _, b := range r.resources {
		k := KindSummary{identifier: b.KindIndex(), Resource: b.Path(), Kind: b.Kind, Complete: b.state() == port.SyncCompleted}
		if u := b.unknowns(); len(u) > 0 {
			k.FirstError = r.display(u[0].Scope).String() + ": " + u[0].Reason
		}
		for _, src := range b.all() {
			c := src.counted()
			k.Counts.Add(c)
			p := ProjectSummary{Organization: r.display(src.scope).Organization, Project: cmp.Or(src.scope.ProjectName, src.scope.Project), Counts: c}
			key := callsKey{b.Kind, src.scope.Organization, src.scope.Project}
			p.Calls = used.calls[key]
			delete(used.calls, key) // the first resource of a kind made the calls
			k.Projects = append(k.Projects, p)
		}
		s.Total.Add(k.Counts)
		if !slices.ContainsFunc(s.Kinds, func(x KindSummary) bool { return x.Kind == k.Kind }) {
			k.Throttled = used.throttledFor(k.Kind)
		}
		s.Kinds = append(s.Kinds, k)
		r.gather(unread, b)
		failed, empty := b.report.Lines()
		s.Expressions, s.Empty = append(s.Expressions, prefixed(b.Name(), failed)...), append(s.Empty, prefixed(b.Name(), empty)...)
	}
	for _, n := range r.unwritten {
		s.Total.Deleted += int64(n)
	}
	s.Unwritten = r.unwritten
	for _, key := range sortedKeys(r.former) {
		s.Former = append(s.Former, *r.former[key])
	}
	for _, key := range sortedKeys(unread) {
		s.Unread = append(s.Unread, *unread[key])
	}
	for _, key := range sortedKeys(r.notDeleted) {
		s.NotDeleted = append(s.NotDeleted, *r.notDeleted[key])
	}
	if r.session != nil {
		s.Refused = r.session.Refusals()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mapping != nil {
		for _, p := range r.mapping.Problems {
			s.Rejected = append(s.Rejected, p.String())
		}
		for _, p := range r.mapping.LeftOut {
			s.LeftOut = append(s.LeftOut, p.String())
		}
	}
	s.Problems = append(s.Problems, r.failures...)
	return s
}

func prefixed(prefix string, lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = prefix + ": " + l
	}
	return out
}

// gather joins what resources could not read for the same reason.
func (r *run) gather(into map[string]*Unread, b *resource) {
	for _, u := range b.unknowns() {
		scope := r.display(u.Scope)
		if u.Records > 0 {
			scope = azuredevops.Scope{Organization: scope.Organization, Project: u.Scope.Project, ProjectName: u.Scope.ProjectName}
		}
		key := scope.String() + "\x00" + u.Reason
		x := into[key]
		if x == nil {
			x = &Unread{Scope: scope.String(), Reason: u.Reason}
			into[key] = x
		}
		x.Records += u.Records
		if !slices.Contains(x.Resources, b.Name()) {
			x.Resources = append(x.Resources, b.Name())
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
