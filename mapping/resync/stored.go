package resync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
)

// A Records is the record store: *records.Store is one.
type Records interface {
	azuredevops.Store
	// EndResync is called when a resync that has read Azure DevOps has ended.
	EndResync(complete bool) error
}

// storedState is what the record store remembers of resyncs.
type storedState struct {
	// Began is when the last resync began. Where Port knows of a later one, another
	// process has made it, or this is an older copy of the store.
	Began time.Time `json:"began,omitzero"`
	// Unfinished is when the resync began that was interrupted, or the first of
	// several in a row; zero: the last one has ended.
	Unfinished time.Time `json:"unfinished,omitzero"`
	// Applied is the digest of the mapping that was applied last to everything.
	Applied string `json:"applied,omitempty"`
}

const stateKey = "resync"

func (r *run) storedState() (st storedState) {
	if value, ok := r.cfg.Records.Get(stateKey); ok && json.Unmarshal(value, &st) != nil {
		return storedState{}
	}
	return st
}

func (r *run) setStoredState(st storedState) {
	if value, err := json.Marshal(st); err == nil {
		r.cfg.Records.Put(stateKey, value)
	}
}

// A use says what a resync uses of the record store.
type use struct {
	resumes time.Time // when the interrupted resync began that this one goes on with; zero: none
	replays bool      // the mapping has changed: it is applied to what is stored
	only    bool      // nothing is asked
	// stored are the listings of each organization that are in the store, and when they
	// were read; only with replays or only.
	stored []map[string]time.Time
}

// stores says whether a run has use for the store.
func (r *run) stores() bool {
	return r.cfg.Records != nil && !r.cfg.Records.Off() && r.mode != incremental && (r.mode != planning || r.cfg.Stored)
}

// decideUse decides what of the store this resync uses.
func (r *run) decideUse(ctx context.Context) error {
	if r.cfg.Stored {
		return r.useOnly()
	}
	if !r.stores() {
		return nil
	}
	st := r.storedState()
	asked := slices.Contains(r.cfg.Replays, r.cause)
	changed := st.Applied != "" && st.Applied != digest(r)
	switch {
	case !r.allTouched(ctx):
		// Other processes know more than what is stored.
	case st.Began.After(r.started) || r.portBegan.Sub(st.Began) > sameStart:
		// The clock was set back, or others know more than what is stored.
	case r.mode == full && asked && changed && st.Unfinished.IsZero() && r.cfg.ReplayWithin > 0:
		r.use = use{replays: true, stored: r.storedListings(r.started.Add(-r.cfg.ReplayWithin))}
		if at := r.use.oldest(); at.IsZero() {
			r.use = use{}
			break
		}
		r.log.InfoContext(ctx, "the mapping has changed: it is applied to stored records, without a call for what is stored", "records_of", clock(r.use.oldest()))
	case r.mayResume(asked, changed) && !st.Unfinished.IsZero() && r.started.Sub(st.Unfinished) <= r.cfg.ResumeWithin:
		r.use.resumes = st.Unfinished
		r.log.InfoContext(ctx, "the last resync was interrupted: what it has read is not read again", "read_since", clock(st.Unfinished))
	}
	st.Began = r.started
	if !r.use.replays {
		st.Unfinished = r.readSince()
	}
	r.setStoredState(st)
	return nil
}

// allTouched says whether the store knows what has changed since its answers were read.
func (r *run) allTouched(ctx context.Context) bool {
	if r.cfg.Touched == nil {
		return true
	}
	all, err := r.cfg.Touched(ctx)
	if err != nil {
		r.log.WarnContext(ctx, "what other processes have found changed is not known: nothing is taken from the record store", "err", err)
	}
	return all && err == nil
}

// sameStart is how far two times of one start may differ: Port may keep less digits.
const sameStart = time.Second

// mayResume says whether the resync goes on with one that was interrupted. Where
// somebody asks for one that reads, or deliveries were missed, it reads.
func (r *run) mayResume(asked, changed bool) bool {
	if asked {
		return changed
	}
	return !slices.Contains(r.cfg.Reads, r.cause)
}

// clock is a time for people.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 -0700") }

// readSince is when the first of the answers was read that this resync is made of.
func (r *run) readSince() time.Time {
	if r.use.resumes.IsZero() {
		return r.started
	}
	return r.use.resumes
}

