package azuredevopstest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const witErrors = "Microsoft.TeamFoundation.WorkItemTracking.Server."

func workItemRoutes() []route {
	return []route{
		{method: "POST", pattern: "/[{project}/][{team}/]_apis/wit/wiql", handler: queryWorkItems},
		{method: "GET", pattern: "/[{project}/]_apis/wit/workitems", handler: listWorkItems},
		{method: "GET", pattern: "/[{project}/]_apis/wit/workitems/{item}", handler: getWorkItem},
		{method: "POST", pattern: "/[{project}/]_apis/wit/workitemsbatch", handler: batchWorkItems},
	}
}

// queryWorkItems runs a flat WIQL query. The project of the path is no filter,
// only the value of @project. More than 20,000 results, which $top
// does not cut, are an error.
//
// https://learn.microsoft.com/rest/api/azure/devops/wit/wiql/query-by-wiql
func queryWorkItems(q *request) *response {
	const limit = 20_000
	var in struct {
		Query string `json:"query"`
	}
	if err := json.Unmarshal(q.body, &in); err != nil {
		return failure(http.StatusBadRequest, errBadRequest, "The request body is not valid.")
	}
	scope := wiqlScope{precise: q.flag("timeprecision")}
	if q.project != nil {
		scope.project = q.project.Name
	}
	if len(q.world.People) > 0 {
		scope.me = q.world.People[0].Name
	}
	query, err := parseWIQL(in.Query, scope)
	if err != nil {
		return failure(http.StatusBadRequest, witErrors+"SyntaxException", err.Error())
	}
	now := q.world.now()
	var found []*WorkItem
	for _, p := range q.world.Projects {
		if p.Forbidden {
			continue
		}
		for _, wi := range p.WorkItems {
			if query.matches(wi, now) {
				found = append(found, wi)
			}
		}
	}
	query.sort(found)
	if top := q.amount("$top", len(found)); top < len(found) {
		found = found[:top]
	}
	if len(found) > limit {
		return failure(http.StatusBadRequest, witErrors+"WorkItemTrackingQueryResultSizeLimitExceededException",
			"VS402337: The number of work items returned exceeds the size limit of "+strconv.Itoa(limit)+". Change the query to return fewer items.")
	}
	items := make([]object, len(found))
	for i, wi := range found {
		items[i] = object{"id", wi.ID, "url", wi.url()}
	}
	field := object{"referenceName", "System.Id", "name", "ID", "url", q.world.orgURL() + "/_apis/wit/fields/System.Id"}
	return ok(object{
		"queryType", "flat", "queryResultType", "workItem", "asOf", now,
		"columns",
		array{field},
		"sortColumns",
		array{object{"field", field, "descending", false}},
		"workItems", items,
	})
}

// listWorkItems reads up to 200 items by id.
//
// https://learn.microsoft.com/rest/api/azure/devops/wit/work-items/list
func listWorkItems(q *request) *response {
	var ids []int
	for text := range strings.SplitSeq(q.get("ids"), ",") {
		id, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return failure(http.StatusBadRequest, errBadRequest, "VS403329: The ids parameter is not a list of numbers.")
		}
		ids = append(ids, id)
	}
	var fields []string
	if q.get("fields") != "" {
		fields = strings.Split(q.get("fields"), ",")
	}
	return q.workItems(ids, fields, q.get("$expand"), q.get("errorpolicy"))
}

// batchWorkItems is listWorkItems with the parameters in the body.
//
// https://learn.microsoft.com/rest/api/azure/devops/wit/work-items/get-work-items-batch
func batchWorkItems(q *request) *response {
	var in struct {
		IDs         []int    `json:"ids"`
		Fields      []string `json:"fields"`
		Expand      string   `json:"$expand"`
		ErrorPolicy string   `json:"errorPolicy"`
	}
	if err := json.Unmarshal(q.body, &in); err != nil {
		return failure(http.StatusBadRequest, errBadRequest, "The request body is not valid.")
	}
	return q.workItems(in.IDs, in.Fields, in.Expand, in.ErrorPolicy)
}

func (q *request) workItems(ids []int, fields []string, expand, policy string) *response {
	expand = strings.ToLower(expand)
	switch {
	case len(ids) == 0:
		return failure(http.StatusBadRequest, errBadRequest, "VS403329: The ids parameter is empty.")
	case len(ids) > 200:
		return failure(http.StatusBadRequest, witErrors+"WorkItemPageSizeExceededException",
			"VS403474: You requested "+strconv.Itoa(len(ids))+" work items which exceeds the limit of 200.")
	case len(fields) > 0 && expand != "" && expand != "none" && expand != "links":
		return failure(http.StatusBadRequest, witErrors+"ConflictingParametersException",
			"The expand parameter can not be used with the fields parameter.")
	}
	only := fieldSet(fields)
	out := array{}
	for _, id := range ids {
		wi := q.workItem(id)
		switch {
		case wi != nil:
			out = append(out, wi.json(expand, only, false))
		case strings.EqualFold(policy, "omit"):
			out = append(out, nil)
		default:
			return noWorkItem(id)
		}
	}
	return ok(object{"count", len(out), "value", out})
}

// workItem finds an item that the caller may read.
func (q *request) workItem(id int) *WorkItem {
	wi := q.world.workItem(q.project, id)
	if wi == nil || wi.Unreadable || wi.project.Forbidden {
		return nil
	}
	return wi
}

func noWorkItem(id int) *response {
	return notFound(witErrors+"WorkItemUnauthorizedAccessException",
		"TF401232: Work item "+strconv.Itoa(id)+" does not exist, or you do not have permissions to read it.")
}

func getWorkItem(q *request) *response {
	wi := q.workItem(q.number("item"))
	if wi == nil {
		return noWorkItem(q.number("item"))
	}
	var fields []string
	if q.get("fields") != "" {
		fields = strings.Split(q.get("fields"), ",")
	}
	return ok(wi.json(strings.ToLower(q.get("$expand")), fieldSet(fields), false))
}

// fieldSet is nil for no names.
func fieldSet(names []string) map[string]bool {
	if len(names) == 0 {
		return nil
	}
	set := map[string]bool{}
	for _, n := range names {
		set[strings.ToLower(strings.TrimSpace(n))] = true
	}
	return set
}

// pick keeps the members whose lower-case names are in the set.
func pick(fields object, names map[string]bool) object {
	out := object{}
	for i := 0; i+1 < len(fields); i += 2 {
		if name, _ := fields[i].(string); names[strings.ToLower(name)] {
			out = append(out, name, fields[i+1])
		}
	}
	return out
}

// sort orders the result of a query; by id where it says nothing else.
func (query *wiql) sort(list []*WorkItem) {
	slices.SortStableFunc(list, func(a, b *WorkItem) int {
		for _, o := range query.order {
			c := compareValues(a.value(o.field), b.value(o.field))
			if o.descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return cmp.Compare(a.ID, b.ID)
	})
}
