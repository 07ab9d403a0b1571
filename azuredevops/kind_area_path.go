package azuredevops

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

var _ = register(row[areaPathSelector]{Name: "area-path", List: listAreaPaths})

// areaPathSelector: without Depth the service gives the root of a project only.
type areaPathSelector struct {
	Depth *int `json:"depth"`
}

// listAreaPaths lists the nodes of every project's tree of areas, parents first,
// without `children` and with `__project`, `__parentIdentifier` (null for the root)
// and `__normalizedPath`.
//
// https://learn.microsoft.com/rest/api/azure/devops/wit/classification-nodes/get
func listAreaPaths(l *lister, sel areaPathSelector) stream[Record] {
	depth := ""
	if sel.Depth != nil {
		depth = strconv.Itoa(*sel.Depth)
	}
	return each(widePages, l.eachProject, func(ctx context.Context, p *project) iter.Seq2[Record, error] {
		return within(p.scope, func(yield func(Record, error) bool) {
			root, err := l.object(ctx, &request{
				Project: p.ID, Route: "_apis/wit/classificationnodes/Areas", Version: "7.1", Query: []string{"$depth", depth},
			})
			if err == nil {
				err = checkNode(root)
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("areas: %w", err))
				return
			}
			l.areas(p, root, []byte("null"), yield)
		})
	})
}

// checkNode says why a node, or one below it, cannot be believed.
func checkNode(node []byte) error {
	if rawjson.Text(node, "identifier") == "" {
		return fmt.Errorf("%w: a node without identifier", ErrMalformed)
	}
	if rawjson.Raw(node, "children") == nil {
		return nil
	}
	if err := rest.CheckList(node, "children", "identifier"); err != nil {
		return err
	}
	for child := range rawjson.Objects(node, "children") {
		if err := checkNode(child); err != nil {
			return err
		}
	}
	return nil
}

// areas yields a node and what is below it. parent is the JSON of the identifier
// of the node above.
func (l *lister) areas(p *project, node, parent []byte, yield func(Record, error) bool) bool {
	id := rawjson.Raw(node, "identifier")
	if rawjson.Text(node, "structureType") == "area" {
		added := rawjson.Members{}.Raw("__project", p.JSON).Raw("__parentIdentifier", parent).
			Text("__normalizedPath", normalizedPath(rawjson.Text(node, "path")))
		alone := rawjson.Without(node, "children")
		if !yield(l.record(alone, p.scope, rawjson.Text(node, "identifier"), added), nil) {
			return false
		}
	}
	for child := range rawjson.Objects(node, "children") {
		if !l.areas(p, child, id, yield) {
			return false
		}
	}
	return true
}

// normalizedPath is the path of an area as work items have it: `\Fab\Area\Web` is
// `Fab\Web`.
func normalizedPath(path string) string {
	parts := strings.Split(strings.TrimLeft(path, `\`), `\`)
	if len(parts) > 1 && parts[1] == "Area" {
		parts = slices.Delete(parts, 1, 2)
	}
	return strings.Join(parts, `\`)
}
