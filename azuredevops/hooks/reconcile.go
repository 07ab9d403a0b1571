package hooks

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

const (
	width        = 5   // calls at the same time
	maxDeletions = 200 // per run
	// Writing subscriptions only because nobody knows their credentials is no
	// hurry: one at a time, this far apart.
	refreshPace = 100 * time.Millisecond
)

// reconcile makes the subscriptions of the organization what they should be: it
// creates what is missing, adopts what the Python integration has made, switches
// on again what Azure DevOps has switched off, repairs and moves what differs,
// removes duplicates and leftovers, and never touches what is not ours. Doing it
// again changes nothing. The report is not nil and says what was done and what
// could not be; an error is ctx's, or rest.ErrUnauthorized when nothing could be
// listed.
//
// A Wanted without kinds removes nothing: it may come of a mapping that could not
// be read.
func (h *organization) reconcile(ctx context.Context, w Wanted) (*Report, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return h.newReport(), err
	}
	defer unlock()
	r := &reconciliation{h: h, ask: h.asks(), w: w, report: h.newReport()}
	err = r.run(ctx)
	h.state.addGaps(h.c.Key(), r.ended())
	r.report.Gaps = h.state.gaps(h.c.Key())
	r.report.sort()
	if e := h.state.save(); e != nil {
		h.log.WarnContext(ctx, "state of service hooks not saved", "err", e)
	}
	if ctx.Err() == nil {
		h.health.note(r, err)
	}
	if err == nil {
		h.logReport(ctx, r.report)
	}
	return r.report, err
}

// caught tells that the kinds of gaps have been listed again, completely.
func (h *organization) caught(gaps []Gap) {
	h.state.closeGaps(h.c.Key(), gaps)
	if err := h.state.save(); err != nil {
		h.log.Warn("state of service hooks not saved", "err", err)
	}
}

func (h *organization) newReport() *Report {
	return &Report{Organization: h.c.Organization(), URL: h.shown()}
}

// asks begins a run, which has a budget of retries of its own.
func (h *organization) asks() rest.Sender {
	return h.c.Sender(rest.Caller{Budget: &rest.Budget{}})
}

// logReport tells of a run in one line, and of refusals when they are news.
func (h *organization) logReport(ctx context.Context, r *Report) {
	h.log.InfoContext(ctx, "service hooks reconciled",
		"kept", r.Kept, "created", len(r.Created), "adopted", len(r.Adopted), "repaired", len(r.Repaired), "reenabled", len(r.Reenabled),
		"removed", len(r.Removed), "postponed", r.Postponed, "off", len(r.Off), "refused", len(r.Refused), "unknown", len(r.Unknown))
	lines := r.refusals()
	if text := strings.Join(lines, "\n"); text != h.reported {
		h.reported = text
		for _, line := range lines {
			h.log.WarnContext(ctx, "service hooks refused by azure devops", "missing", line)
		}
	}
	for _, u := range r.Unknown {
		h.log.WarnContext(ctx, "service hooks unknown", "what", u.What, "err", u.Error)
	}
}

// oldURLs are the addresses that this installation had, normalized. Remembering
// the present ones is part of it.
func (h *organization) oldURLs(remember bool) map[string]bool {
	old := map[string]bool{}
	for _, u := range h.cfg.OldURLs {
		old[urlKey(u)] = true
	}
	present := slices.DeleteFunc([]string{h.web.address, h.queue.address}, func(at string) bool { return at == "" })
	for _, u := range h.state.addresses(present, remember) {
		old[u] = true
	}
	for _, at := range append(present, "") {
		delete(old, at)
	}
	return old
}

// A reconciliation is one reconciliation under way.
type reconciliation struct {
	h     *organization
	ask   rest.Sender
	w     Wanted
	scope *scope
	list  *listing
	plan  *plan

	mu      sync.Mutex
	report  *Report
	present map[topic]bool
	stopped map[string]*refusalNote // by publisher's service and project: no permission
	failed  int                     // creations in a row
	again   bool                    // an event turned out to be for projects only
	done    map[string]int          // subscriptions that were mended, by the health that they had
}

// ended are the gaps of this run. They end now: what happens from here on is
// delivered.
func (r *reconciliation) ended() []Gap {
	now := time.Now().UTC().Round(0)
	for i := range r.report.Gaps {
		r.report.Gaps[i].Until = now
	}
	return r.report.Gaps
}

