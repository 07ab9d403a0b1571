package azuredevops

import (
	"maps"
	"slices"
)

// A hookEvent is a type of service hook event that this package knows how to
// subscribe to: who publishes it, and the version of the resource that is asked
// for, so that the shape of payloads is not left to the service (live-events.md
// 2.3, S-30; azure-devops-rest.md 4.6).
type hookEvent struct {
	publisher, version string
}

// publishers are those of the events below. Subscriptions are made where the
// publisher lives, elsewhere they are refused (live-events.md 2.8).
func publishers() []string { return []string{"tfs", "pipelines", "rm", "advsec"} }

// home is the service that takes subscriptions to a publisher.
func home(publisher string) service {
	switch publisher {
	case "rm":
		return vsrm
	case "advsec":
		return advsec
	}
	return core
}

const (
	versionGit      = "1.0"
	versionRepo     = "1.0-preview.1"
	versionWorkItem = "1.0"
	versionBuild    = "2.0"
	versionRun      = "5.1-preview.1"
	versionRelease  = "3.0-preview.1"
	versionAlert    = "1.0"
)

// hookEvents are the known types; nobody writes to it. The release events are called
// ms.azure-devops-release… in places, which is damage in the reference.
//
// https://learn.microsoft.com/azure/devops/service-hooks/events
var hookEvents = map[string]hookEvent{
	"git.push":                {"tfs", versionGit},
	"git.pullrequest.created": {"tfs", versionGit},
	"git.pullrequest.updated": {"tfs", versionGit},
	"git.pullrequest.merged":  {"tfs", versionGit}, // a merge was attempted

	"git.repo.created":       {"tfs", versionRepo},
	"git.repo.deleted":       {"tfs", versionRepo},
	"git.repo.forked":        {"tfs", versionRepo},
	"git.repo.renamed":       {"tfs", versionRepo},
	"git.repo.statuschanged": {"tfs", versionRepo},

	"workitem.created":   {"tfs", versionWorkItem},
	"workitem.updated":   {"tfs", versionWorkItem},
	"workitem.deleted":   {"tfs", versionWorkItem},
	"workitem.restored":  {"tfs", versionWorkItem},
	"workitem.commented": {"tfs", versionWorkItem},

	"build.complete": {"tfs", versionBuild},

	runStateChanged:   {"pipelines", versionRun},
	stageStateChanged: {"pipelines", versionRun},
	"ms.vss-pipelines.job-state-changed-event":           {"pipelines", versionRun},
	"ms.vss-pipelinechecks-events.approval-pending":      {"pipelines", versionRun},
	"ms.vss-pipelinechecks-events.approval-completed":    {"pipelines", versionRun},
	"ms.vss-pipelinechecks-events.check-updated-event":   {"pipelines", "1.0-preview.1"},
	"ms.vss-release.release-created-event":               {"rm", versionRelease},
	"ms.vss-release.release-abandoned-event":             {"rm", versionRelease},
	"ms.vss-release.deployment-started-event":            {"rm", versionRelease},
	"ms.vss-release.deployment-completed-event":          {"rm", versionRelease},
	"ms.vss-release.deployment-approval-pending-event":   {"rm", versionRelease},
	"ms.vss-release.deployment-approval-completed-event": {"rm", versionRelease},

	"ms.vss-alerts.alert-created-event":       {"advsec", versionAlert},
	"ms.vss-alerts.alert-state-changed-event": {"advsec", versionAlert},
	"ms.vss-alerts.alert-updated-event":       {"advsec", versionAlert},
}

const (
	// runStateChanged tells that a run began or ended; action runs wait for it.
	runStateChanged   = "ms.vss-pipelines.run-state-changed-event"
	stageStateChanged = "ms.vss-pipelines.stage-state-changed-event"
)

// inRepository are events of a kind that lives in repositories: a repository that
// is deleted, renamed or disabled takes what is in it along (live-events.md 3.16).
func inRepository(own ...string) []string {
	return append(own, "git.repo.deleted", "git.repo.renamed", "git.repo.statuschanged")
}

// inTrees are the events of a kind that follows the content of repositories. A
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
