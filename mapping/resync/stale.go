package resync

import (
	"context"
	"fmt"
	"slices"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port"
)

// clean deletes the entities of this installation that no record makes any more,
// where that is proven: every listing that could have made the entity was
// complete. With the origins the proof is asked of the entity's own project,
// repository and record; without them, of every listing that can write its
// blueprint.
func (r *run) clean(ctx context.Context) {
	for _, bp := range r.session.Unsure() {
		r.doubtBlueprint(bp, "an entity with a search could not be written")
	}
	if !r.anyMissing() {
		return
	}
	stale, err := r.session.Stale(ctx, r.readSince(), r.made)
	if err != nil {
		r.problem(ctx, "listing the entities of this installation", err)
		return
	}
	deletions := r.allowed(ctx, r.proven(ctx, stale))
	if len(deletions) == 0 {
		return
	}
	done, err := r.session.Delete(ctx, deletions)
	for _, ref := range done.Gone {
		r.going[ref.Blueprint] = true
		r.countDeleted(ref)
	}
	for _, ref := range done.Referred {
		r.stay(ref, HoldReferred, "other entities refer to them, and Port would make them again")
	}
	for _, err := range append(done.Refusals, err) {
		if err != nil {
			r.problem(ctx, "deleting what is gone", err)
		}
	}
}

// anyMissing says whether Port held an entity that was not made this time.
func (r *run) anyMissing() bool {
	made := 0
	for _, l := range r.lanes {
		made += l.writer.MadeOf()
	}
	return made < r.session.OwnedCount()
}

func (r *run) made(k catalog.Key) bool {
	return slices.ContainsFunc(r.lanes, func(l *lane) bool { return l.writer.Made(k) })
}

// proven drops the entities that may still exist.
func (r *run) proven(ctx context.Context, stale []port.Ref) []catalog.Deletion {
	if len(stale) == 0 {
		return nil
	}
	r.originsOf(ctx, stale)
	var out []catalog.Deletion
	for _, ref := range stale {
		from := r.knownOrigins[catalog.EntityKey(ref)]
		if r.outside(ref, from) {
			continue
		}
		if r.use.replays && len(from) == 0 {
			r.stay(ref, HoldUnread, "it is not known what they were made of, and the mapping was applied to stored records: the next resync that reads decides")
			continue
		}
		if why := r.whyKeep(ref, from); why != "" {
			r.stay(ref, HoldUnread, why)
			continue
		}
		out = append(out, catalog.Deletion{Ref: ref, Proof: proofOf(from), Made: len(from) > 0})
	}
	return out
}

// outside says whether an entity may come from kinds that are not looked at.
func (r *run) outside(ref port.Ref, from []origins.Origin) bool {
	if r.cfg.Kinds == nil {
		return false
	}
	if len(from) > 0 {
		return slices.ContainsFunc(from, func(o origins.Origin) bool { return !r.runs(o.Kind) })
	}
	by, others := 0, 0
	for _, m := range r.mapping.Resources {
		if id, literal := m.Blueprint(); literal && id != ref.Blueprint {
			continue
		}
		if by++; !r.runs(m.Kind) {
			others++
		}
	}
	return by == 0 || others > 0
}

// proofOf says why an entity is known to be gone.
func proofOf(from []origins.Origin) string {
	if len(from) == 0 {
		return "every listing that can make it was complete, and none did"
	}
	return fmt.Sprintf("%s of %s was listed completely and does not make it", from[0].Kind, from[0].Scope)
}

// originsOf reads the origins of some entities.
func (r *run) originsOf(ctx context.Context, refs []port.Ref) {
	wanted := make(map[catalog.Key]bool, len(refs))
	for _, ref := range refs {
		wanted[catalog.EntityKey(ref)] = true
	}
	err := r.syncBook(ctx)
	if err == nil {
		r.knownOrigins, err = r.origins.Previous(wanted)
	}
	if err != nil {
		r.log.WarnContext(ctx, "the origins of entities cannot be used: deletion needs complete listings", "err", err)
		r.knownOrigins = nil
	}
}

// syncBook reads what other processes have found until now.
func (r *run) syncBook(ctx context.Context) error {
	if r.cfg.Book == nil {
		return nil
	}
	return r.cfg.Book.Sync(ctx)
}

// whyKeep says why an entity must not be deleted, or "".
func (r *run) whyKeep(ref port.Ref, from []origins.Origin) string {
	if why := r.doubted(ref.Blueprint); why != "" {
		return why
	}
	former := r.formerOrganization(from)
	for _, b := range r.resources {
		if id, literal := b.Blueprint(); literal && id != ref.Blueprint && former == "" {
			continue
		}
		for _, u := range b.unknowns() {
			if former != "" {
				return fmt.Sprintf("%s is not configured any more, and %s of %s could not be read: it may be the same under another address", former, b.Kind, r.display(u.Scope))
			}
			if len(from) == 0 || anyCovered(u.Scope, b.Kind, from) {
				return fmt.Sprintf("%s of %s could not be read: %s", b.Kind, r.display(u.Scope), u.Reason)
			}
		}
	}
	return ""
}