// run lists, plans and acts; twice when it learns on the way that an event is not
// to be had for the whole organization.
func (r *reconciliation) run(ctx context.Context) error {
	var err error
	if r.scope, err = r.h.scope(ctx); err != nil {
		return err
	}
	for range 2 {
		r.again = false
		if err := r.once(ctx); err != nil || !r.again {
			return err
		}
	}
	return nil
}

func (r *reconciliation) once(ctx context.Context) error {
	began := time.Now()
	var err error
	if r.list, err = r.h.listing(ctx, r.ask); err != nil {
		return err
	}
	r.list.lacking = r.h.lacking(ctx, r.ask, r.w.Events(), r.list)
	r.plan = r.h.newPlan(r.w, r.scope, r.list, r.h.oldURLs(true))
	r.present, r.stopped, r.failed, r.done = map[topic]bool{}, map[string]*refusalNote{}, 0, map[string]int{}
	r.report.Refused, r.report.Off, r.report.Postponed = nil, nil, 0
	r.unknowns()
	r.note()
	r.write(ctx)
	r.create(ctx)
	r.refresh(ctx)
	r.remove(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(r.list.unknown) == 0 && r.scope.err == nil {
		r.h.state.setChecked(r.h.c.Key(), began)
	}
	return nil
}

// unknowns reports what could not be listed, once per run.
func (r *reconciliation) unknowns() {
	r.report.Unknown = nil
	add := func(what string, err error) {
		r.report.Unknown = append(r.report.Unknown, Unknown{what, err.Error()})
	}
	for publisher, err := range r.list.unknown {
		add("publisher "+publisher, err)
	}
	for id, err := range r.scope.unknown {
		add("project "+projectLabel(r.scope.names[id], id), err)
	}
	if r.scope.err != nil {
		add("projects", r.scope.err)
	}
}

// note remembers what was listed: the registry, what is off, what is gone.
func (r *reconciliation) note() {
	r.forget()
	h := r.h
	for key, s := range r.plan.best {
		e := h.state.entry(s.ID)
		if e.Organization == "" {
			r.report.Adopted = append(r.report.Adopted, Change{Subscription: *s})
		}
		r.register(s, key, e)
		r.present[key] = true
	}
	for _, s := range r.plan.undecided {
		r.register(s, s.key(), h.state.entry(s.ID))
	}
	for _, s := range r.plan.off {
		r.report.Off = append(r.report.Off, Change{*s, "left alone: a person switched it off"})
	}
	r.report.Gaps = append(r.report.Gaps, r.plan.gaps...)
	r.report.Kept = len(r.plan.best) - len(r.plan.write) - len(r.plan.off)
}

// register enters a subscription as it is listed.
func (r *reconciliation) register(s *Subscription, key topic, e entry) {
	off := s.Status != statusEnabled
	switch {
	case !off:
		e.Since = time.Time{}
	case !e.Off && e.Organization != "":
		e.Since = r.h.state.checked(r.h.c.Key())
	}
	e.Organization, e.Event, e.Project, e.Queue, e.Off = r.h.c.Key(), key.Event, key.Project, key.Queue, off
	r.h.state.set(s.ID, e)
}

// forget drops what is not there any more. What has to be made anew stays until
// that is done, or nobody would know of the gap.
func (r *reconciliation) forget() {
	h, keep := r.h, map[string]bool{}
	for _, s := range r.list.all {
		keep[s.ID] = true
	}
	for _, loss := range r.plan.missing {
		keep[loss.id] = true
		e := h.state.entry(loss.id)
		e.Off, e.Since = true, loss.gap.Since
		h.state.set(loss.id, e)
	}
	for id, e := range h.state.of(h.c.Key()) {
		if !keep[id] && r.list.unknown[eventTypes[e.Event].publisher] == nil {
			h.state.drop(id)
		}
	}
}

// write replaces what has to be, except for mere refreshes.
func (r *reconciliation) write(ctx context.Context) {
	var jobs []rewrite
	for _, w := range r.plan.write {
		if w.reason != reasonRefreshed {
			jobs = append(jobs, w)
		}
	}
	parallel(ctx, width, jobs, r.replace)
}

// refresh writes subscriptions of which nobody knows the credentials.
func (r *reconciliation) refresh(ctx context.Context) {
	for _, w := range r.plan.write {
		if w.reason != reasonRefreshed {
			continue
		}
		r.replace(ctx, w)
		if rest.Sleep(ctx, refreshPace) != nil {
			return
		}
	}
}

// parallel does all jobs, a few at a time, in their order as far as possible.
func parallel[T any](ctx context.Context, width int, jobs []T, do func(context.Context, T)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, width)
	for _, job := range jobs {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-slots }()
			do(ctx, job)
		})
	}
}

