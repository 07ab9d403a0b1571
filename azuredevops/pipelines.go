package azuredevops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
	"github.com/ado-port/ado-port/azuredevops/rest"
)

// Pipelines starts runs of pipelines and says what became of them: what the action
// trigger_pipeline of Port asks for. What it needs for that is an order, an opaque
// JSON text that the caller keeps. It never starts anything twice by itself.
type Pipelines struct {
	organizations []*Client
	registered    func(subscription string) *Client // see Resolve
}

// NewPipelines makes one for the pipelines of some organizations.
func NewPipelines(organizations []*Client, registered func(subscription string) *Client) *Pipelines {
	p := &Pipelines{registered: registered}
	for _, c := range organizations {
		p.organizations = append(p.organizations, c.Urgent())
	}
	return p
}

// A PipelineError says in its text, which is for whoever started the run, why
// something was not done.
type PipelineError struct {
	text      string
	err       error
	temporary bool
	doubtful  bool
}

func (e *PipelineError) Error() string { return e.text }

// Unwrap is the error behind it.
func (e *PipelineError) Unwrap() error { return e.err }

// Temporary says that nothing was done, and that the same call may succeed later.
func (e *PipelineError) Temporary() bool { return e.temporary }

// Doubtful says that it may have been done all the same: the answer got lost.
func (e *PipelineError) Doubtful() bool { return e.doubtful }

// pipelineOrder is an order.
type pipelineOrder struct {
	Organization string          `json:"organization"` // OrganizationKey
	Project      string          `json:"project"`      // id
	Pipeline     string          `json:"pipeline"`
	Name         string          `json:"name"` // for messages
	Body         json.RawMessage `json:"body,omitempty"`
}

const routeRuns = "_apis/pipelines/{pipelineId}/runs"

// Prepare checks the inputs of the action and finds the project. title says what
// the order is about.
func (p *Pipelines) Prepare(ctx context.Context, inputs json.RawMessage) (order json.RawMessage, title string, err error) {
	in, err := parsePipelineInput(inputs)
	if err != nil {
		return nil, "", &PipelineError{text: err.Error(), err: err}
	}
	title = "pipeline " + in.pipeline + " in project " + in.project
	org, project, err := p.locate(ctx, in)
	if err != nil {
		return nil, "", err
	}
	order, err = json.Marshal(pipelineOrder{Organization: org.Key(), Project: project, Pipeline: in.pipeline, Name: title, Body: in.body})
	return order, title, err
}

// locate finds the project in the organization that is named, or in the only one
// that has it.
//
// https://learn.microsoft.com/rest/api/azure/devops/core/projects/get
func (p *Pipelines) locate(ctx context.Context, in pipelineInput) (org *Client, project string, err error) {
	list := p.organizations
	if in.organization != "" {
		list = slices.DeleteFunc(slices.Clone(list), func(c *Client) bool {
			return !strings.EqualFold(c.OrganizationName(), in.organization) && c.Key() != OrganizationKey(in.organization)
		})
		if len(list) == 0 {
			return nil, "", &PipelineError{text: fmt.Sprintf("the input organization is %q: this integration has %s", shortInput(in.organization), p.names(p.organizations))}
		}
	}
	var having []*Client
	var errs []error
	for _, c := range list {
		b, err := c.Sender(rest.Caller{}).Object(ctx, &request{Route: "_apis/projects/{projectId}", Args: []string{in.project}})
		switch id := strings.ToLower(gjson.GetBytes(b, "id").Str); {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			errs = append(errs, err)
		case isGUID(id):
			having, project = append(having, c), id
		default:
			errs = append(errs, fmt.Errorf("project %s: %w", in.project, ErrMalformed))
		}
	}
	switch {
	case len(errs) > 0:
		return nil, "", &PipelineError{text: "project " + in.project + " could not be read: " + errors.Join(errs...).Error(), err: errors.Join(errs...)}
	case len(having) == 0:
		return nil, "", &PipelineError{text: "project " + in.project + " was not found in " + p.names(list), err: ErrNotFound}
	case len(having) > 1:
		return nil, "", &PipelineError{text: "project " + in.project + " is in " + p.names(having) + ": name one of them with the input organization"}
	}
	return having[0], project, nil
}

