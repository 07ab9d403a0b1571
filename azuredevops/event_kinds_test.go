package azuredevops

import (
	"slices"
	"testing"
)

// An event that a kind is subscribed to has to change it.
func TestHookEventsChangeTheirKinds(t *testing.T) {
	for _, eventType := range EventsOf(Kinds()...) {
		e := &Event{Type: eventType, Project: "p", ids: eventIDs{
			repository: "r", pull: "1", workItem: "1", build: "1", pipeline: "1", release: "1", deployment: "1", releaseDefinition: "1",
		}}
		changes := Changes(e)
		for _, kind := range KindsAfter(eventType) {
			if !slices.ContainsFunc(changes, func(c Change) bool { return c.Kind == kind }) {
				t.Errorf("%s is subscribed to for %s, but does not change it", eventType, kind)
			}
		}
	}
}
