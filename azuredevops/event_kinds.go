package azuredevops

import (
	"maps"
	"slices"
)

const (
	// RunStateChanged tells that a run of a pipeline began or ended.
	RunStateChanged   = "ms.vss-pipelines.run-state-changed-event"
	stageStateChanged = "ms.vss-pipelines.stage-state-changed-event"
	checkUpdated      = "ms.vss-pipelinechecks-events.check-updated-event"
)

// inRepository are events of a kind that lives in repositories: a repository that is
// deleted, brought back, renamed or disabled takes what is in it along.
func inRepository(own ...string) []string {
	return append(own, "git.repo.deleted", "git.repo.undeleted", "git.repo.renamed", "git.repo.statuschanged")
}

// inTrees are the events of a kind that depends on the content of repositories. A
// fork has content from the start, without a push.
func inTrees() []string { return inRepository("git.push", "git.repo.forked") }

// EventsOf are the types of events after which records of the kinds may differ,
// sorted. Kinds that are not known have none.
func EventsOf(kindNames ...string) []string {
	set := map[string]bool{}
	for _, name := range kindNames {
		for _, e := range kinds[name].events {
			set[e] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// KindsAfter are the kinds whose records may differ after an event, sorted.
func KindsAfter(eventType string) []string {
	var out []string
	for _, name := range Kinds() {
		if slices.Contains(kinds[name].events, eventType) {
			out = append(out, name)
		}
	}
	return out
}