// useOnly makes the resync use nothing else, or says what is missing.
func (r *run) useOnly() error {
	where := "the file of --stored"
	if r.cfg.Exported == nil {
		where = "the record store"
		r.use = use{only: true, stored: r.storedListings(time.Time{})}
	}
	var missing []string
	for i, org := range r.cfg.Organizations {
		for _, l := range r.listings {
			if has := r.cfg.Exported != nil && r.cfg.Exported.Has(org, l.Listing, l.Files); !has && r.use.storedAt(l, i).IsZero() {
				missing = append(missing, fmt.Sprintf("%s of %s", l.resources[0].Name(), org.Organization()))
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s does not have %s: a resync that completes with this selector and these files puts it there", where, strings.Join(missing, ", "))
	}
	return nil
}

// storedListings are those that were read since a time, by organization.
func (r *run) storedListings(since time.Time) []map[string]time.Time {
	out := make([]map[string]time.Time, len(r.cfg.Organizations))
	for i, org := range r.cfg.Organizations {
		out[i] = org.Stored()
		maps.DeleteFunc(out[i], func(_ string, at time.Time) bool { return at.Before(since) || at.After(r.started) })
	}
	return out
}

// storedAt is when a listing was read; the zero time: it is not stored, or not used.
func (u *use) storedAt(l *listing, org int) time.Time {
	if u.stored == nil {
		return time.Time{}
	}
	return u.stored[org][l.Listing.StoredAs(l.Files)]
}

// oldest is when the oldest of the stored listings was read.
func (u *use) oldest() (at time.Time) {
	for _, listings := range u.stored {
		for _, t := range listings {
			if at.IsZero() || t.Before(at) {
				at = t
			}
		}
	}
	return at
}

// snapshots are those of one organization: of what is asked as usual, and of what is
// stored. They are two because what both start from has to be as old as what comes
// of it.
type snapshots struct {
	asked, stored *azuredevops.Snapshot
}

// snapshot begins reading an organization.
func (r *run) snapshot(i int) snapshots {
	org := r.cfg.Organizations[i]
	s := snapshots{asked: org.SnapshotOf(azuredevops.Reading{Since: r.use.resumes})}
	if r.use.stored != nil {
		s.stored = org.SnapshotOf(azuredevops.Reading{Since: r.use.oldest(), Only: r.use.only})
	}
	for _, l := range r.listings {
		snap, opt := r.reading(s, l, i)
		snap.Expect(l.Listing, opt)
	}
	return s
}

// reading is how a listing is read.
func (r *run) reading(s snapshots, l *listing, org int) (*azuredevops.Snapshot, azuredevops.ListOptions) {
	opt := azuredevops.ListOptions{Files: l.Files, Since: l.since(), Now: r.readSince()}
	if at := r.use.storedAt(l, org); !at.IsZero() {
		opt.Now = at
		return s.stored, opt
	}
	return s.asked, opt
}

// records lists what is listed once for some resources.
func (r *run) records(ctx context.Context, from snapshots, l *listing, org int) iter.Seq2[azuredevops.Record, error] {
	if r.cfg.Exported != nil {
		return r.cfg.Exported.Records(r.cfg.Organizations[org], l.Listing, l.Files)
	}
	snap, opt := r.reading(from, l, org)
	return l.Listing.Records(ctx, snap, opt)
}

// store notes what the store has after this resync.
func (r *run) store(ctx context.Context, complete bool) {
	if !r.stores() || r.mode == planning || ctx.Err() != nil || r.session == nil {
		return // interrupted: the next one goes on
	}
	since := r.readSince()
	for i, org := range r.cfg.Organizations {
		before := org.Stored()
		now := map[string]time.Time{}
		if r.use.replays {
			now = maps.Clone(before) // a mapping that is taken back finds its records
		}
		if now == nil {
			now = map[string]time.Time{}
		}
		for _, l := range r.listings {
			key := l.Listing.StoredAs(l.Files)
			if r.use.storedAt(l, i).IsZero() { // it was read; what could not be is asked again
				now[key] = since
			}
		}
		org.SetStored(now)
	}
	r.setStoredState(storedState{Began: r.started, Applied: digest(r)})
	if r.use.replays {
		return
	}
	if err := r.cfg.Records.EndResync(complete); err != nil {
		r.log.WarnContext(ctx, "what was read is not kept", "err", err)
	}
}

// digest tells mappings apart that make different entities.
func digest(r *run) string {
	h := sha256.New()
	d := r.mapping.Digests()
	for _, bp := range sortedKeys(d) {
		h.Write([]byte(bp + " " + d[bp] + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}
