package azuredevops

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

const (
	// Refusals are remembered a little shorter than the hour between two runs.
	refusedFor = 55 * time.Minute
	// After that many creations in a row that failed without a reason the rest
	// waits for the next run.
	maxHookFailures = 5
)

// mayCreate tells whether there is hope.
func (r *hookRun) mayCreate(key hookKey) bool {
	if !r.hope(key.String(), key) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed >= maxHookFailures {
		r.report.Unknown = append(r.report.Unknown, HookUnknown{r.label(key), "left for the next run: the service failed several times in a row"})
		return false
	}
	return true
}

// hope tells whether something is worth trying. If it was refused not long ago,
// or the permission was, that is reported instead.
func (r *hookRun) hope(what string, key hookKey) bool {
	refused, ok := r.h.state.refused(r.h.c.Organization(), what, r.h.url)
	r.mu.Lock()
	defer r.mu.Unlock()
	if ok && time.Since(refused.At) < refusedFor {
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
func (r *hookRun) permission(key hookKey) string {
	return string(home(hookEvents[key.Event].publisher)) + " " + key.Project
}

// refusedOrUnknown sorts an error: Azure DevOps will not, or something failed.
func (r *hookRun) refusedOrUnknown(what string, key hookKey, err error) {
	status := statusOf(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !isRefusal(err) {
		r.failed++
		r.report.Unknown = append(r.report.Unknown, HookUnknown{r.label(key), err.Error()})
		return
	}
	refused := &hookRefused{At: time.Now().UTC().Round(0), URL: r.h.url, Status: status, Message: messageOf(err)}
	if status != http.StatusBadRequest {
		r.stopped[r.permission(key)] = refused
	} else if key.Project == "" && what == key.String() {
		if _, known := r.h.state.refused(r.h.c.Organization(), what, r.h.url); !known {
			r.again = true
		}
	}
	r.refuseLocked(what, key, refused)
}

// refuseLocked remembers and reports a refusal. mu is held.
func (r *hookRun) refuseLocked(what string, key hookKey, refused *hookRefused) {
	r.h.state.setRefused(r.h.c.Organization(), what, refused)
	r.report.Refused = append(r.report.Refused, r.refusal(key, refused))
}

func (r *hookRun) refusal(key hookKey, refused *hookRefused) HookRefusal {
	return HookRefusal{
		Event: key.Event, Project: key.Project, ProjectName: r.scope.names[key.Project],
		Status: refused.Status, Message: refused.Message, Missing: missingFor(key, refused), Since: refused.At,
	}
}

func (r *hookRun) label(key hookKey) string {
	return key.Event + " in " + projectLabel(r.scope.names[key.Project], key.Project)
}

// isRefusal tells an answer that will be the same in a minute from a failure.
func isRefusal(err error) bool {
	if errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrForbidden) {
		return true
	}
	switch statusOf(err) {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict:
		return !errors.Is(err, ErrMalformed)
	}
	return false
}

func messageOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return firstLine(e.Message)
	}
	return firstLine(err.Error())
}

// missingFor says what it takes to get what was refused (live-events.md 2.12).
func missingFor(key hookKey, refused *hookRefused) string {
	switch {
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
