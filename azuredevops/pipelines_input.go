package azuredevops

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// A pipelineInput is what somebody wants of a pipeline.
type pipelineInput struct {
	organization string // name or address; empty: the one that has the project
	project      string // name or id
	pipeline     string // number
	body         []byte // of the request that starts it
}

// parsePipelineInput checks the inputs of the action trigger_pipeline. Inputs that
// are null, as expressions make them, are as if they were not there. The error is
// for whoever started the action.
func parsePipelineInput(properties []byte) (in pipelineInput, err error) {
	if !rawjson.Valid(properties) || !gjson.ParseBytes(properties).IsObject() {
		properties = []byte("{}")
	}
	text := func(v gjson.Result) string { return strings.TrimSpace(v.String()) }
	in.organization, in.project = text(rawjson.Get(properties, "organization")), text(rawjson.Get(properties, "project"))
	pipeline := text(rawjson.Get(properties, "pipelineId"))
	if in.project == "" || pipeline == "" {
		return in, errors.New("the inputs project and pipelineId are required")
	}
	if in.project == "." || in.project == ".." || strings.ContainsAny(in.project, `/\`) {
		return in, fmt.Errorf("the input project is %q: want the name or the id of a project", shortInput(in.project))
	}
	n, err := strconv.ParseInt(pipeline, 10, 32)
	if err != nil || n <= 0 {
		return in, fmt.Errorf("the input pipelineId is %q: want the number of a pipeline, as definitionId in its address", shortInput(pipeline))
	}
	in.pipeline = strconv.FormatInt(n, 10)
	in.body, err = pipelineBody(properties)
	return in, err
}

// pipelineBody is the body of the request; each part is there only when it is given.
//
// https://learn.microsoft.com/rest/api/azure/devops/pipelines/runs/run-pipeline
func pipelineBody(properties []byte) ([]byte, error) {
	body := map[string]any{}
	ref, err := branchRef(rawjson.Get(properties, "branch"))
	if err != nil {
		return nil, err
	}
	if ref != "" {
		body["resources"] = map[string]any{"repositories": map[string]any{"self": map[string]string{"refName": ref}}}
	}
	parameters, err := inputObject(properties, "templateParameters", func(_ string, v gjson.Result) (json.RawMessage, error) {
		return json.RawMessage(v.Raw), nil
	})
	if err != nil {
		return nil, err
	}
	if len(parameters) > 0 {
		body["templateParameters"] = parameters
	}
	variables, err := inputObject(properties, "variables", variableOf)
	if err != nil {
		return nil, err
	}
	if len(variables) > 0 {
		body["variables"] = variables
	}
	return json.Marshal(body)
}

// inputObject reads an input that is an object; members that are null are left out.
func inputObject(properties []byte, name string, read func(name string, v gjson.Result) (json.RawMessage, error)) (map[string]json.RawMessage, error) {
	in := rawjson.Get(properties, name)
	if in.Type == gjson.Null {
		return nil, nil
	}
	if !in.IsObject() {
		return nil, fmt.Errorf("the input %s is %s: want an object", name, shortInput(in.Raw))
	}
	out := map[string]json.RawMessage{}
	var err error
	in.ForEach(func(k, v gjson.Result) bool {
		if v.Type == gjson.Null {
			return true
		}
		out[k.Str], err = read(k.Str, v)
		return err == nil
	})
	return out, err
}

// variableOf is a variable as the service wants it: an object with a value, which is
// a text. One that has that form already is passed on.
func variableOf(name string, v gjson.Result) (json.RawMessage, error) {
	if v.IsObject() && v.Get("value").Exists() {
		inner, err := variableOf(name, v.Get("value"))
		if err != nil || !v.Get("isSecret").Bool() {
			return inner, err
		}
		text := gjson.GetBytes(inner, "value").Str
		return json.Marshal(map[string]any{"value": text, "isSecret": true})
	}
	if v.IsObject() || v.IsArray() {
		return nil, fmt.Errorf("the variable %q is %s: want a text, a number, true or false", shortInput(name), shortInput(v.Raw))
	}
	return json.Marshal(map[string]string{"value": v.String()})
}

// branchRef is the full name of a branch; empty for the default of the pipeline.
func branchRef(in gjson.Result) (string, error) {
	ref := strings.TrimSpace(in.String())
	switch {
	case in.Type == gjson.Null || in.Type == gjson.String && ref == "":
		return "", nil
	case in.Type != gjson.String || !validRef(ref):
		return "", fmt.Errorf("the input branch is %s: want the name of a branch, such as main or refs/tags/v1", shortInput(in.Raw))
	case strings.HasPrefix(ref, "refs/"):
		return ref, nil
	}
	return "refs/heads/" + ref, nil
}

// validRef leaves out what git does not allow in a name.
//
// https://git-scm.com/docs/git-check-ref-format
func validRef(s string) bool {
	if strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") || strings.HasSuffix(s, ".") || strings.HasSuffix(s, ".lock") {
		return false
	}
	for _, bad := range []string{"..", "//", "@{", "/."} {
		if strings.Contains(s, bad) {
			return false
		}
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) })
}

// shortInput keeps a message from repeating a whole document.
func shortInput(s string) string {
	const most = 100
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
