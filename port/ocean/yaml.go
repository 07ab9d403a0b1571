package ocean

import (
	"errors"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yaml takes `config.yaml`: keys in camelCase or snake_case below the prefix
// OCEAN.
func (f *flat) yaml(text []byte, env func(string) (string, bool)) {
	if len(strings.TrimSpace(string(text))) == 0 {
		return
	}
	bad := &ValueError{Variable: "config.yaml", Origin: "the working directory", Expected: "a YAML mapping of settings"}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		f.errs = append(f.errs, bad)
		return
	}
	r := yamlReader{env: env, budget: maxYAMLNodes}
	value, err := r.value(&doc, 0)
	if err != nil {
		f.errs = append(f.errs, bad)
		return
	}
	switch root := value.(type) {
	case nil: // comments only
	case map[string]any:
		f.object("OCEAN", root, FromYAML, "")
	default:
		f.errs = append(f.errs, bad)
	}
}

// Bounds of a configuration file: aliases may blow a small one up.
const (
	maxYAMLNodes = 100_000
	maxYAMLDepth = 100
)

var errYAML = errors.New("not a configuration")

// A yamlReader keeps scalars as they are written: a secret of digits is text,
// and 0123 is not 83.
type yamlReader struct {
	env    func(string) (string, bool)
	budget int
}

func (r *yamlReader) value(n *yaml.Node, depth int) (any, error) {
	r.budget--
	if r.budget < 0 || depth > maxYAMLDepth {
		return nil, errYAML
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil, nil
		}
		return r.value(n.Content[0], depth+1)
	case yaml.AliasNode:
		return r.value(n.Alias, depth+1)
	case yaml.MappingNode:
		return r.mapping(n, depth)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := r.value(c, depth+1)
			if err != nil {
				return nil, err
			}
			if v != unset {
				list = append(list, v)
			}
		}
		return list, nil
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return nil, nil
		}
		return r.scalar(n.Value), nil
	}
	return nil, nil
}

func (r *yamlReader) mapping(n *yaml.Node, depth int) (any, error) {
	out := make(map[string]any, len(n.Content)/2)
	merged := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		v, err := r.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		key := n.Content[i]
		if inner, ok := v.(map[string]any); ok && key.Tag == "!!merge" {
			merged = inner
			continue
		}
		if v != unset {
			out[key.Value] = v
		}
	}
	for k, v := range merged {
		if _, ok := out[k]; !ok {
			out[k] = v
		}
	}
	return out, nil
}

// unset is the value of a reference to a variable that does not exist: its key
// is dropped.
const unset = "\x00unset"

var fromEnv = regexp.MustCompile(`^\s*\{\{\s*from\s+env\s+(\w+)\s*\}\}\s*$`)

func (r *yamlReader) scalar(text string) string {
	m := fromEnv.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	if v, ok := r.env(m[1]); ok {
		return v
	}
	return unset
}