// formerOrganization is the key of an organization that is not configured any more
// and that an entity came from, or "". Its entities go only when everything that is
// configured was read: its address may be misspelled now.
func (r *run) formerOrganization(from []origins.Origin) string {
	for _, o := range from {
		if r.client(o.Scope.Organization) == nil {
			return o.Scope.Organization
		}
	}
	return ""
}

// client is the configured organization with a key, or nil.
func (r *run) client(key string) *azuredevops.Client {
	i := slices.IndexFunc(r.cfg.Organizations, func(c *azuredevops.Client) bool { return c.Key() == key })
	if i < 0 {
		return nil
	}
	return r.cfg.Organizations[i]
}

// countFormer counts entities of an organization that is not configured any more.
func (r *run) countFormer(from []origins.Origin, deleted, kept int) {
	key := r.formerOrganization(from)
	if key == "" {
		return
	}
	f := r.former[key]
	if f == nil {
		f = &Former{Organization: key}
		r.former[key] = f
	}
	f.Deleted += deleted
	f.Kept += kept
}

// display is a scope for people: with the address as it is configured.
func (r *run) display(s azuredevops.Scope) azuredevops.Scope {
	if c := r.client(s.Organization); c != nil {
		s.Organization = c.Organization()
	}
	return s
}

// anyCovered says whether an unknown scope of a kind holds one of the origins.
func anyCovered(unknown azuredevops.Scope, kind string, from []origins.Origin) bool {
	return slices.ContainsFunc(from, func(o origins.Origin) bool {
		return o.Kind == kind && origins.Covers(unknown, o.Scope)
	})
}

// doubted says why a blueprint must not be cleaned, or "".
func (r *run) doubted(blueprint string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why := r.doubt[""]; why != "" {
		return why
	}
	return r.doubt[blueprint]
}

func (r *run) doubtAll(why string) { r.doubtBlueprint("", why) }

// doubtBlueprint forbids deletion in a blueprint, or in all of them for "".
func (r *run) doubtBlueprint(blueprint, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.doubt[blueprint] == "" {
		r.doubt[blueprint] = why
	}
}

// countDeleted books a deleted entity: to the resource and project that its
// origin names, else to the first resource that writes the blueprint, else to the
// blueprint.
func (r *run) countDeleted(ref port.Ref) {
	k := catalog.EntityKey(ref)
	r.gone[k] = struct{}{}
	var scope azuredevops.Scope
	var kind string
	if known := r.knownOrigins[k]; len(known) > 0 {
		kind, scope = known[0].Kind, known[0].Scope
		r.countFormer(known, 1, 0)
	}
	var first *resource
	for _, b := range r.resources {
		id, literal := b.Blueprint()
		if literal && id != ref.Blueprint {
			continue
		}
		if b.Kind == kind {
			b.source(scope).add(Counts{Deleted: 1})
			return
		}
		if first == nil {
			first = b
		}
	}
	if first == nil {
		r.unwritten[ref.Blueprint]++
		return
	}
	first.source(scope).add(Counts{Deleted: 1})
}

// remember makes the origins of this resync the current ones. What was not read
// this time keeps what was known of it, as long as Port holds the entity.
func (r *run) remember(ctx context.Context) {
	if ctx.Err() != nil {
		r.origins.Discard()
		return
	}
	all := !slices.ContainsFunc(r.resources, func(b *resource) bool { return len(b.unknowns()) > 0 })
	keep := func(o *origins.Origin) bool {
		k := o.Entity()
		if _, gone := r.gone[k]; gone {
			return false
		}
		if !r.made(k) {
			return r.session.Owned(k)
		}
		for _, b := range r.resources {
			if b.Kind != o.Kind {
				continue
			}
			for _, u := range b.unknowns() {
				if origins.Covers(u.Scope, o.Scope) {
					return true
				}
			}
		}
		return false
	}
	commit := func() error { return r.origins.Commit(all, keep) }
	var err error
	if r.cfg.Book != nil {
		err = r.cfg.Book.Turn(ctx, r.started, commit)
	} else if err = commit(); err == nil { // nobody follows events
		err = r.origins.Forget()
	}
	if err == nil {
		return
	}
	r.origins.Discard()
	if r.cfg.Book != nil && !r.cfg.Book.Known() {
		r.log.WarnContext(ctx, "the origins of entities cannot be used: live events delete nothing before the next resync", "err", err)
		return
	}
	r.log.WarnContext(ctx, "origins of entities are not remembered: the next deletion needs complete listings", "err", err)
}
