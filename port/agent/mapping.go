package agent

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// An Evaluator runs jq programs. It is called concurrently.
type Evaluator interface {
	// Evaluate returns the first output of a program as JSON, null when there is
	// none. A program that fails behind its first output fails.
	Evaluate(ctx context.Context, program string, input []byte) (output []byte, err error)
}

// defaultMapping is used where there is no mapping file. It does what port-agent's own
// file does: https://github.com/port-labs/port-agent/blob/main/app/control_the_payload_config.json
//
//go:embed mapping.json
var defaultMapping []byte

// An entry says how the request for an invocation looks. The first one that is
// enabled counts. Texts are jq programs on the message.
type entry struct {
	enabled        any // bool, or a program as string
	url, method    *string
	headers, query any // nil, a program, or an object of programs
	body           any // a program, or an object with programs as leaves
	hasBody        bool
	report         *object // nil, or programs by member
	decrypt        []string
}

// reportMembers are what a report mapping can set.
var reportMembers = []string{"status", "link", "summary", "externalRunId"}

// parseMapping reads a mapping file. Unknown members are ignored.
func parseMapping(file []byte) ([]*entry, error) {
	v, err := parse(file)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("want a list of entries, such as [{\"enabled\": true}]")
	}
	out := make([]*entry, 0, len(list))
	for i, v := range list {
		o, ok := v.(*object)
		if !ok {
			return nil, fmt.Errorf("entry %d: want an object", i+1)
		}
		e, err := parseEntry(o)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		out = append(out, e)
	}
	return out, nil
}

func parseEntry(o *object) (e *entry, err error) {
	e = &entry{}
	var errs [5]error
	e.enabled, errs[0] = enabled(orElse(o, "enabled", true))
	e.url, errs[1] = program(o, "url")
	e.method, errs[2] = program(o, "method")
	e.headers, errs[3] = programs(o, "headers")
	e.query, errs[4] = programs(o, "query")
	err = errors.Join(errs[:]...)
	switch b := get(o, "body").(type) {
	case nil:
	case string, *object:
		e.body, e.hasBody = b, true
	default:
		err = errors.Join(err, errors.New("body: want an object or a jq program"))
	}
	switch r := get(o, "report").(type) {
	case nil:
	case *object:
		e.report = &object{}
		for _, name := range reportMembers {
			p, perr := program(r, name)
			if perr != nil {
				err = errors.Join(err, fmt.Errorf("report: %w", perr))
			} else if p != nil {
				e.report.set(name, *p)
			}
		}
	default:
		err = errors.Join(err, errors.New("report: want an object"))
	}
	switch paths := get(o, "fieldsToDecryptPaths").(type) {
	case nil:
	case []any:
		for _, p := range paths {
			s, ok := p.(string)
			if !ok {
				return e, errors.Join(err, errors.New("fieldsToDecryptPaths: want a list of texts"))
			}
			e.decrypt = append(e.decrypt, s)
		}
	default:
		err = errors.Join(err, errors.New("fieldsToDecryptPaths: want a list of texts"))
	}
	return e, err
}

// enabled takes booleans, texts that look like one, and programs.
func enabled(v any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string, json.Number:
		s := text(v)
		if b, err := boolean(s); err == nil {
			return b, nil
		}
		if _, ok := v.(string); ok {
			return s, nil
		}
	}
	return nil, errors.New("enabled: want true, false or a jq program")
}

// boolean takes what the settings of port-agent take (pydantic).
func boolean(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "1", "yes", "on", "t", "y":
		return true, nil
	case "false", "0", "no", "off", "f", "n":
		return false, nil
	}
	return false, errors.New("want true or false")
}

func program(o *object, name string) (*string, error) {
	switch v := get(o, name).(type) {
	case nil:
		return nil, nil //nolint:nilnil // there is none
	case string:
		return &v, nil
	}
	return nil, fmt.Errorf("%s: want a jq program as text", name)
}

