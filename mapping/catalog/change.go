package catalog

import (
	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// An Action is what was done to an entity.
type Action string

// Actions.
const (
	Created Action = "created"
	Updated Action = "updated" // it differed
	Put     Action = "written" // without a comparison: it may have been the same before
	Gone    Action = "deleted"
)

// A Change is one entity that was written or deleted.
type Change struct {
	port.Ref
	Action Action
	Cause  Cause
	// Kind and Resource are where the entity comes from, as [Source] says; empty
	// for a deletion.
	Kind, Resource string
	// Differences are the members that an update has changed, as a comparison just
	// before the writing has found them.
	Differences []mapping.Difference
	Proof       string // of a deletion

	body []byte // that was written
}

// Members are the names of the members that have changed; where nothing was
// compared, of all that were set.
func (c *Change) Members() []string {
	if c.Differences == nil {
		return MembersOf(c.body)
	}
	names := make([]string, len(c.Differences))
	for i := range names {
		names[i] = c.Differences[i].Path
	}
	return names
}

// MembersOf are the members that a body sets, as a search names them.
func MembersOf(body []byte) (names []string) {
	gjson.ParseBytes(body).ForEach(func(key, val gjson.Result) bool {
		switch key.Str {
		case "properties", "relations":
			val.ForEach(func(name, _ gjson.Result) bool {
				names = append(names, key.Str+"."+name.Str)
				return true
			})
		case "title", "icon", "team":
			names = append(names, key.Str)
		}
		return true
	})
	return names
}
