package port

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// ErrRunTaken is the answer to an acknowledgement that was not the first.
var ErrRunTaken = errors.New("the run has been acknowledged before")

// A Run is a run of a self-service action, or of a node of a workflow, that an
// integration executes.
type Run struct {
	ID   string `json:"id"`
	Node bool   `json:"node,omitempty"`
	// Type says what is to be done, such as trigger_pipeline.
	Type string `json:"type,omitempty"`
	// Source is the action, or the node of the workflow: what a claim can leave out.
	Source     string          `json:"source,omitempty"`
	InProgress bool            `json:"-"`
	ExternalID string          `json:"-"` // see StartRun
	Properties json.RawMessage `json:"properties,omitempty"`
	Output     json.RawMessage `json:"-"` // of a node: what was reported so far; may be nil
}

// reserved asks for the right of way that Port gives integrations; nobody writes to it.
var reserved = map[string]string{"X-Port-Reserved-Usage": "true"}

// A Claim asks for runs that wait.
type Claim struct {
	Installation string
	Node         bool // of workflows instead of actions
	Limit        int
	Lease        time.Duration // for which nobody else gets them
	Exclude      []string      // sources
}

// ClaimRuns takes runs that wait. A run that cannot be read is left out, and comes
// again after the lease.
func (c *Client) ClaimRuns(ctx context.Context, claim Claim) ([]Run, error) {
	members := map[string]any{"installationId": claim.Installation, "limit": claim.Limit, "visibilityTimeoutMs": claim.Lease.Milliseconds()}
	if len(claim.Exclude) > 0 {
		members["exclude"] = claim.Exclude
	}
	body, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("port: claim: %w", err)
	}
	path := "/actions/runs/claim-pending"
	if claim.Node {
		path = "/workflows/runs/claim-pending"
	}
	a, err := c.do(ctx, &call{method: http.MethodPost, path: path, body: body, header: reserved})
	if err != nil {
		return nil, err
	}
	defer a.free()
	return parseRuns(a.body, claim.Node), nil
}

// parseRuns reads an answer with runs, those without an id left out.
func parseRuns(body []byte, node bool) []Run {
	list, id, source, payload, kind := "runs", "id", "action.identifier", "payload", "integrationActionType"
	if node {
		list, id, source, payload, kind = "nodeRuns", "identifier", "nodeUid", "config", "integrationInvocationType"
	}
	var out []Run
	for _, v := range gjson.GetBytes(body, list).Array() {
		config := v.Get(payload)
		if node && !config.IsObject() {
			config = v.Get("node.config") // of a run that was looked up
		}
		r := Run{
			ID: text(v.Get(id)), Node: node, Type: text(config.Get(kind)), Source: text(v.Get(source)),
			InProgress: v.Get("status").Str == "IN_PROGRESS", ExternalID: text(v.Get("externalRunId")),
			Properties: object(config.Get("integrationActionExecutionProperties")), Output: object(v.Get("output")),
		}
		if node && r.Source == "" {
			r.Source = r.ID
		}
		if r.ID != "" {
			out = append(out, r)
		}
	}
	return out
}

func text(v gjson.Result) string {
	if v.Type != gjson.String {
		return ""
	}
	return strings.Clone(v.Str)
}

// object is the text of an object, nil for everything else.
func object(v gjson.Result) json.RawMessage {
	if !v.IsObject() {
		return nil
	}
	return json.RawMessage(strings.Clone(v.Raw))
}

// AcknowledgeRun says that the run is executed here, after which Port gives it to
// nobody else. The error is ErrRunTaken when that was said before. It is not
// repeated by itself: after a lost answer the same error would come.
func (c *Client) AcknowledgeRun(ctx context.Context, r *Run) error {
	path, name := "/actions/runs/ack", "runId"
	if r.Node {
		path, name = "/workflows/runs/ack", "nodeRunIdentifier"
	}
	body, err := json.Marshal(map[string]string{name: r.ID})
	if err != nil {
		return fmt.Errorf("port: acknowledge: %w", err)
	}
	a, err := c.do(ctx, &call{method: http.MethodPatch, path: path, body: body, once: true, header: reserved})
	if statusOf(err) == http.StatusConflict {
		return fmt.Errorf("%w: %w", ErrRunTaken, err)
	}
	if err != nil {
		return err
	}
	defer a.free()
	if acked := gjson.GetBytes(a.body, "acked"); acked.Type == gjson.False { // of a node
		return ErrRunTaken
	}
	return nil
}

