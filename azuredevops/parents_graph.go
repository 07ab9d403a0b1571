package azuredevops

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

const (
	lookupTop = 500 // descriptors that a subject lookup takes
	// What waits for a lookup, and what is remembered of the ones before.
	lookupOwners = 256
	lookupBytes  = 2 << 20
)

// A groupList are the groups of the organization, in pages. With err, what there
// is may not be all.
type groupList struct {
	pages []*packed // arrays
	err   error
}

// A group is an entry of the list of groups.
type group struct {
	Descriptor string
	JSON       []byte // as listed; valid while the group is being worked on
}

// groupScope is that of everything listed below a group; like a repository it is
// a parent.
func (l *lister) groupScope(g *group) Scope {
	return Scope{Organization: l.c.Key(), Repository: g.Descriptor}
}

// eachGroup streams the groups. A *ScopeError stands for the rest of the
// organization.
func (l *lister) eachGroup(ctx context.Context) iter.Seq2[*group, error] {
	return within(Scope{Organization: l.c.Key()}, func(yield func(*group, error) bool) {
		all, err := l.groups.get(ctx, l.fetchGroups)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, kept := range all.pages {
			b, err := kept.unpack()
			if err != nil {
				yield(nil, err)
				return
			}
			for obj := range rawjson.Elements(b) {
				if !yield(&group{rawjson.Text(obj, "descriptor"), obj}, nil) {
					return
				}
			}
		}
		if all.err != nil {
			yield(nil, fmt.Errorf("list of groups: %w", all.err))
		}
	})
}

// fetchGroups lists the groups, each once even if the list moves on between two
// pages. Its error is only ever that of ctx.
//
// https://learn.microsoft.com/rest/api/azure/devops/graph/groups/list
func (l *lister) fetchGroups(ctx context.Context) (*groupList, error) {
	out := &groupList{}
	seen := map[string]bool{}
	for p, err := range l.pages(ctx, &request{Host: rest.VSSPS, Route: "_apis/graph/groups", ID: "descriptor"}, "value") {
		if err != nil {
			out.err = listed(err)
			break
		}
		var array []byte
		for obj := range p.Objects() {
			d := rawjson.Text(obj, "descriptor")
			if !seen[d] {
				array = appendElement(array, obj)
			}
			seen[d] = true
		}
		p.Free()
		out.pages = append(out.pages, pack(closeArray(array), packSmallAbove))
	}
	return out, ctx.Err()
}

// memberships are the descriptors that a subject is linked to: its groups (Up) or
// its members (Down), direct ones only.
//
// https://learn.microsoft.com/rest/api/azure/devops/graph/memberships/list
func (l *lister) memberships(ctx context.Context, descriptor, direction, key string) ([]string, error) {
	p, err := l.list(ctx, &request{
		Host: rest.VSSPS, Route: "_apis/graph/memberships/{subject}", Args: []string{descriptor}, Query: []string{"direction", direction}, ID: key,
	}, "value")
	if err != nil {
		return nil, fmt.Errorf("memberships: %w", listed(err))
	}
	defer p.Free()
	var out []string
	for obj := range p.Objects() {
		out = append(out, rawjson.Text(obj, key))
	}
	return out, nil
}

// An owner is an object with the descriptors of the subjects that belong to it.
type owner struct {
	JSON  []byte
	scope Scope
	ids   []string
	err   error // the descriptors could not be read
}

// subjects are what a lookup found, and why it failed for others.
type subjects struct {
	found  map[string][]byte
	failed map[string]error
	size   int
}

// get is a subject, or why it is unknown: something refers to it, so it cannot
// simply be absent.
func (s *subjects) get(id string) ([]byte, error) {
	if obj := s.found[id]; obj != nil {
		return obj, nil
	}
	if err := s.failed[id]; err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("subject %s: %w", id, errLost)
}

// lookedUp streams what of makes of each owner and its subjects. Owners wait for one
// another until a lookup is worth a call; subjects that belong to many are looked up
// once, as far as memory allows.
func (l *lister) lookedUp(owners stream[owner], of func(o owner, s *subjects, yield func(Record, error) bool) bool) stream[Record] {
	return func(ctx context.Context) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			known := newSubjects()
			var waiting []result[owner]
			var ids []string
			flush := func() bool {
				l.lookUp(ctx, known, ids)
				for _, w := range waiting {
					if w.err != nil && !yield(Record{}, w.err) || w.err == nil && !of(w.value, known, yield) {
						return false
					}
				}
				waiting, ids = waiting[:0], ids[:0]
				known.forget()
				return true
			}
			asked := map[string]bool{}
			for o, err := range owners(ctx) {
				waiting = append(waiting, result[owner]{o, err})
				for _, id := range o.ids {
					if known.found[id] == nil && !asked[id] {
						asked[id] = true
						ids = append(ids, id)
					}
				}
				if len(ids) >= lookupTop || len(waiting) >= lookupOwners {
					clear(asked)
					if !flush() {
						return
					}
				}
			}
			flush()
		}
	}
}

func newSubjects() *subjects {
	return &subjects{found: map[string][]byte{}, failed: map[string]error{}}
}

// forget bounds the memory.
func (s *subjects) forget() {
	clear(s.failed)
	if s.size > lookupBytes {
		clear(s.found)
		s.size = 0
	}
}

// lookUp finds subjects by their descriptors.
//
// https://learn.microsoft.com/rest/api/azure/devops/graph/subject-lookup/lookup-subjects
func (l *lister) lookUp(ctx context.Context, into *subjects, ids []string) {
	for chunk := range slices.Chunk(ids, lookupTop) {
		if err := l.lookUpChunk(ctx, into, chunk); err != nil {
			for _, id := range chunk {
				into.failed[id] = err
			}
		}
	}
}

func (l *lister) lookUpChunk(ctx context.Context, into *subjects, ids []string) error {
	body := []byte(`{"lookupKeys":[`)
	for i, id := range ids {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(gjson.AppendJSONString(append(body, `{"descriptor":`...), id), '}')
	}
	p, err := l.send(ctx, &request{
		Host: rest.VSSPS, Route: "_apis/graph/subjectlookup", Version: "7.1-preview.1", Body: append(body, "]}"...),
	})
	if err != nil {
		return fmt.Errorf("subject lookup: %w", listed(err))
	}
	defer p.Free()
	found := rawjson.Raw(p.Body, "value")
	if len(found) == 0 || found[0] != '{' {
		return fmt.Errorf("subject lookup: %w: no map of subjects", ErrMalformed)
	}
	gjson.Parse(rawjson.View(found)).ForEach(func(id, subject gjson.Result) bool {
		obj := []byte(subject.Raw)
		if subject.IsObject() && strings.EqualFold(rawjson.Text(obj, "descriptor"), id.String()) {
			into.found[strings.Clone(id.String())] = obj // found does not last
			into.size += len(obj)
		}
		return true
	})
	return nil
}
