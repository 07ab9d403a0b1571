package resync

import "time"

// callsKey names one kind in one project (or organization).
type callsKey struct{ kind, organization, project string }

// usage is what was asked of Azure DevOps.
type usage struct {
	calls     map[callsKey]int64
	throttled map[throttledKey]time.Duration
}

// throttledKey names a kind in an organization; without a kind, all of it.
type throttledKey struct{ organization, kind string }

// usage returns what the process has asked of Azure DevOps so far.
func (r *run) usage() usage {
	u := usage{calls: map[callsKey]int64{}, throttled: map[throttledKey]time.Duration{}}
	for _, org := range r.cfg.Organizations {
		for _, k := range org.Calls() {
			u.calls[callsKey{k.Kind, org.Key(), k.Project}] += k.Calls
		}
		all, by := org.Throttled()
		for kind, d := range by {
			u.throttled[throttledKey{org.Key(), kind}] = d
		}
		u.throttled[throttledKey{org.Key(), ""}] = all
	}
	return u
}

// since takes away what was asked before.
func (u usage) since(before usage) usage {
	for k := range u.calls {
		u.calls[k] -= before.calls[k]
	}
	for k := range u.throttled {
		u.throttled[k] -= before.throttled[k]
	}
	return u
}

// throttledFor is how long a kind waited, "" for all of them. Organizations pause
// side by side, so it is that of the one that paused longest.
func (u usage) throttledFor(kind string) (longest time.Duration) {
	for k, d := range u.throttled {
		if k.kind == kind {
			longest = max(longest, d)
		}
	}
	return longest
}
