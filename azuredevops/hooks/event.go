package hooks

import (
	"maps"
	"slices"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

// A eventType is a type of service hook event that this package knows how to
// subscribe to: who publishes it, and the version of the resource that is asked
// for, so that the shape of payloads is not left to the service.
type eventType struct {
	publisher, version string
	// asked: the reference does not have the event. It is subscribed to where the
	// service says that it has it.
	asked bool
}

// publishers are those of the events below. Subscriptions are made where the
// publisher lives, elsewhere they are refused.
func publishers() []string { return []string{"tfs", "pipelines", "rm", "advsec"} }

// home is the service that takes subscriptions to a publisher.
func home(publisher string) rest.Service {
	switch publisher {
	case "rm":
		return rest.VSRM
	case "advsec":
		return rest.AdvSec
	}
	return rest.Core
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

// eventTypes are the known types; nobody writes to it. The release events are called
// ms.azure-devops-release… in places, which is damage in the reference.
//
// https://learn.microsoft.com/azure/devops/service-hooks/events
var eventTypes = map[string]eventType{
	"git.push":                {publisher: "tfs", version: versionGit},
	"git.pullrequest.created": {publisher: "tfs", version: versionGit},
	"git.pullrequest.updated": {publisher: "tfs", version: versionGit},
	"git.pullrequest.merged":  {publisher: "tfs", version: versionGit}, // a merge was attempted

	"git.repo.created":       {publisher: "tfs", version: versionRepo},
	"git.repo.deleted":       {publisher: "tfs", version: versionRepo},
	"git.repo.undeleted":     {publisher: "tfs", version: versionRepo, asked: true},
	"git.repo.forked":        {publisher: "tfs", version: versionRepo},
	"git.repo.renamed":       {publisher: "tfs", version: versionRepo},
	"git.repo.statuschanged": {publisher: "tfs", version: versionRepo},

	"workitem.created":   {publisher: "tfs", version: versionWorkItem},
	"workitem.updated":   {publisher: "tfs", version: versionWorkItem},
	"workitem.deleted":   {publisher: "tfs", version: versionWorkItem},
	"workitem.restored":  {publisher: "tfs", version: versionWorkItem},
	"workitem.commented": {publisher: "tfs", version: versionWorkItem},

	"build.complete": {publisher: "tfs", version: versionBuild},

	"ms.vss-pipelines.run-state-changed-event":           {publisher: "pipelines", version: versionRun},
	"ms.vss-pipelines.stage-state-changed-event":         {publisher: "pipelines", version: versionRun},
	"ms.vss-pipelines.job-state-changed-event":           {publisher: "pipelines", version: versionRun},
	"ms.vss-pipelinechecks-events.approval-pending":      {publisher: "pipelines", version: versionRun},
	"ms.vss-pipelinechecks-events.approval-completed":    {publisher: "pipelines", version: versionRun},
	"ms.vss-pipelinechecks-events.check-updated-event":   {publisher: "pipelines", version: "1.0-preview.1"},
	"ms.vss-release.release-created-event":               {publisher: "rm", version: versionRelease},
	"ms.vss-release.release-abandoned-event":             {publisher: "rm", version: versionRelease},
	"ms.vss-release.deployment-started-event":            {publisher: "rm", version: versionRelease},
	"ms.vss-release.deployment-completed-event":          {publisher: "rm", version: versionRelease},
	"ms.vss-release.deployment-approval-pending-event":   {publisher: "rm", version: versionRelease},
	"ms.vss-release.deployment-approval-completed-event": {publisher: "rm", version: versionRelease},

	"ms.vss-alerts.alert-created-event":       {publisher: "advsec", version: versionAlert},
	"ms.vss-alerts.alert-state-changed-event": {publisher: "advsec", version: versionAlert},
	"ms.vss-alerts.alert-updated-event":       {publisher: "advsec", version: versionAlert},
}

// EventTypes are the types of events that there can be subscriptions to, sorted.
func EventTypes() []string { return slices.Sorted(maps.Keys(eventTypes)) }

// Wanted says what subscriptions are for.
type Wanted struct {
	Kinds  []string // that the mapping has, those of blocks that were rejected too
	GitOps bool     // port.yml files are read on pushes
	Runs   bool     // the end of what actions have started is reported
}

// Events are the types of events that are needed, sorted.
func (w Wanted) Events() []string {
	events := azuredevops.EventsOf(w.Kinds...)
	if w.GitOps {
		events = append(events, "git.push")
	}
	if w.Runs {
		events = append(events, azuredevops.RunStateChanged)
	}
	slices.Sort(events)
	return slices.Compact(events)
}