func (*Pipelines) names(list []*Client) string {
	var names []string
	for _, c := range list {
		names = append(names, c.OrganizationName())
	}
	return strings.Join(names, ", ")
}

// read finds what an order is about.
func (p *Pipelines) read(order json.RawMessage) (*Client, *pipelineOrder, error) {
	var o pipelineOrder
	if err := json.Unmarshal(order, &o); err != nil {
		return nil, nil, &PipelineError{text: "what was noted of the pipeline cannot be read", err: err}
	}
	for _, c := range p.organizations {
		if c.Key() == o.Organization {
			return c, &o, nil
		}
	}
	return nil, nil, &PipelineError{text: "organization " + o.Organization + " is not one of this integration any more"}
}

// externalID is what a run is known by in Port. Completion depends on its form.
func (o *pipelineOrder) externalID(run string) string {
	return "ado_" + o.Project + "_" + o.Pipeline + "_" + run
}

// Start starts the run. An error that is Doubtful leaves open whether that has
// happened: Find tells.
func (p *Pipelines) Start(ctx context.Context, order json.RawMessage) (externalID, link string, err error) {
	c, o, err := p.read(order)
	if err != nil {
		return "", "", err
	}
	b, err := c.Sender(rest.Caller{}).Object(ctx, &request{Project: o.Project, Route: routeRuns, Args: []string{o.Pipeline}, Version: "7.1", Body: o.Body, Write: true})
	if err != nil {
		return "", "", o.notStarted(err)
	}
	run := gjson.GetBytes(b, "id")
	if run.Int() <= 0 {
		return "", "", o.notStarted(fmt.Errorf("a run without id: %w", ErrMalformed))
	}
	return o.externalID(run.Raw), webLink(b), nil
}

func webLink(b []byte) string { return strings.Clone(gjson.GetBytes(b, "_links.web.href").Str) }

// notStarted makes an error of what the service, or the network, said.
func (o *pipelineOrder) notStarted(err error) error {
	out := &PipelineError{err: err, doubtful: true}
	why := err.Error()
	if e, ok := errors.AsType[*rest.Error](err); ok && e.StatusCode != 0 {
		if out.doubtful = e.StatusCode < 300 || e.StatusCode >= 500 || e.StatusCode == http.StatusRequestTimeout; !out.doubtful {
			why = e.Message
			if why == "" {
				why = fmt.Sprintf("HTTP %d", e.StatusCode)
			}
		}
		out.temporary = e.StatusCode == http.StatusTooManyRequests
	}
	if errors.Is(err, ErrUnauthorized) {
		out.doubtful = false // a page for signing in
	}
	out.text = o.Name + " could not be started: " + why
	return out
}

// findSkew is by how much clocks may differ.
const findSkew = 2 * time.Minute

// Find looks for runs that may be the one that was ordered at a time: of the
// pipeline, not older, and with the same branch, parameters and variables. It
// returns their links by external id. Azure DevOps has no mark of our own for a run,
// only these.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/builds/list
func (p *Pipelines) Find(ctx context.Context, order json.RawMessage, since time.Time) (map[string]string, error) {
	c, o, err := p.read(order)
	if err != nil {
		return nil, err
	}
	send := c.Sender(rest.Caller{})
	found := map[string]string{}
	list := &request{Project: o.Project, Route: routeBuilds, Query: []string{
		"definitions", o.Pipeline, "minTime", since.Add(-findSkew).UTC().Format(time.RFC3339), "queryOrder", "queueTimeDescending", "$top", "200",
	}}
	for pg, err := range send.Pages(ctx, list, "value") {
		if err != nil {
			return nil, &PipelineError{text: o.Name + ": its runs could not be read: " + err.Error(), err: err, temporary: true}
		}
		var ids []string
		for b := range pg.Objects() {
			if gjson.GetBytes(b, "definition.id").String() == o.Pipeline {
				ids = append(ids, gjson.GetBytes(b, "id").String())
			}
		}
		pg.Free()
		for _, id := range ids {
			run, err := send.Object(ctx, &request{Project: o.Project, Route: routeRuns + "/{runId}", Args: []string{o.Pipeline, id}, Is: id})
			switch {
			case errors.Is(err, ErrNotFound):
			case err != nil:
				return nil, &PipelineError{text: o.Name + ": run " + id + " could not be read: " + err.Error(), err: err, temporary: true}
			case o.matches(run):
				found[o.externalID(id)] = webLink(run)
			}
		}
	}
	return found, nil
}

