package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// refusalTTL is how long an organization that has refused a fresh token is not worth
// another one: what it refuses then is not the age of the token, and the other
// organizations of the identity need not wait for new tokens again and again.
const refusalTTL = 5 * time.Minute

// An account is a credential as one organization takes it.
type account struct {
	Credential
	server bool // Azure DevOps Server
	log    *slog.Logger

	taken    atomic.Bool  // some request was answered
	hopeless atomic.Int64 // Unix nanoseconds until when a refusal is final
	warned   [2]atomic.Bool
}

// accepted notes an answer.
func (a *account) accepted() {
	if !a.taken.Load() {
		a.taken.Store(true)
	}
}

// refused notes that r was not signed in and reports whether it is worth sending
// once more; fresh says that it has been already. If not, err gets the advice,
// and people are warned once.
func (a *account) refused(ctx context.Context, r *http.Request, err error, fresh bool) bool {
	now := time.Now()
	switch {
	case fresh:
		a.hopeless.Store(now.Add(refusalTTL).UnixNano())
	case now.UnixNano() >= a.hopeless.Load() && a.Invalidate(r):
		return true
	}
	adv, ok := a.Credential.(advisor)
	if !ok {
		return false
	}
	before, kind := a.taken.Load(), 0
	if before {
		kind = 1
	}
	text := adv.advice(before, a.server)
	if e, ok := errors.AsType[*Error](err); ok && e.Message == "" {
		e.Message = text
	}
	if !a.warned[kind].Swap(true) {
		a.log.WarnContext(ctx, "the organization refuses the credential", "url", PlainURL(r.URL), "advice", text)
	}
	return false
}
