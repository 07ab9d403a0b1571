package azuredevops

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// firstCommits are the first commits of builds. Those of finished builds are
// remembered until the repository is renamed, because the addresses of commits
// contain its name.
//
// A change shows its author as the directory has them today. So a remembered author
// counts only once a change by the same author, read in this listing, shows the
// same. And a remembered commit of a repository counts only while the repository can be
// read: builds outlive it, their commits do not.
type firstCommits struct {
	*lister
	authors cache[string, string] // by id: a digest of what a change read now shows
	doubt   atomic.Bool           // a change has another author than before: nothing holds
	// readable are the repositories of each project that are there and not disabled.
	readable cache[string, map[string]struct{}]
}

// of is firstCommit, without the calls where that is known.
func (f *firstCommits) of(ctx context.Context, build *parent) ([]byte, error) {
	of := memorable{"first commit 1", build.Project, build.ID, buildRevision(build.JSON)}
	if of.revision != "" {
		of.revision += " " + rawjson.Text(build.JSON, "sourceVersion") + " " + hexDigest(string(rawjson.Raw(build.JSON, "repository")))
	}
	known, ok := f.recall(of)
	if !ok || !f.canBeRead(ctx, build, known) {
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

// canBeRead says whether the repository that a remembered commit was read in is still
// there. A change needs none: it is read from the build.
func (f *firstCommits) canBeRead(ctx context.Context, build *parent, known []byte) bool {
	if rawjson.Text(known, "commitId") == "" {
		return true
	}
	readable, err := f.readable.get(ctx, build.Project.ID, func(ctx context.Context) (map[string]struct{}, error) {
		b, err := f.repositoryList(ctx, build.Project)
		if err != nil {
			return nil, err
		}
		ids := map[string]struct{}{}
		for obj := range rawjson.Objects(b, "value") {
			if r := newRepository(build.Project, obj); r.healthy() {
				ids[strings.ToLower(r.ID)] = struct{}{}
			}
		}
		return ids, nil
	})
	_, ok := readable[strings.ToLower(rawjson.Text(rawjson.Raw(build.JSON, "repository"), "id"))]
	return err == nil && ok
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
