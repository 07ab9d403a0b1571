package azuredevopstest

import "strings"

// A Board is a Kanban board of a team.
type Board struct {
	ID       string
	Name     string
	Revision int
	Columns  []*Column
}

// A Column of a board. States maps work item types to the state that places an
// item in the column.
type Column struct {
	ID        string
	Name      string
	Type      string // incoming, inProgress or outgoing
	ItemLimit int
	Split     bool
	States    map[string]string
}

// A process is a process template: the states of each work item type and the
// boards that a team starts with.
type process struct {
	id, name string
	types    []workItemType
	boards   []boardTemplate
}

// A workItemType has its states in the order of the workflow; the first is that
// of a new item.
type workItemType struct {
	name   string
	states []string
}

type boardTemplate struct {
	name    string
	columns []columnTemplate
}

type columnTemplate struct {
	name, kind string
	limit      int
	states     map[string]string
}

// processOf describes a process template; an unknown one is Agile.
func processOf(name string) process {
	switch name {
	case "Scrum":
		return scrum()
	case "Basic":
		return basic()
	default:
		return agile()
	}
}

func agile() process {
	story := []string{"New", "Active", "Resolved", "Closed", "Removed"}
	board := func(types ...string) []columnTemplate {
		return []columnTemplate{
			{"New", "incoming", 0, same("New", types...)},
			{"Active", "inProgress", 5, same("Active", types...)},
			{"Resolved", "inProgress", 5, same("Resolved", types...)},
			{"Closed", "outgoing", 0, same("Closed", types...)},
		}
	}
	return process{
		id: "adcc42ab-9882-485e-a3ed-7678f01f66bc", name: "Agile",
		types: []workItemType{
			{"User Story", story},
			{"Bug", []string{"New", "Active", "Resolved", "Closed"}},
			{"Task", []string{"New", "Active", "Closed", "Removed"}},
			{"Feature", story},
			{"Epic", story},
		},
		boards: []boardTemplate{
			{"Stories", board("User Story", "Bug")},
			{"Features", board("Feature")},
			{"Epics", board("Epic")},
		},
	}
}

func scrum() process {
	item := []string{"New", "Approved", "Committed", "Done", "Removed"}
	feature := []string{"New", "In Progress", "Done", "Removed"}
	wide := func(types ...string) []columnTemplate {
		return []columnTemplate{
			{"New", "incoming", 0, same("New", types...)},
			{"In Progress", "inProgress", 5, same("In Progress", types...)},
			{"Done", "outgoing", 0, same("Done", types...)},
		}
	}
	return process{
		id: "6b724908-ef14-45cf-84f8-768b5384da45", name: "Scrum",
		types: []workItemType{
			{"Product Backlog Item", item},
			{"Bug", item},
			{"Task", []string{"To Do", "In Progress", "Done", "Removed"}},
			{"Feature", feature},
			{"Epic", feature},
		},
		boards: []boardTemplate{
			{"Backlog items", []columnTemplate{
				{"New", "incoming", 0, same("New", "Product Backlog Item", "Bug")},
				{"Approved", "inProgress", 5, same("Approved", "Product Backlog Item", "Bug")},
				{"Committed", "inProgress", 5, same("Committed", "Product Backlog Item", "Bug")},
				{"Done", "outgoing", 0, same("Done", "Product Backlog Item", "Bug")},
			}},
			{"Features", wide("Feature")},
			{"Epics", wide("Epic")},
		},
	}
}

func basic() process {
	states := []string{"To Do", "Doing", "Done"}
	board := func(typ string) []columnTemplate {
		return []columnTemplate{
			{"To Do", "incoming", 0, same("To Do", typ)},
			{"Doing", "inProgress", 5, same("Doing", typ)},
			{"Done", "outgoing", 0, same("Done", typ)},
		}
	}
	return process{
		id: "b8a3a935-7e91-48b8-a94c-606d37c3e9f2", name: "Basic",
		types:  []workItemType{{"Issue", states}, {"Task", states}, {"Epic", states}},
		boards: []boardTemplate{{"Issues", board("Issue")}, {"Epics", board("Epic")}},
	}
}

// same maps every type to one state.
func same(state string, types ...string) map[string]string {
	m := make(map[string]string, len(types))
	for _, t := range types {
		m[t] = state
	}
	return m
}

func (p *Project) newBoard(t boardTemplate) *Board {
	b := &Board{ID: p.world.newID("board"), Name: t.name, Revision: 1}
	for _, c := range t.columns {
		b.Columns = append(b.Columns, &Column{
			ID: p.world.newID("column"), Name: c.name, Type: c.kind, ItemLimit: c.limit, States: c.states,
		})
	}
	return b
}

func (t *Team) board(key string) *Board {
	for _, b := range t.Boards {
		if strings.EqualFold(b.ID, key) || strings.EqualFold(b.Name, key) {
			return b
		}
	}
	return nil
}

// column is where an item of a type and state stands on the boards of the
// project's default team; empty when on none.
func (p *Project) column(typ, state string) string {
	if len(p.Teams) == 0 {
		return ""
	}
	for _, b := range p.Teams[0].Boards {
		for _, c := range b.Columns {
			if s, ok := c.States[typ]; ok && s == state {
				return c.Name
			}
		}
	}
	return ""
}

func (c *Column) json() object {
	return object{
		"id", c.ID,
		"name", c.Name,
		"itemLimit", c.ItemLimit,
		"stateMappings", c.States,
		"isSplit", some(c.Type == "inProgress", c.Split),
		"description", some(c.Type == "inProgress", ""),
		"columnType", c.Type,
	}
}

func (t *Team) boardRef(b *Board) object {
	return object{"id", b.ID, "url", t.workURL() + "boards/" + b.ID, "name", b.Name}
}

func (t *Team) workURL() string {
	return t.project.world.orgURL() + "/" + t.project.ID + "/" + t.ID + "/_apis/work/"
}

// boardJSON is the board as a single answer: the list's object with columns,
// rows, fields and what may be mapped where.
func (t *Team) boardJSON(b *Board) object {
	self := t.workURL() + "boards/" + b.ID
	field := "WEF_" + strings.ToUpper(strings.ReplaceAll(b.ID, "-", "")) + "_Kanban."
	named := func(name string) object {
		return object{"referenceName", field + name, "url", t.project.world.orgURL() + "/_apis/wit/fields/" + field + name}
	}
	var columns []object
	allowed := map[string]any{"Incoming": map[string]any{}, "InProgress": map[string]any{}, "Outgoing": map[string]any{}}
	for _, c := range b.Columns {
		columns = append(columns, c.json())
		kind := allowed[strings.ToUpper(c.Type[:1])+c.Type[1:]].(map[string]any)
		for typ, state := range c.States {
			states, _ := kind[typ].([]string)
			kind[typ] = append(states, state)
		}
	}
	return append(t.boardRef(b),
		"revision", b.Revision,
		"columns", columns,
		"rows", array{object{"id", "00000000-0000-0000-0000-000000000000", "name", nil, "color", nil}},
		"isValid", true,
		"allowedMappings", allowed,
		"canEdit", true,
		"fields", object{"columnField", named("Column"), "rowField", named("Lane"), "doneField", named("Column.Done")},
		"_links", object{
			"self", link(self),
			"project", link(t.project.url()),
			"team", link(t.url()),
			"charts", link(self + "/charts"),
			"columns", link(self + "/columns"),
			"rows", link(self + "/rows"),
		},
	)
}