// LogRun adds a line to the run's log in Port; level is INFO, WARN or ERROR, which
// runs of actions do not show.
func (c *Client) LogRun(ctx context.Context, r *Run, level, message string) error {
	var members any = map[string]string{"message": message}
	if r.Node {
		members = map[string]any{"logs": []map[string]string{{"level": level, "message": message}}}
	}
	body, err := json.Marshal(members)
	if err != nil {
		return fmt.Errorf("port: log of a run: %w", err)
	}
	_, err = c.do(ctx, &call{method: http.MethodPost, path: r.path() + "/logs", body: body, opaque: true})
	return err
}

// StartRun says what the run has started: link leads there and may be empty,
// ExternalID of the run is what it can be found by, and Output what a node shows.
func (c *Client) StartRun(ctx context.Context, r *Run, link string) error {
	members := map[string]any{"externalRunId": r.ExternalID}
	switch {
	case r.Node:
		members["status"], members["links"] = "IN_PROGRESS", []string{}
		if link != "" {
			members["links"] = []string{link}
		}
		if r.Output != nil {
			members["output"] = r.Output
		}
	case link != "":
		members["link"] = link
	}
	return c.patchRun(ctx, r, members)
}

// A Result is how a run has ended.
type Result string

// Results. Runs of actions have no word for Canceled: they are failed.
const (
	Succeeded Result = "SUCCESS"
	Failed    Result = "FAILED"
	Canceled  Result = "CANCELLED"
)

// EndRun says how the run has ended.
func (c *Client) EndRun(ctx context.Context, r *Run, result Result) error {
	if r.Node {
		members := map[string]any{"status": "COMPLETED", "result": result}
		if len(r.Output) > len("{}") {
			members["output"] = r.Output
		}
		return c.patchRun(ctx, r, members)
	}
	status := "FAILURE"
	if result == Succeeded {
		status = "SUCCESS"
	}
	return c.patchRun(ctx, r, map[string]any{"status": status})
}

func (c *Client) patchRun(ctx context.Context, r *Run, members map[string]any) error {
	body, err := json.Marshal(members)
	if err != nil {
		return fmt.Errorf("port: run: %w", err)
	}
	_, err = c.do(ctx, &call{method: http.MethodPatch, path: r.path(), body: body, opaque: true})
	return err
}

func (r *Run) path() string {
	if r.Node {
		return "/workflows/nodes/runs/" + url.PathEscape(r.ID)
	}
	return "/actions/runs/" + url.PathEscape(r.ID)
}

// FindRun looks for the run with an external id, among those of actions and then
// among those of nodes. nil: there is none.
func (c *Client) FindRun(ctx context.Context, externalID string) (*Run, error) {
	for _, k := range []call{
		{path: "/actions/runs", query: "version=v2&external_run_id=" + url.QueryEscape(externalID)},
		{path: "/workflows/nodes/runs", query: "external_run_id=" + url.QueryEscape(externalID) + "&include=nodeConfig", header: reserved},
	} {
		k.method = http.MethodGet
		a, err := c.do(ctx, &k)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		runs := parseRuns(a.body, k.header != nil)
		a.free()
		for i := range runs {
			if runs[i].ExternalID == externalID {
				return &runs[i], nil
			}
		}
	}
	return nil, nil //nolint:nilnil // as the comment says
}

// MachineUser tells whether the credentials are those of a machine: to nobody else
// Port gives runs of an integration. The token says so; it is not verified here.
func (c *Client) MachineUser(ctx context.Context) (bool, error) {
	token, err := c.token.get(ctx, c.fetchToken)
	return err == nil && machineToken(token), err
}

// machine is MachineUser by the token that the last call had.
func (c *Client) machine() bool { return machineToken(c.token.current()) }

// machineToken reads the claims of a token. One that says nothing is of a person.
func machineToken(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || !rawjson.Valid(claims) {
		return false
	}
	if is := gjson.GetBytes(claims, "isMachine"); is.Exists() && is.Type != gjson.Null {
		return is.Bool()
	}
	personal := gjson.GetBytes(claims, "personalToken")
	return personal.Exists() && !personal.Bool()
}
