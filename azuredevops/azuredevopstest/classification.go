package azuredevopstest

import (
	"net/url"
	"strings"
	"time"
)

// A Node is an area or an iteration. The roots of both trees have the name of
// the project and are not in the model.
type Node struct {
	ID         int
	Identifier string
	Name       string
	Start      time.Time // of iterations
	Finish     time.Time
	Children   []*Node

	parent *Node
}

// AddArea adds an area below another, or below the root for nil.
func (p *Project) AddArea(parent *Node, name string) *Node { return p.addNode(&p.Areas, parent, name) }

// AddIteration adds an iteration below another, or below the root for nil.
func (p *Project) AddIteration(parent *Node, name string, start, finish time.Time) *Node {
	n := p.addNode(&p.Iterations, parent, name)
	p.world.Edit(func() { n.Start, n.Finish = start, finish })
	return n
}

func (p *Project) addNode(roots *[]*Node, parent *Node, name string) *Node {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	n := &Node{ID: 100 + p.world.next("node"), Identifier: p.world.newID("node"), Name: name, parent: parent}
	if parent != nil {
		roots = &parent.Children
	}
	*roots = append(*roots, n)
	return n
}

// path is the node's path below the root.
func (n *Node) path() string {
	if n.parent == nil {
		return n.Name
	}
	return n.parent.path() + `\` + n.Name
}

func classificationRoutes() []route {
	return []route{
		{method: "GET", pattern: "/{project}/_apis/wit/classificationnodes/{group}", handler: getClassification},
		{method: "GET", pattern: "/{project}/[{team}/]_apis/work/teamsettings/iterations", handler: listTeamIterations},
		{method: "GET", pattern: "/{project}/[{team}/]_apis/work/teamsettings/teamfieldvalues", handler: getTeamFieldValues},
	}
}

// getClassification answers the tree of areas or iterations, without children
// unless $depth asks for them.
//
// https://learn.microsoft.com/rest/api/azure/devops/wit/classification-nodes/get
func getClassification(q *request) *response {
	root, kind := &Node{Name: q.project.Name, Children: q.project.Areas}, "Area"
	switch strings.ToLower(q.param("group")) {
	case "areas":
	case "iterations":
		root, kind = &Node{Name: q.project.Name, Children: q.project.Iterations}, "Iteration"
	default:
		return notFound(witErrors+"WorkItemTrackingTreeNodeNotFoundException", "TF401243: The node '"+q.param("group")+"' does not exist.")
	}
	root.ID, root.Identifier = 1, q.world.idOf(kind, q.project.ID)
	return ok(q.project.node(root, kind, "", q.amount("$depth", 0)))
}

func (p *Project) node(n *Node, kind, below string, depth int) object {
	self := p.below("wit/classificationNodes/" + kind + "s")
	path := `\` + p.Name + `\` + kind
	if below != "" {
		self += "/" + (&url.URL{Path: strings.ReplaceAll(below, `\`, "/")}).EscapedPath()
		path += `\` + below
	}
	var children any = absent{}
	if depth > 0 && len(n.Children) > 0 {
		list := array{}
		for _, c := range n.Children {
			list = append(list, p.node(c, kind, c.path(), depth-1))
		}
		children = list
	}
	return object{
		"id", n.ID, "identifier", n.Identifier, "name", n.Name, "structureType", strings.ToLower(kind), "hasChildren", len(n.Children) > 0,
		"attributes", some(!n.Start.IsZero(), object{"startDate", n.Start, "finishDate", n.Finish}),
		"children", children, "path", path, "url", self,
	}
}

// listTeamIterations lists what the team selected, all iterations by default.
//
// https://learn.microsoft.com/rest/api/azure/devops/work/iterations/list
func listTeamIterations(q *request) *response {
	t, resp := q.boards()
	if resp != nil {
		return resp
	}
	var list []*Node
	var walk func([]*Node)
	walk = func(nodes []*Node) {
		for _, n := range nodes {
			list = append(list, n)
			walk(n.Children)
		}
	}
	walk(q.project.Iterations)
	return collection(list, func(n *Node) object {
		frame := "future"
		if now := q.world.now(); now.After(n.Finish) {
			frame = "past"
		} else if !now.Before(n.Start) {
			frame = "current"
		}
		return object{
			"id", n.Identifier, "name", n.Name, "path", q.project.Name + `\` + n.path(),
			"attributes",
			object{"startDate", timeOrNull(n.Start), "finishDate", timeOrNull(n.Finish), "timeFrame", frame},
			"url", t.workURL() + "teamsettings/iterations/" + n.Identifier,
		}
	})
}

// getTeamFieldValues answers the areas of the team: the whole project.
//
// https://learn.microsoft.com/rest/api/azure/devops/work/teamfieldvalues/get
func getTeamFieldValues(q *request) *response {
	t := q.team
	if t == nil {
		t = q.project.Teams[0]
	}
	return ok(object{
		"field",
		object{"referenceName", "System.AreaPath", "url", q.world.orgURL() + "/_apis/wit/fields/System.AreaPath"},
		"defaultValue", q.project.Name, "values",
		array{object{"value", q.project.Name, "includeChildren", true}},
		"url", t.workURL() + "teamsettings/teamfieldvalues",
	})
}
