package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A queue is a way in which invocations come.
type queue string

const (
	claimedRuns  queue = "action run"        // claimed from Port
	claimedNodes queue = "workflow node run" // the same
	runsTopic    queue = "runs topic"        // of Kafka
	changesTopic queue = "change log topic"  // the same
)

// An invocation is one thing to do.
type invocation struct {
	queue queue
	// run is the identifier under which Port is told; empty for an event that belongs
	// to no run.
	run     string
	node    bool // run is one of a workflow node
	message *object
	// method says what to call, as the action, node or destination is defined.
	method *object
	// lane names what has to happen in the order in which it comes: the runs of one
	// action for one entity, those of one node, and the changes of one entity.
	lane string
}

// nodePrefix begins the identifiers of runs of workflow nodes.
const nodePrefix = "wfnr_"

// The types of an invocation method that mean something here.
const typeGitLab = "GITLAB"

// executors say who executes the types that are not for this agent.
var executors = map[string]string{
	"GITHUB":             "GITHUB runs are executed by Port's GitHub app",
	"KAFKA":              "KAFKA runs are executed by the consumer of Port's runs topic that the organization operates itself",
	"UPSERT_ENTITY":      "UPSERT_ENTITY runs are executed by Port itself",
	"AZURE_DEVOPS":       "AZURE_DEVOPS runs are executed by Port itself, which calls Azure DevOps; for a server that Port cannot reach use WEBHOOK or INTEGRATION_ACTION",
	"INTEGRATION_ACTION": "INTEGRATION_ACTION runs are executed by the integration that the action names",
}

var (
	// errNotForAgent is what others execute.
	errNotForAgent = errors.New("not for an agent")
	// errMalformed is what nobody can execute.
	errMalformed = errors.New("the invocation is malformed")
)

// A refusal is an invocation of a type that somebody else executes.
type refusal struct{ executor string }

func (r *refusal) Error() string { return r.executor + ", not by this agent" }

// ofKind refuses the types that somebody else executes.
func (inv *invocation) ofKind() error {
	if e := executors[inv.kind()]; e != "" {
		return &refusal{e}
	}
	return nil
}

func (inv *invocation) kind() string { s, _ := get(inv.method, "type").(string); return s }

// synchronized says that the answer of the called service is the result.
func (inv *invocation) synchronized() bool { return truthy(get(inv.method, "synchronized")) }

// laneOf joins what names a lane.
func laneOf(sort string, parts ...any) string {
	names := []string{sort}
	for _, p := range parts {
		names = append(names, text(p))
	}
	return strings.Join(names, " ")
}