// programs reads headers or query. Numbers and booleans are the texts that Python
// writes for them, which are programs as well.
func programs(o *object, name string) (any, error) {
	switch v := get(o, name).(type) {
	case nil:
		return nil, nil //nolint:nilnil // there are none
	case string:
		return v, nil
	case *object:
		out := &object{}
		for _, m := range v.members {
			switch p := m.value.(type) {
			case string:
				out.set(m.name, p)
			case json.Number:
				out.set(m.name, string(p))
			case bool:
				out.set(m.name, pythonBool(p))
			default:
				return nil, fmt.Errorf("%s: want a jq program as text for %q", name, m.name)
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s: want an object or a jq program", name)
}

func pythonBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// An evaluation evaluates the programs of entries on one value.
type evaluation struct {
	ctx   context.Context //nolint:containedctx // of this one value
	jq    Evaluator
	input []byte
	log   *slog.Logger
}

// value is the result of a program; null, with a warning, when it fails.
func (e *evaluation) value(program string) any {
	out, err := e.jq.Evaluate(e.ctx, program, e.input)
	if err == nil {
		var v any
		if v, err = parse(out); err == nil {
			return v
		}
	}
	e.log.WarnContext(e.ctx, "a jq program of the mapping file fails and counts as null", "program", program, "err", err)
	return nil
}

// tree evaluates all texts in a value. Objects without members are left out of objects.
func (e *evaluation) tree(v any) any {
	switch v := v.(type) {
	case string:
		return e.value(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = e.tree(v[i])
		}
		return out
	case *object:
		out := &object{}
		for _, m := range v.members {
			if inner, ok := m.value.(*object); ok && len(inner.members) == 0 {
				continue
			}
			out.set(m.name, e.tree(m.value))
		}
		return out
	}
	return v
}

// choose returns the first entry that is enabled for a message, or nil.
func (e *evaluation) choose(entries []*entry) *entry {
	i := slices.IndexFunc(entries, func(x *entry) bool {
		program, ok := x.enabled.(string)
		if !ok {
			return x.enabled == true
		}
		return e.value(program) == true
	})
	if i < 0 {
		return nil
	}
	return entries[i]
}

// A request is what is sent for an invocation.
type request struct {
	method, url    string
	headers, query *object
	body           any // null: none
}

// errMapping is a result of the mapping that makes no request.
var errMapping = errors.New("the mapping makes no request")

// request makes the request of an entry. The body is the message where the entry says
// nothing about it.
func (e *evaluation) request(x *entry, inv *invocation) (*request, error) {
	r := &request{headers: &object{}, query: &object{}, body: inv.message}
	var err error
	if r.url, err = e.string("url", x.url, get(inv.method, "url")); err != nil {
		return nil, err
	}
	otherwise := get(inv.method, "method")
	if !truthy(otherwise) {
		otherwise = "POST"
	}
	if r.method, err = e.string("method", x.method, otherwise); err != nil {
		return nil, err
	}
	if r.headers, err = e.object("headers", x.headers); err != nil {
		return nil, err
	}
	if r.query, err = e.object("query", x.query); err != nil {
		return nil, err
	}
	if x.hasBody {
		r.body = e.tree(x.body)
	}
	return r, nil
}

func (e *evaluation) string(name string, program *string, otherwise any) (string, error) {
	v := otherwise
	if program != nil {
		v = e.value(*program)
	}
	s, ok := v.(string)
	if !ok || s == "" {
		return "", fmt.Errorf("%w: %s is %s, want a text", errMapping, name, kindName(v))
	}
	return s, nil
}

func (e *evaluation) object(name string, programs any) (*object, error) {
	if programs == nil {
		return &object{}, nil
	}
	o, ok := e.tree(programs).(*object)
	if !ok {
		return nil, fmt.Errorf("%w: %s is no object", errMapping, name)
	}
	return o, nil
}

// kindName says what a value is without showing it.
func kindName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		if v == "" {
			return "empty"
		}
		return "a text"
	case []any:
		return "a list"
	}
	return "an object"
}