// replace writes one subscription. What cannot be switched on again that way is
// made anew, and then the old one goes.
func (r *reconciliation) replace(ctx context.Context, w rewrite) {
	key, s := w.sub.key(), w.sub
	what := "write " + s.ID
	if !r.hope(what, key) {
		return
	}
	answer, err := r.h.put(ctx, r.ask, key, s)
	switch status := statusOf(err); {
	case ctx.Err() != nil:
		return
	case err == nil && (answer.Status == statusEnabled):
		r.replaced(key, w, answer)
		return
	case err == nil, status == http.StatusNotFound, status == http.StatusBadRequest, status == http.StatusConflict:
		if w.reason != reasonOff && status != http.StatusNotFound {
			break
		}
		r.renew(ctx, key, w, status == http.StatusNotFound)
		return
	}
	if err == nil {
		err = fmt.Errorf("%w: the status stays %s", rest.ErrMalformed, answer.Status)
	}
	r.refusedOrUnknown(what, key, err)
}

// replaced notes a subscription that was written.
func (r *reconciliation) replaced(key topic, w rewrite, answer *Subscription) {
	r.h.made(key, answer)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = 0
	change := Change{*w.sub, w.reason.String()}
	switch w.reason {
	case reasonOff:
		r.done[healthBroken]++
	case reasonRefreshed:
	default:
		r.done[healthDiffers]++
	}
	if w.reason != reasonOff {
		r.report.Repaired = append(r.report.Repaired, change)
		return
	}
	change.Reason = w.sub.Status
	r.report.Reenabled = append(r.report.Reenabled, change)
	if w.gap != nil {
		r.report.Gaps = append(r.report.Gaps, *w.gap)
	}
}

// renew makes a subscription anew and removes the old one.
func (r *reconciliation) renew(ctx context.Context, key topic, w rewrite, gone bool) {
	answer, err := r.h.post(ctx, r.ask, key, w.sub.ID)
	if err != nil {
		r.refusedOrUnknown("write "+w.sub.ID, key, err)
		return
	}
	r.replaced(key, w, answer)
	if gone {
		r.h.state.drop(w.sub.ID)
		return
	}
	r.delete(ctx, w.sub, "replaced by "+answer.ID)
}

// create makes what is missing.
func (r *reconciliation) create(ctx context.Context) {
	parallel(ctx, width, r.plan.create, func(ctx context.Context, key topic) {
		if !r.mayCreate(key) {
			return
		}
		answer, err := r.h.post(ctx, r.ask, key, "")
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			r.refusedOrUnknown(key.String(), key, err)
			return
		}
		r.h.made(key, answer)
		answer.ProjectName = r.scope.names[key.Project]
		r.mu.Lock()
		defer r.mu.Unlock()
		r.failed = 0
		r.present[key] = true
		r.done[healthMissing]++
		r.report.Created = append(r.report.Created, Change{Subscription: *answer})
		if loss, ok := r.plan.missing[key]; ok {
			r.report.Gaps = append(r.report.Gaps, *loss.gap)
			r.h.state.drop(loss.id)
		}
		if len(r.report.Created)%50 == 0 {
			_ = r.h.state.save() // it is tried again at the end, and told then
		}
	})
}

// remove deletes what is not needed, once what it waits for is there.
func (r *reconciliation) remove(ctx context.Context) {
	var jobs []removal
	for _, x := range r.plan.remove {
		if slices.ContainsFunc(x.needs, func(k topic) bool { return !r.present[k] }) {
			continue
		}
		if len(jobs) == maxDeletions {
			r.report.Postponed++
			continue
		}
		jobs = append(jobs, x)
	}
	before := len(r.report.Removed)
	parallel(ctx, width, jobs, func(ctx context.Context, x removal) { r.delete(ctx, x.sub, x.reason) })
	for _, c := range r.report.Removed[before:] {
		if c.Reason == reasonDuplicate {
			r.done[healthDuplicate]++
		} else {
			r.done[healthLeftover]++
		}
	}
}

// delete removes one subscription.
func (r *reconciliation) delete(ctx context.Context, s *Subscription, reason string) {
	err := r.h.delete(ctx, r.ask, s)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.report.Unknown = append(r.report.Unknown, Unknown{"removal of " + s.ID, err.Error()})
		return
	}
	r.h.state.drop(s.ID)
	r.report.Removed = append(r.report.Removed, Change{*s, reason})
}