// readClaim makes an invocation of an element of a claim. The run is set also when
// the rest is malformed: Port has to be told.
func readClaim(q queue, raw []byte) (*invocation, error) {
	v, err := parse(raw)
	if err != nil {
		return &invocation{queue: q}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	inv := &invocation{queue: q, node: q == claimedNodes, message: &object{}}
	name, content := "id", "payload"
	if inv.node {
		name, content = "identifier", "config"
	}
	inv.run, _ = get(v, name).(string)
	if inv.run == "" {
		return inv, fmt.Errorf("%w: there is no %s", errMalformed, name)
	}
	inv.lane = laneOf("action", get(v, "action", "identifier"), get(v, "entity"))
	if inv.node {
		inv.lane = laneOf("node", get(v, "nodeUid"))
	}
	def, ok := get(v, content).(*object)
	switch {
	case !ok && inv.node:
		return inv, errNotForAgent
	case !ok:
		return inv, fmt.Errorf("%w: there is no payload", errMalformed)
	}
	if !inv.node {
		for _, required := range []string{"type", "url", "agent"} {
			if !def.has(required) {
				return inv, fmt.Errorf("%w: the invocation has no %s", errMalformed, required)
			}
		}
	}
	if !truthy(get(def, "agent")) {
		return inv, errNotForAgent
	}
	inv.method = methodOf(def)
	if inv.node {
		inv.message.set("headers", get(inv.method, "headers"))
		inv.message.set("payload", objectOf("action", objectOf("invocationMethod", inv.method)))
		inv.message.set("context", objectOf("runId", inv.run))
		get(inv.message, "context").(*object).set("nodeConfig", def)
		return inv, nil
	}
	return inv, inv.fill(get(def, "body"))
}

// methodOf is the part of a definition that a message shows.
func methodOf(def *object) *object {
	m := &object{}
	m.set("type", get(def, "type"))
	m.set("url", get(def, "url"))
	m.set("synchronized", orElse(def, "synchronized", false))
	m.set("method", orElse(def, "method", "POST"))
	m.set("headers", orElse(def, "headers", &object{}))
	return m
}

func orElse(o *object, name string, otherwise any) any {
	if o.has(name) {
		return get(o, name)
	}
	return otherwise
}

func objectOf(name string, v any) *object { return &object{members: []member{{name, v}}} }

// fill makes the message of a claimed action run of its body; none is an empty one.
func (inv *invocation) fill(body any) error {
	switch b := body.(type) {
	case nil:
	case *object:
		inv.message = b
	default:
		return fmt.Errorf("%w: the body is not an object", errMalformed)
	}
	inv.message.set("headers", get(inv.method, "headers"))
	parent, err := inv.message.child("payload")
	if err == nil {
		parent, err = parent.child("action")
	}
	if err != nil {
		return fmt.Errorf("%w: in the body, %w", errMalformed, err)
	}
	parent.set("invocationMethod", inv.method)
	context, err := inv.message.child("context")
	if err != nil {
		return fmt.Errorf("%w: in the body, %w", errMalformed, err)
	}
	context.set("runId", inv.run)
	return nil
}

// readRecord makes an invocation of the value of a Kafka record.
func readRecord(q queue, value []byte) (*invocation, error) {
	v, err := parse(value)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	m, ok := v.(*object)
	if !ok {
		return nil, fmt.Errorf("%w: not an object", errMalformed)
	}
	inv := &invocation{queue: q, message: m}
	inv.lane = laneOf("action", get(m, "action"), get(m, "context", "entity"))
	path := []string{"payload", "action", "invocationMethod"}
	if q == changesTopic {
		inv.lane = laneOf("change", get(m, "context", "blueprint"), get(m, "context", "entity"))
		path = path[:0]
		path = append(path, "changelogDestination")
	}
	var at any = m
	for _, name := range path {
		o, ok := at.(*object)
		if !ok {
			return nil, fmt.Errorf("%w: %s stands in something that is not an object", errMalformed, name)
		}
		if !o.has(name) {
			return nil, errNotForAgent
		}
		at = get(o, name)
	}
	def, ok := at.(*object)
	if !ok {
		return nil, fmt.Errorf("%w: %s is not an object", errMalformed, path[len(path)-1])
	}
	if !truthy(get(def, "agent")) {
		return nil, errNotForAgent
	}
	inv.method = def.without("agent")
	return inv, inv.identify()
}

// identify finds the run that a message belongs to.
func (inv *invocation) identify() error {
	if c, ok := get(inv.message, "context").(*object); !ok && inv.message.has("context") {
		return fmt.Errorf("%w: context is not an object", errMalformed)
	} else if ok {
		switch id := get(c, "runId").(type) {
		case nil:
		case string:
			inv.run, inv.node = id, strings.HasPrefix(id, nodePrefix)
		default:
			return fmt.Errorf("%w: context.runId is not a text", errMalformed)
		}
	}
	if inv.run == "" && !truthy(get(inv.method, "url")) {
		return fmt.Errorf("%w: there is neither a run nor a url", errMalformed)
	}
	return nil
}

// read makes an invocation again of what was noted of it.
func read(q queue, raw json.RawMessage) (*invocation, error) {
	if q == claimedRuns || q == claimedNodes {
		return readClaim(q, raw)
	}
	return readRecord(q, raw)
}
