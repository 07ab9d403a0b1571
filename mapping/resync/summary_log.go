package resync

import (
	"context"
	"strings"

	"github.com/ado-port/ado-port/mapping/catalog"
)

// log writes the summary for machines: a line per block, one for each distinct
// problem that somebody should look at, and one for the whole.
func (s *Summary) log(ctx context.Context, r *run) {
	for _, k := range s.Kinds {
		c := k.Counts
		r.log.InfoContext(ctx, "resync of a kind ended", "block", k.Name(), "listed", c.Listed, "mapped", c.Mapped, "filtered", c.Filtered,
			"failed", c.Failed, "unknown", c.Unknown, "incomplete", c.Incomplete, "written", c.Written, "unchanged", c.Unchanged, "merged", c.Merged, "refused", c.Refused,
			"kept", c.Kept, "deleted", c.Deleted)
	}
	s.logUnread(ctx, r)
	for _, x := range s.Refused {
		r.log.WarnContext(ctx, "entities were refused by Port", "blueprint", x.Blueprint, "entities", x.Entities, "sample", x.Sample, "reason", x.Reason)
	}
	for _, x := range s.Expressions {
		r.log.WarnContext(ctx, "an expression of the mapping failed", "expression", x)
	}
	for _, x := range s.Empty {
		r.log.DebugContext(ctx, "an expression of the mapping found nothing for some records", "expression", x)
	}
	for _, bp := range sortedKeys(s.Unwritten) {
		r.log.InfoContext(ctx, "deleted because no block of the mapping writes the blueprint any more", "blueprint", bp, "entities", s.Unwritten[bp])
	}
	for _, n := range s.NotDeleted {
		r.log.Log(ctx, n.Hold.level(), "not deleted", "entities", n.Entities, "blueprint", n.Blueprint, "sample", n.Sample, "hold", string(n.Hold), "because", n.Reason)
	}
	for _, f := range s.Former {
		r.log.WarnContext(ctx, "entities of an organization that is not configured any more", "organization", f.Organization, "deleted", f.Deleted, "not_deleted", f.Kept)
	}
	if !s.RecordsOf.IsZero() {
		r.log.InfoContext(ctx, "the changed mapping was applied to stored records", "records_of", clock(s.RecordsOf), "calls", s.Calls)
	}
	t := s.Total
	r.log.InfoContext(ctx, "resync ended", "state", string(s.State), "cause", s.Cause, "seconds", s.Duration.Seconds(), "listed", t.Listed, "mapped", t.Mapped,
		"filtered", t.Filtered, "failed", t.Failed, "unknown", t.Unknown, "written", t.Written, "unchanged", t.Unchanged, "merged", t.Merged, "refused", t.Refused, "kept", t.Kept,
		"deleted", t.Deleted, "calls", s.Calls, "throttled_seconds", s.Throttled.Seconds(), "port_calls", s.PortCalls)
}

// logUnread names what could not be read: one line for each reason, however many
// projects and records it is about.
func (s *Summary) logUnread(ctx context.Context, r *run) {
	type problem struct {
		first  Unread
		scopes int
	}
	var order []string
	of := map[string]*problem{}
	for _, u := range s.Unread {
		key := strings.Join(u.Resources, " ") + catalog.Alike(u.Reason)
		if of[key] == nil {
			of[key] = &problem{first: u}
			order = append(order, key)
		} else {
			of[key].first.Records += u.Records
		}
		of[key].scopes++
	}
	for _, key := range order {
		u := of[key].first
		r.log.WarnContext(ctx, "not read, so nothing of it is deleted", "scope", u.Scope, "scopes", of[key].scopes, "blocks", strings.Join(u.Resources, ", "), "records", u.Records, "reason", u.Reason)
	}
	if r.unauthorized.Load() {
		r.log.ErrorContext(ctx, "Azure DevOps refuses the credential; nothing was deleted: most likely the token or secret has expired or was revoked: make a new one and set OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN (or that of the service principal). Else see whether it is complete, and belongs to a user of the organization in OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL")
	}
}