// matches tells whether a run may be the ordered one. What the service does not
// show speaks neither for nor against it.
func (o *pipelineOrder) matches(run []byte) bool {
	got, want := gjson.ParseBytes(run), gjson.ParseBytes(o.Body)
	const branch = "resources.repositories.self.refName"
	if w, g := want.Get(branch).Str, got.Get(branch).Str; w != "" && g != "" && w != g {
		return false
	}
	if g := got.Get("templateParameters"); g.IsObject() && !sameMembers(plainMembers(want.Get("templateParameters"), ""), plainMembers(g, "")) {
		return false
	}
	g := got.Get("variables")
	return !g.IsObject() || sameMembers(plainMembers(want.Get("variables"), "value"), plainMembers(g, "value"))
}

// plainMembers are the members of an object; of members that are objects the named one.
// What is secret is left out: the service does not show it.
func plainMembers(v gjson.Result, inner string) map[string]string {
	out := map[string]string{}
	v.ForEach(func(k, v gjson.Result) bool {
		if v.Get("isSecret").Bool() {
			return true
		}
		if inner != "" && v.IsObject() {
			v = v.Get(inner)
		}
		out[strings.ToLower(k.Str)] = v.String()
		return true
	})
	return out
}

// sameMembers compares documents in them by what they say. A run may have more: what
// the pipeline sets itself.
func sameMembers(want, got map[string]string) bool {
	maps.DeleteFunc(got, func(k, _ string) bool { _, asked := want[k]; return !asked })
	return maps.EqualFunc(want, got, func(a, b string) bool {
		return strings.EqualFold(a, b) || rawjson.Valid([]byte(a)) && rawjson.Valid([]byte(b)) && reflect.DeepEqual(gjson.Parse(a).Value(), gjson.Parse(b).Value())
	})
}

// State is how a run has ended: succeeded, failed, canceled or what else Azure
// DevOps says; empty while it has not. An error that is not Temporary means that
// nobody will ever know.
//
// https://learn.microsoft.com/rest/api/azure/devops/pipelines/runs/get
func (p *Pipelines) State(ctx context.Context, order json.RawMessage, externalID string) (result, link string, err error) {
	c, o, err := p.read(order)
	if err != nil {
		return "", "", err
	}
	run := externalID[strings.LastIndexByte(externalID, '_')+1:]
	b, err := c.Sender(rest.Caller{}).Object(ctx, &request{Project: o.Project, Route: routeRuns + "/{runId}", Args: []string{o.Pipeline, run}, Is: run})
	if err != nil {
		return "", "", &PipelineError{text: o.Name + ": run " + run + " could not be read: " + err.Error(), err: err, temporary: !errors.Is(err, ErrNotFound)}
	}
	if gjson.GetBytes(b, "state").Str != "completed" {
		return "", webLink(b), nil
	}
	result = strings.Clone(gjson.GetBytes(b, "result").Str)
	if result == "" {
		result = "unknown"
	}
	return result, webLink(b), nil
}

// Ended reads a delivery of a service hook: which run has ended by it, and the order
// that State wants for it. ok is false for everything else.
func (p *Pipelines) Ended(body []byte) (externalID string, order json.RawMessage, ok bool) {
	e, err := ParseEvent(body)
	if err != nil || e.Type != RunStateChanged || e.Publisher != "pipelines" || e.Project == "" || e.ids.build == "" || e.ids.pipeline == "" ||
		gjson.GetBytes(e.Resource, "run.state").Str != "completed" {
		return "", nil, false
	}
	c, err := Resolve(&e, p.organizations, p.registered)
	if err != nil {
		return "", nil, false
	}
	o := pipelineOrder{Organization: c.Key(), Project: e.Project, Pipeline: e.ids.pipeline, Name: "pipeline " + e.ids.pipeline}
	order, err = json.Marshal(o)
	return o.externalID(e.ids.build), order, err == nil
}
