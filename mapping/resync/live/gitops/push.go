package gitops

import (
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops"
)

// maxRefs is how many refs of a push are told apart. Azure Repos bounds a push by
// its bytes only; for so many refs it is less work to look at the repository than
// to find out whether that is needed.
//
// https://learn.microsoft.com/azure/devops/repos/git/limits
const maxRefs = 1000

// A Push says where to look: pushes of one repository are one.
type Push struct {
	Project, Repository string // ids

	refs  map[string]bool // full names
	whole bool            // it is not told which refs
	at    time.Time       // what was read since is as it was after the push
}

// concerns tells whether a branch may have been pushed.
func (p *Push) concerns(branch string) bool {
	return branch != "" && (p.whole || p.refs[headsPrefix+branch])
}

// Pushes are the pushes of several deliveries.
type Pushes struct {
	List []*Push
	of   map[[2]string]*Push
}

// Add adds what an event says. One that is not a push, or names no repository, says
// nothing.
func (all *Pushes) Add(ev *azuredevops.Event) {
	if ev.Type != "git.push" || ev.Project == "" || ev.Repository() == "" {
		return
	}
	key := [2]string{ev.Project, ev.Repository()}
	p := all.of[key]
	if p == nil {
		p = &Push{Project: key[0], Repository: key[1], refs: map[string]bool{}, at: time.Now()}
		if all.of == nil {
			all.of = map[[2]string]*Push{}
		}
		all.of[key] = p
		all.List = append(all.List, p)
	}
	named := false
	gjson.GetBytes(ev.Resource, "refUpdates").ForEach(func(_, ref gjson.Result) bool {
		p.refs[ref.Get("name").String()] = true
		named = true
		return len(p.refs) <= maxRefs
	})
	if !named || len(p.refs) > maxRefs {
		p.whole, p.refs = true, map[string]bool{}
	}
}
