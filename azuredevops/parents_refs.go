package azuredevops

import (
	"context"
	"errors"
	"iter"
	"math"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// refPages streams the pages of the branches, which may have been read for their tips.
func (l *lister) refPages(ctx context.Context, r *repository) iter.Seq2[*page, error] {
	if !l.tipsOf(r) {
		return l.pages(ctx, branchesOf(r.Project.ID, r.ID), "value")
	}
	return func(yield func(*page, error) bool) {
		list, err := l.refList(ctx, r)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, kept := range list {
			p := &page{}
			if p.Body, err = kept.unpack(); err == nil {
				err = p.ReadList("value", "name", false)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// refCacheBytes bounds the branches that are kept for both their records and their tips.
const refCacheBytes = 8 << 20

// A refList is the pages of a repository's branches.
type refList []*packed

func newRefLists() *cache[string, refList] {
	return &cache[string, refList]{most: refCacheBytes, lists: true, size: func(list refList) int {
		n := 0
		for _, p := range list {
			n += p.kept()
		}
		return n
	}}
}

// tipsOf says whether the branches are read for both kind branch and those that read
// files, which need not list the folders of a branch that is where it was. With many
// repositories only some of them are: no list is read twice.
func (l *lister) tipsOf(r *repository) bool {
	return l.noting() && l.reads.has(routeRefs) && len(l.expected()) > 0 && (l.refs.has(r.ID, math.MaxInt64) || !l.refs.halfFull())
}

func (l *lister) refList(ctx context.Context, r *repository) (refList, error) {
	return l.refs.get(ctx, r.ID, func(ctx context.Context) (refList, error) {
		var out refList
		for p, err := range l.pages(ctx, branchesOf(r.Project.ID, r.ID), "value") {
			if err != nil {
				return nil, err
			}
			out = append(out, pack(p.Body, packSmallAbove))
			p.Free()
		}
		return out, nil
	})
}

var errNoTip = errors.New("the commit of the branch is not known")

// tip is the commit that the branch of the repository is at.
func (l *lister) tip(ctx context.Context, r *repository) (string, error) {
	if !l.tipsOf(r) {
		return "", errNoTip
	}
	list, err := l.refList(ctx, r)
	if err != nil {
		return "", err
	}
	for _, kept := range list {
		b, err := kept.unpack()
		if err != nil {
			return "", err
		}
		for obj := range rawjson.Objects(b, "value") {
			if rawjson.Text(obj, "name") == headsPrefix+r.Branch {
				return strings.Clone(rawjson.Text(obj, "objectId")), nil
			}
		}
	}
	return "", errNoTip
}
