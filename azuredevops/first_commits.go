package azuredevops

import (
	"context"
	"sync/atomic"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// firstCommits are the first commits of builds. Those of finished builds are
// remembered until the repository is renamed, because the addresses of commits
// contain its name.
//
// A change shows its author as the directory has them today. So a remembered author
// counts only once a change by the same author, read in this listing, shows the
// same.
type firstCommits struct {
	*lister
	authors cache[string, string] // by id: a digest of what a change read now shows
	doubt   atomic.Bool           // a change has another author than before: nothing holds
}

// of is firstCommit, without the calls where that is known.
func (f *firstCommits) of(ctx context.Context, build *parent) ([]byte, error) {
	of := memorable{"first commit 1", build.Project, build.ID, buildRevision(build.JSON)}
	if of.revision != "" {
		of.revision += " " + rawjson.Text(build.JSON, "sourceVersion") + " " + hexDigest(string(rawjson.Raw(build.JSON, "repository")))
	}
	known, ok := f.recall(of)
	if !ok {
		return f.fresh(ctx, of, build, "")
	}
	id, looks := authorOf(known)
	if id == "" {
		return known, nil
	}
	var own []byte
	asked := false
	now, err := f.authors.get(ctx, id, func(ctx context.Context) (string, error) {
		var err error
		asked = true
		own, err = f.fresh(ctx, of, build, id)
		_, looks := authorOf(own)
		return looks, err
	})
	switch {
	case asked:
		return own, err
	case err != nil || now != looks || f.doubt.Load():
		return f.fresh(ctx, of, build, id)
	}
	return known, nil
}

// fresh asks for a first commit again that was remembered with another author.
func (f *firstCommits) fresh(ctx context.Context, of memorable, build *parent, before string) ([]byte, error) {
	first, settled, err := f.firstCommit(ctx, build)
	if err != nil {
		return nil, err
	}
	id, looks := authorOf(first)
	switch {
	case before != "" && before != id:
		f.doubt.Store(true)
	case before == "" && id != "":
		_, err = f.authors.get(ctx, id, func(context.Context) (string, error) { return looks, nil })
	}
	if settled {
		f.keep(of, first)
	}
	return first, err
}

// authorOf is the id of a change's author and a digest of the author. Authors from
// other services have no id and are part of the commit, so they do not change.
func authorOf(change []byte) (id, looks string) {
	author := rawjson.Raw(change, "author")
	if id = rawjson.Text(author, "id"); id == "" {
		return "", ""
	}
	return id, hexDigest(string(author), rawjson.Text(change, "pusher"))
}
