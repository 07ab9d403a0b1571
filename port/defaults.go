package port

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v3"
)

//go:embed defaults
var embedded embed.FS

// Defaults are the built-in default resources: the mapping, blueprints,
// scorecards and pages that Port's own integration brings
// (https://github.com/port-labs/ocean/tree/main/integrations/azure-devops).
func Defaults() fs.FS {
	sub, err := fs.Sub(embedded, "defaults")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	return sub
}

// resources are default resources as Port takes them.
type resources struct {
	mapping    json.RawMessage
	blueprints []defaultBlueprint
	actions    []json.RawMessage
	scorecards map[string][]json.RawMessage // by blueprint
	pages      []json.RawMessage
}

// loadResources reads a directory. Missing files are missing resources, other
// files are left alone, a known name with another extension is an error.
func loadResources(dir fs.FS) (*resources, error) {
	r := &resources{mapping: json.RawMessage(emptyMapping), scorecards: map[string][]json.RawMessage{}}
	var blueprints []json.RawMessage
	var scorecards []struct {
		Blueprint string            `json:"blueprint"`
		Data      []json.RawMessage `json:"data"`
	}
	stems := map[string]any{
		"blueprints": &blueprints, "actions": &r.actions, "scorecards": &scorecards, "pages": &r.pages, "port-app-config": &r.mapping,
	}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, fmt.Errorf("default resources: %w", err)
	}
	for _, e := range entries {
		ext := path.Ext(e.Name())
		into, known := stems[strings.TrimSuffix(e.Name(), ext)]
		if e.IsDir() || !known {
			continue
		}
		if ext != ".json" && ext != ".yaml" && ext != ".yml" {
			return nil, fmt.Errorf("default resources: %s: expected .json, .yaml or .yml", e.Name())
		}
		raw, err := fs.ReadFile(dir, e.Name())
		if err != nil {
			return nil, fmt.Errorf("default resources: %w", err)
		}
		doc, err := YAMLToJSON(raw) // YAML includes JSON
		if err == nil {
			err = json.Unmarshal(doc, into)
		}
		if err != nil {
			return nil, fmt.Errorf("default resources: %s: %w", e.Name(), err)
		}
	}
	for _, doc := range blueprints {
		b, err := newDefaultBlueprint(doc)
		if err != nil {
			return nil, fmt.Errorf("default resources: blueprints: %w", err)
		}
		r.blueprints = append(r.blueprints, b)
	}
	for _, g := range scorecards {
		r.scorecards[g.Blueprint] = append(r.scorecards[g.Blueprint], g.Data...)
	}
	return r, nil
}

// A defaultBlueprint is a blueprint that can be sent in stages.
type defaultBlueprint struct {
	id     string
	stages [3][]byte
}

// stageOf says in which stage a member of a blueprint can be sent first; the
// others are in all of them.
func stageOf(member string) int {
	switch member {
	case "relations", "teamInheritance", "ownership":
		return 1
	case "calculationProperties", "mirrorProperties", "aggregationProperties":
		return 2
	}
	return 0
}

func newDefaultBlueprint(doc []byte) (b defaultBlueprint, err error) {
	if b.id = gjson.GetBytes(doc, "identifier").Str; b.id == "" {
		return b, errors.New("a blueprint without identifier")
	}
	for n := range b.stages {
		out := []byte{'{'}
		gjson.ParseBytes(doc).ForEach(func(k, v gjson.Result) bool {
			if stageOf(k.Str) > n || stageOf(k.Str) > 0 && emptyJSON([]byte(v.Raw)) {
				return true
			}
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(append(append(out, k.Raw...), ':'), v.Raw...)
			return true
		})
		b.stages[n] = append(out, '}')
	}
	return b, nil
}

// Planned is the mapping that Setup would make for an installation that Port does
// not have, and the blueprints that would come with it. The mapping is empty where
// Port makes it. Nothing is written.
func (c *Client) Planned(ctx context.Context, cfg SetupConfig) (mapping json.RawMessage, blueprints []*Blueprint, err error) {
	s := &setup{c: c, cfg: cfg}
	switch origin, err := s.origin(ctx); {
	case err != nil || origin == OriginPort:
		return nil, nil, err
	case origin == OriginEmpty:
		return json.RawMessage(emptyMapping), nil, nil
	}
	r, err := s.load(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	if !cfg.InitializeResources {
		return r.mapping, nil, nil
	}
	for _, d := range r.blueprints {
		b, err := readBlueprint(d.stages[len(d.stages)-1])
		if err != nil {
			return nil, nil, fmt.Errorf("default blueprint %s: %w", d.id, err)
		}
		blueprints = append(blueprints, b)
	}
	return r.mapping, blueprints, nil
}

// YAMLToJSON converts a document and keeps the order of its members, which
// Port shows to users.
func YAMLToJSON(raw []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := writeJSON(&out, &doc, 0); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// maxYAMLDepth bounds aliases that contain themselves.
const maxYAMLDepth = 100

func writeJSON(out *bytes.Buffer, n *yaml.Node, depth int) error {
	if depth > maxYAMLDepth {
		return fmt.Errorf("line %d: nested too deep", n.Line)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return writeJSON(out, n.Content[0], depth+1)
	case yaml.AliasNode:
		return writeJSON(out, n.Alias, depth+1)
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeJSON(out, item, depth+1); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	case yaml.MappingNode:
		return writeJSONObject(out, n, depth)
	default: // a scalar, or an empty document
		var v any
		if err := n.Decode(&v); err != nil {
			return err
		}
		return appendJSON(out, v)
	}
}

func writeJSONObject(out *bytes.Buffer, n *yaml.Node, depth int) error {
	out.WriteByte('{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := appendJSON(out, n.Content[i].Value); err != nil {
			return err
		}
		out.WriteByte(':')
		if err := writeJSON(out, n.Content[i+1], depth+1); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

// appendJSON encodes a value without escaping <, > and &, which are common in
// jq expressions.
func appendJSON(out *bytes.Buffer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the newline
	return nil
}
