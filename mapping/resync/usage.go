package resync

import "time"

// usageKey names one kind in one project (or organization).
type usageKey struct{ kind, organization, project string }

// usage is what a kind asked of Azure DevOps for a project.
type usage struct {
	calls     int64
	throttled time.Duration
}

// usage returns what this resync asked of Azure DevOps. Before there is a
// baseline it is what was asked since the start of the process.
func (r *run) usage() map[usageKey]usage {
	out := map[usageKey]usage{}
	for _, org := range r.cfg.Organizations {
		for _, k := range org.Calls() {
			key := usageKey{k.Kind, org.Key(), k.Project}
			u := usage{calls: k.Calls - r.before[key].calls, throttled: k.Throttled - r.before[key].throttled}
			if u != (usage{}) {
				out[key] = u
			}
		}
	}
	return out
}
