package azuredevops

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

// askPatience bounds the first question. An organization that does not answer in
// time has not refused.
const askPatience = 5 * time.Second

// Ask asks every organization for its list of projects, which the next resync then
// has: a wrong credential is found before anything else is done. It is an error when
// all of them refuse. Whatever else goes wrong may pass, and is for the resync to tell.
func Ask(ctx context.Context, organizations []*Client) error {
	asking, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	errs := make([]error, len(organizations))
	var wg sync.WaitGroup
	for i, c := range organizations {
		wg.Go(func() { errs[i] = c.ask(asking) })
	}
	wg.Wait()
	if slices.ContainsFunc(errs, func(err error) bool { return !refused(err) }) {
		return ctx.Err()
	}
	return errors.Join(errs...)
}

// refused tells an answer that people have to do something about. An organization
// that does not exist is a 404.
func refused(err error) bool {
	e, ok := errors.AsType[*rest.Error](err)
	return errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrForbidden) || ok && e.StatusCode == http.StatusNotFound
}

// askedFor is how long snapshots use the list of projects that ask has brought.
const askedFor = time.Minute

// ask asks for the list of projects before there is a use for it: that shows whether
// the credential is good. Snapshots of the next minute have the list from it. The
// error is about the organization as a whole.
func (c *Client) ask(ctx context.Context) error {
	m := newMemo[*projectList]()
	list, err := m.get(ctx, (&lister{Snapshot: c.Snapshot()}).fetchProjects)
	if err != nil {
		return err
	}
	bad := slices.IndexFunc(list.entries, func(e result[*project]) bool { return e.err != nil })
	if bad < 0 {
		c.asked.Store(m)
		return nil
	}
	err = list.entries[bad].err
	if e, ok := errors.AsType[*ScopeError](err); ok && e.Scope.Project != "" {
		return nil
	}
	return err
}
