package azuredevopstest

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// A WorkItem is a story, bug, task, feature or epic of a project.
type WorkItem struct {
	ID          int
	Rev         int
	Type        string
	Title       string
	State       string
	Reason      string
	Area        string // path below the project
	Iteration   string
	Description string
	Tags        string // separated by "; "
	AssignedTo  *Person
	CreatedBy   *Person
	ChangedBy   *Person
	Created     time.Time
	Changed     time.Time
	Parent      int
	Priority    int
	// Fields holds further fields by reference name, such as
	// Microsoft.VSTS.Scheduling.Effort. They win over the fields above; a nil
	// value leaves a field out.
	Fields map[string]any
	// Unreadable items are found by queries but cannot be read.
	Unreadable bool

	project *Project
}

// AddWorkItem adds an item in the first state of its type.
func (p *Project) AddWorkItem(typ, title string) *WorkItem {
	wi := &WorkItem{Type: typ, Title: title, Rev: 1, Priority: 2, Reason: "New", State: "New", Fields: map[string]any{}, project: p}
	p.world.change(func() news {
		w := p.world
		wi.ID = w.next("work item")
		wi.Created, wi.CreatedBy = w.now(), w.someone()
		wi.Changed, wi.ChangedBy = wi.Created, wi.CreatedBy
		for _, t := range processOf(p.Process).types {
			if t.name == typ {
				wi.State = t.states[0]
			}
		}
		p.WorkItems = append(p.WorkItems, wi)
		return func() []Event { return []Event{wi.event("workitem.created", "created", wi.json("all", nil, true))} }
	})
	return wi
}

// Project is the project of the item.
func (wi *WorkItem) Project() *Project { return wi.project }

// Update edits the item, raises its revision and announces the change.
func (wi *WorkItem) Update(edit func(*WorkItem)) Event {
	return only(wi.project.world.change(func() news {
		w := wi.project.world
		var before object
		if !w.silent {
			before = wi.fields(false, true)
		}
		edit(wi)
		wi.Rev++
		wi.Changed = w.now()
		return func() []Event { return []Event{wi.event("workitem.updated", "updated", wi.update(before))} }
	}))
}

// Delete moves the item to the recycle bin, where the API does not find it.
func (wi *WorkItem) Delete() Event {
	p := wi.project
	return only(p.world.change(func() news {
		p.WorkItems = slices.DeleteFunc(p.WorkItems, func(x *WorkItem) bool { return x == wi })
		return func() []Event { return []Event{wi.event("workitem.deleted", "deleted", wi.json("", nil, true))} }
	}))
}

// Restore brings a deleted item back.
func (wi *WorkItem) Restore() Event {
	p := wi.project
	return only(p.world.change(func() news {
		i, found := slices.BinarySearchFunc(p.WorkItems, wi.ID, byWorkItemID)
		if found {
			return nil
		}
		p.WorkItems = slices.Insert(p.WorkItems, i, wi)
		wi.Rev++
		return func() []Event { return []Event{wi.event("workitem.restored", "restored", wi.json("", nil, true))} }
	}))
}

func byWorkItemID(x *WorkItem, id int) int { return cmp.Compare(x.ID, id) }

// workItem finds an item of a project, or of any when p is nil.
func (w *World) workItem(p *Project, id int) *WorkItem {
	projects := w.Projects
	if p != nil {
		projects = []*Project{p}
	}
	for _, p := range projects {
		if i, ok := slices.BinarySearchFunc(p.WorkItems, id, byWorkItemID); ok {
			return p.WorkItems[i]
		}
	}
	return nil
}

func (wi *WorkItem) event(typ, verb string, resource object) Event {
	p := wi.project
	text := wi.Type + " #" + strconv.Itoa(wi.ID) + " (" + wi.Title + ") " + verb + " by " + p.world.someone().Name + "."
	return p.world.event(p, typ, "tfs", "1.0", text, map[string]string{"workItemType": wi.Type, "areaPath": wi.path(wi.Area)}, resource)
}

