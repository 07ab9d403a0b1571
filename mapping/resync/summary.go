package resync

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping/catalog"
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
	Duration time.Duration `json:"duration"`
	Kinds    []KindSummary `json:"kinds"`
	Total    Counts        `json:"total"`
	// Calls and Throttled are those of Azure DevOps during the resync.
	Calls     int64         `json:"calls"`
	Throttled time.Duration `json:"throttled"`
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
	// Expressions are the expressions that found nothing or failed.
	Expressions []string `json:"expressions,omitempty"`
	// Problems is what went wrong besides.
	Problems []string `json:"problems,omitempty"`
	// Unwritten counts the deleted entities of blueprints that no block of the mapping
	// writes any more. They are in Total.
	Unwritten map[string]int `json:"unwritten,omitempty"`
	// Former are the organizations that are not configured any more and of which there
	// were entities.
	Former []Former `json:"formerOrganizations,omitempty"`
	// NotDeleted are the entities that stay although nothing made them, and why.
	NotDeleted []NotDeleted `json:"notDeleted,omitempty"`
}

func (s *Summary) heldBy(h Hold) bool {
	return slices.ContainsFunc(s.NotDeleted, func(n NotDeleted) bool { return n.Hold == h })
}

// Held counts the entities that are gone for all that is known, and stay because
// they are too many at once.
func (s *Summary) Held() (n int) {
	for _, x := range s.NotDeleted {
		if x.Hold != HoldUnread {
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
	Resource string           `json:"resource"` // kind and position, "work-item-5"
	Kind     string           `json:"kind"`
	Counts   Counts           `json:"counts"`
	Projects []ProjectSummary `json:"projects,omitempty"`
}

// ProjectSummary is one project (or the organization) of a resource.
type ProjectSummary struct {
	Organization string        `json:"organization"`
	Project      string        `json:"project"` // name, or id where no name is known; empty: no project
	Counts       Counts        `json:"counts"`
	Calls        int64         `json:"calls"`
	Throttled    time.Duration `json:"throttled"`
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
		r.log.ErrorContext(ctx, "resync failed before it began", "err", err)
		err = nil
	case len(sum.Unread)+len(sum.Problems)+len(sum.Rejected) > 0:
		sum.State = StateFailed
	default:
		sum.State = StateCompleted
	}
	if sum.State == StateCompleted && r.mode != incremental && !sum.heldBy(HoldThreshold) {
		r.runner.completed.set(ctx, r.mapping)
	}
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
	s.PortCalls = r.cfg.Port.Calls() - r.portCalls
	used := r.usage()
	for _, u := range used {
		s.Calls += u.calls
		s.Throttled += u.throttled
	}
	unread := map[string]*Unread{}
	for _, b := range r.resources {
		k := KindSummary{Resource: b.KindIndex(), Kind: b.Kind}
		for _, src := range b.all() {
			c := src.counted()
			k.Counts.Add(c)
			p := ProjectSummary{Organization: r.display(src.scope).Organization, Project: cmp.Or(src.scope.ProjectName, src.scope.Project), Counts: c}
			if u, ok := used[usageKey{b.Kind, src.scope.Organization, src.scope.Project}]; ok {
				p.Calls, p.Throttled = u.calls, u.throttled
				delete(used, usageKey{b.Kind, src.scope.Organization, src.scope.Project}) // the first resource of a kind made the calls
			}
			k.Projects = append(k.Projects, p)
		}
		s.Total.Add(k.Counts)
		s.Kinds = append(s.Kinds, k)
		r.gather(unread, b)
		s.Expressions = append(s.Expressions, prefixed(b.KindIndex(), b.report.Lines())...)
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
		if !slices.Contains(x.Resources, b.KindIndex()) {
			x.Resources = append(x.Resources, b.KindIndex())
		}
	}
}

// log writes the summary for machines: a line per resource, one for the whole,
// and one for each thing that the user should look at.
func (s *Summary) log(ctx context.Context, r *run) {
	for _, k := range s.Kinds {
		c := k.Counts
		r.log.InfoContext(ctx, "resync of a kind ended", "resource", k.Resource, "listed", c.Listed, "mapped", c.Mapped, "filtered", c.Filtered,
			"failed", c.Failed, "unknown", c.Unknown, "incomplete", c.Incomplete, "written", c.Written, "unchanged", c.Unchanged, "merged", c.Merged, "refused", c.Refused, "kept", c.Kept, "deleted", c.Deleted)
	}
	for _, u := range s.Unread {
		r.log.WarnContext(ctx, "not read, so nothing of it is deleted", "scope", u.Scope, "resources", strings.Join(u.Resources, " "), "records", u.Records, "reason", u.Reason)
	}
	for _, x := range s.Refused {
		r.log.WarnContext(ctx, "entities were refused by Port", "blueprint", x.Blueprint, "entities", x.Entities, "sample", x.Sample, "reason", x.Reason)
	}
	for _, x := range s.Expressions {
		r.log.WarnContext(ctx, "an expression found nothing", "expression", x)
	}
	if r.unauthorized.Load() {
		r.log.ErrorContext(ctx, "Azure DevOps refuses the credentials: check that OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN (or the service principal) is complete, not expired and may read the organization of OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL; nothing was deleted")
	}
	for _, bp := range sortedKeys(s.Unwritten) {
		r.log.InfoContext(ctx, "entities are deleted because no block of the mapping writes their blueprint any more", "blueprint", bp, "entities", s.Unwritten[bp])
	}
	for _, n := range s.NotDeleted {
		r.log.WarnContext(ctx, "not deleted", "entities", n.Entities, "blueprint", n.Blueprint, "sample", n.Sample, "hold", string(n.Hold), "because", n.Reason)
	}
	for _, f := range s.Former {
		r.log.WarnContext(ctx, "entities of an organization that is not configured any more", "organization", f.Organization, "deleted", f.Deleted, "kept", f.Kept)
	}
	t := s.Total
	r.log.InfoContext(ctx, "resync ended", "state", string(s.State), "seconds", s.Duration.Seconds(), "listed", t.Listed, "mapped", t.Mapped,
		"filtered", t.Filtered, "failed", t.Failed, "unknown", t.Unknown, "written", t.Written, "unchanged", t.Unchanged, "merged", t.Merged, "refused", t.Refused, "kept", t.Kept,
		"deleted", t.Deleted, "calls", s.Calls, "throttled_seconds", s.Throttled.Seconds(), "port_calls", s.PortCalls)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
