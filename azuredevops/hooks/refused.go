package hooks

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

const (
	// Refusals are remembered a little shorter than the hour between two runs.
	refusalTTL = 55 * time.Minute
	// After that many creations in a row that failed without a reason the rest
	// waits for the next run.
	maxFailures = 5
)

// mayCreate tells whether there is hope.
func (r *reconciliation) mayCreate(key topic) bool {
	if !r.hope(key.String(), key) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed >= maxFailures {
		r.report.Unknown = append(r.report.Unknown, Unknown{r.label(key), "left for the next run: the service failed several times in a row"})
		return false
	}
	return true
}

// hope tells whether something is worth trying. If it was refused not long ago,
// or the permission was, that is reported instead.
func (r *reconciliation) hope(what string, key topic) bool {
	to := r.h.target(key.Queue)
	refused, ok := r.h.state.refused(r.h.c.Key(), what, to.address)
	r.mu.Lock()
	defer r.mu.Unlock()
	if to.keyless() {
		r.report.Refused = append(r.report.Refused, r.refusal(key, &refusalNote{At: time.Now().UTC().Round(0), Message: noKey}))
		return false
	}
	if ok && time.Since(refused.At) < refusalTTL {
		r.report.Refused = append(r.report.Refused, r.refusal(key, &refused))
		return false
	}
	if stop := r.stopped[r.permission(key)]; stop != nil {
		r.refuseLocked(what, key, stop)
		return false
	}
	return true
}

// permission names what a permission to create is given for.
func (r *reconciliation) permission(key topic) string {
	return string(home(eventTypes[key.Event].publisher)) + " " + key.Project
}

// refusedOrUnknown sorts an error: Azure DevOps will not, or something failed.
func (r *reconciliation) refusedOrUnknown(what string, key topic, err error) {
	status := statusOf(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !isRefusal(err) {
		r.failed++
		r.report.Unknown = append(r.report.Unknown, Unknown{r.label(key), err.Error()})
		return
	}
	refused := &refusalNote{At: time.Now().UTC().Round(0), URL: r.h.target(key.Queue).address, Status: status, Message: messageOf(err)}
	if status != http.StatusBadRequest {
		r.stopped[r.permission(key)] = refused
	} else if key.Project == "" && what == key.String() {
		if _, known := r.h.state.refused(r.h.c.Key(), what, r.h.target(key.Queue).address); !known {
			r.again = true
		}
	}
	r.refuseLocked(what, key, refused)
}

// refuseLocked remembers and reports a refusal. mu is held.
func (r *reconciliation) refuseLocked(what string, key topic, refused *refusalNote) {
	r.h.state.setRefused(r.h.c.Key(), what, refused)
	r.report.Refused = append(r.report.Refused, r.refusal(key, refused))
}

func (r *reconciliation) refusal(key topic, refused *refusalNote) Refusal {
	return Refusal{
		Event: key.Event, Project: key.Project, ProjectName: r.scope.names[key.Project],
		Status: refused.Status, Message: refused.Message, Missing: missingFor(key, refused), Since: refused.At,
	}
}

func (r *reconciliation) label(key topic) string {
	return key.Event + " in " + projectLabel(r.scope.names[key.Project], key.Project)
}

// isRefusal tells an answer that will be the same in a minute from a failure.
func isRefusal(err error) bool {
	if errors.Is(err, rest.ErrUnauthorized) || errors.Is(err, rest.ErrForbidden) {
		return true
	}
	switch statusOf(err) {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict:
		return !errors.Is(err, rest.ErrMalformed)
	}
	return false
}

func messageOf(err error) string {
	if e, ok := errors.AsType[*rest.Error](err); ok {
		return rest.FirstLine(e.Message)
	}
	return rest.FirstLine(err.Error())
}

// missingFor says what it takes to get what was refused.
func missingFor(key topic, refused *refusalNote) string {
	switch {
	case refused.Message == noKey:
		return noKey
	case refused.Status == http.StatusForbidden && key.Project == "":
		return "permission to edit service hook subscriptions of the organization (a collection administrator has it)"
	case refused.Status == http.StatusForbidden:
		return "permission to edit service hook subscriptions of the project (a project administrator has it)"
	case refused.Status == http.StatusUnauthorized || refused.Status == 0 || refused.Status < 400:
		return "a credential that may write service hooks"
	case refused.Status == http.StatusBadRequest && key.Project == "":
		return "the event, or the permission for it, for the whole organization: it is taken per project instead"
	case refused.Message == "":
		return "the service refused it with status " + strconv.Itoa(refused.Status)
	}
	return refused.Message
}
