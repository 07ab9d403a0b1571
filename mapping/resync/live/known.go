package live

import (
	"slices"

	"github.com/ado-port/ado-port/azuredevops"
)

// Knows says whether anything speaks for an event that came without a password:
// its subscription is registered, or what it names was found by the last resync or
// by an event since. It asks nobody. Before the first resync there is nothing to
// compare with, and everything is known; so it is by nobody, who handles nothing.
func (f *Follower) Knows(ev *azuredevops.Event) bool {
	if f == nil || f.cfg.Registered(ev.SubscriptionID) != nil || !f.cfg.Book.Known() {
		return true
	}
	org, err := azuredevops.Resolve(ev, f.cfg.Organizations, f.cfg.Registered)
	if err != nil {
		return false
	}
	changes := azuredevops.Changes(ev)
	isWide := func(c azuredevops.Change) bool { return c.Scope.ID == "" && c.Scope.Repository == "" }
	if named := slices.DeleteFunc(slices.Clone(changes), isWide); len(named) > 0 {
		changes = named // to know the project of a thing that does not exist proves nothing
	}
	return slices.ContainsFunc(changes, func(c azuredevops.Change) bool {
		at := c.Scope
		at.Organization = org.Organization()
		if f.cfg.Book.Has(c.Kind, at) {
			return true
		}
		if at.Repository == "" {
			return false
		}
		at.ID = at.Repository // something new in a repository
		return f.cfg.Book.Has("repository", at)
	})
}