// update is the resource of workitem.updated: what changed, and the whole item
// as its revision.
func (wi *WorkItem) update(before object) object {
	old := map[string]string{}
	for i := 0; i+1 < len(before); i += 2 {
		if _, gone := before[i+1].(absent); !gone {
			old[before[i].(string)] = string(encode(before[i+1]))
		}
	}
	changed := object{"System.Rev", object{"oldValue", wi.Rev - 1, "newValue", wi.Rev}}
	after := wi.fields(false, true)
	for i := 0; i+1 < len(after); i += 2 {
		name, _ := after[i].(string)
		was, had := old[name]
		_, gone := after[i+1].(absent)
		switch {
		case gone && had:
			changed = append(changed, name, object{"oldValue", raw(was)})
		case !gone && !had:
			changed = append(changed, name, object{"newValue", after[i+1]})
		case !gone && was != string(encode(after[i+1])):
			changed = append(changed, name, object{"oldValue", raw(was), "newValue", after[i+1]})
		}
	}
	by := wi.project.world.someone()
	return object{
		"id", wi.Rev,
		"workItemId", wi.ID,
		"rev", wi.Rev,
		"revisedBy",
		object{"id", by.ID, "displayName", by.Name, "uniqueName", by.Mail, "name", by.text()},
		"revisedDate", "9999-01-01T00:00:00Z",
		"fields", changed,
		"url", wi.url() + "/updates/" + strconv.Itoa(wi.Rev),
		"revision",
		object{"id", wi.ID, "rev", wi.Rev, "fields", after, "url", wi.url() + "/revisions/" + strconv.Itoa(wi.Rev)},
	}
}

func (wi *WorkItem) url() string { return wi.project.below("wit/workItems/" + strconv.Itoa(wi.ID)) }

// path is an area or iteration path of the project.
func (wi *WorkItem) path(below string) string {
	if below == "" {
		return wi.project.Name
	}
	return wi.project.Name + `\` + below
}

// identity is a person as REST answers show it, and as events do.
func identity(p *Person, text bool) any {
	switch {
	case p == nil:
		return absent{}
	case text:
		return p.text()
	default:
		return p.ref()
	}
}

// fields lists the fields in the order of the service. All adds those that only
// an expanded request shows; text spells identities as events do.
func (wi *WorkItem) fields(all, text bool) object {
	changed := wi.Changed
	o := object{
		"System.Id", some(all, wi.ID),
		"System.AreaPath", wi.path(wi.Area),
		"System.TeamProject", wi.project.Name,
		"System.Rev", some(all, wi.Rev),
		"System.AuthorizedDate", some(all, changed),
		"System.RevisedDate", some(all, "9999-01-01T00:00:00Z"),
		"System.IterationPath", wi.path(wi.Iteration),
		"System.WorkItemType", wi.Type,
		"System.State", wi.State,
		"System.Reason", wi.Reason,
		"System.AssignedTo", identity(wi.AssignedTo, text),
		"System.CreatedDate", wi.Created,
		"System.CreatedBy", identity(wi.CreatedBy, text),
		"System.ChangedDate", changed,
		"System.ChangedBy", identity(wi.ChangedBy, text),
		"System.CommentCount", 0,
		"System.Title", wi.Title,
		"System.BoardColumn", opt(wi.project.column(wi.Type, wi.State)),
		"System.BoardColumnDone", some(wi.project.column(wi.Type, wi.State) != "", false),
		"Microsoft.VSTS.Common.StateChangeDate", changed,
		"Microsoft.VSTS.Common.Priority", opt(wi.Priority),
		"System.Description", opt(wi.Description),
		"System.Tags", opt(wi.Tags),
		"System.Parent", opt(wi.Parent),
	}
	for _, name := range sortedKeys(wi.Fields) {
		value := wi.Fields[name]
		if p, ok := value.(*Person); ok {
			value = identity(p, text)
		}
		if value == nil {
			value = absent{}
		}
		at := -1
		for i := 0; i < len(o); i += 2 {
			if o[i] == name {
				at = i + 1
			}
		}
		if at < 0 {
			o = append(o, name, value)
		} else {
			o[at] = value
		}
	}
	return o
}

// json is the item for an $expand value (lower case: all, relations, links,
// fields or none). only, when not nil, picks fields by lower-case name.
func (wi *WorkItem) json(expand string, only map[string]bool, text bool) object {
	fields := wi.fields(expand == "all" || expand == "fields" || only != nil, text)
	if only != nil {
		fields = pick(fields, only)
	}
	var relations any = absent{}
	if wi.Parent != 0 && (expand == "all" || expand == "relations") {
		relations = array{object{
			"rel", "System.LinkTypes.Hierarchy-Reverse",
			"url", wi.project.below("wit/workItems/" + strconv.Itoa(wi.Parent)),
			"attributes",
			object{"isLocked", false, "name", "Parent"},
		}}
	}
	return object{
		"id", wi.ID,
		"rev", wi.Rev,
		"fields", fields,
		"relations", relations,
		"_links", some(expand == "all" || expand == "links", wi.links()),
		"url", wi.url(),
	}
}

func (wi *WorkItem) links() object {
	return object{
		"self", link(wi.url()),
		"workItemUpdates", link(wi.url() + "/updates"),
		"workItemRevisions", link(wi.url() + "/revisions"),
		"workItemComments", link(wi.url() + "/comments"),
		"html", link(wi.project.world.orgURL() + "/" + wi.project.ID + "/_workitems/edit/" + strconv.Itoa(wi.ID)),
		"fields", link(wi.project.below("wit/fields")),
	}
}
