package content

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v3"
)

// appendYAML reads YAML 1.1 as Python's safe loader does, and writes what
// jq sees of it. Text that begins with "---" may have several documents; those
// that are not null make a list, unless there is only one.
func appendYAML(out []byte, text string) ([]byte, error) {
	docs, err := yamlDocuments(text)
	if err != nil {
		return nil, err
	}
	if len(docs) > 1 && !strings.HasPrefix(text, "---") {
		return nil, errNotData
	}
	switch docs = withoutNull(docs); len(docs) {
	case 0:
		return nil, errNotData
	case 1:
		return append(out, docs[0]...), nil
	}
	out = append(append(out, '['), bytes.Join(docs, []byte{','})...)
	return append(out, ']'), nil
}

// yamlDocuments are the documents of a text, as JSON.
func yamlDocuments(text string) (docs [][]byte, err error) {
	defer func() {
		if r := recover(); r != nil { // the library gives up on some texts in this way
			docs, err = nil, fmt.Errorf("%w: %v", errNotData, r)
		}
	}()
	dec := yaml.NewDecoder(strings.NewReader(text))
	var roots []*yaml.Node
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotData, err)
		}
		if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
			return nil, errNotData
		}
		roots = append(roots, doc.Content[0])
	}
	w := yamlWriter{left: maxYAMLBytes}
	for _, root := range roots {
		doc, err := w.value(nil, root, 0)
		if err != nil {
			return nil, fmt.Errorf("%w, in the document at line %d", err, root.Line)
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

func withoutNull(docs [][]byte) [][]byte {
	return slices.DeleteFunc(docs, func(doc []byte) bool { return string(doc) == "null" })
}

// A yamlWriter writes nodes as JSON. Its errors mean that the text is no data.
type yamlWriter struct {
	left int          // bytes that may still be written
	open []*yaml.Node // aliases on the way to the node
}

// value appends a node.
func (w *yamlWriter) value(out []byte, n *yaml.Node, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errNotData
	}
	switch n.Kind {
	case yaml.AliasNode:
		if slices.Contains(w.open, n.Alias) {
			return nil, errNotData // it holds itself
		}
		w.open = append(w.open, n.Alias)
		defer func() { w.open = w.open[:len(w.open)-1] }()
		return w.value(out, n.Alias, depth+1)
	case yaml.ScalarNode:
		at := len(out)
		out, err := appendScalar(out, n)
		if w.left -= len(out) - at; w.left < 0 {
			return nil, errNotData
		}
		return out, err
	case yaml.SequenceNode:
		if n.Style&yaml.TaggedStyle != 0 && n.ShortTag() != "!!seq" {
			return nil, errNotData
		}
		return w.sequence(out, n, depth)
	case yaml.MappingNode:
		if n.Style&yaml.TaggedStyle != 0 && n.ShortTag() != "!!map" {
			return nil, errNotData
		}
		return w.mapping(out, n, depth)
	default:
		return nil, errNotData
	}
}

func (w *yamlWriter) sequence(out []byte, n *yaml.Node, depth int) ([]byte, error) {
	out = append(out, '[')
	for i, c := range n.Content {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = w.value(out, c, depth+1); err != nil {
			return nil, err
		}
	}
	w.left -= 2
	return append(out, ']'), nil
}

// mapping appends an object: keys are texts, the last of equal ones counts.
func (w *yamlWriter) mapping(out []byte, n *yaml.Node, depth int) ([]byte, error) {
	pairs, err := w.pairs(n, depth)
	if err != nil {
		return nil, err
	}
	index := make(map[string]int, len(pairs))
	kept := pairs[:0]
	for _, p := range pairs {
		if i, ok := index[p.name]; ok {
			kept[i].value = p.value
			continue
		}
		index[p.name] = len(kept)
		kept = append(kept, p)
	}
	out = append(out, '{')
	for i, p := range kept {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(gjson.AppendJSONString(out, p.name), ':')
		if out, err = w.value(out, p.value, depth+1); err != nil {
			return nil, err
		}
		if w.left -= len(p.name) + 4; w.left < 0 {
			return nil, errNotData
		}
	}
	return append(out, '}'), nil
}

type yamlPair struct {
	name  string
	value *yaml.Node
}

// pairs are the members of a mapping, those that it merges first.
func (w *yamlWriter) pairs(n *yaml.Node, depth int) ([]yamlPair, error) {
	var merged, own []yamlPair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if isMerge(key) {
			more, err := w.merge(value, depth+1, true)
			if err != nil {
				return nil, err
			}
			merged = append(merged, more...)
			continue
		}
		name, err := yamlKey(key)
		if err != nil {
			return nil, err
		}
		own = append(own, yamlPair{name, value})
	}
	if w.left -= 4 * len(merged); w.left < 0 || len(merged) > maxYAMLBytes/8 {
		return nil, errNotData
	}
	return append(merged, own...), nil
}

// merge are the members that "<<" stands for: of a mapping, or of a list of
// mappings, whose first one wins.
func (w *yamlWriter) merge(n *yaml.Node, depth int, lists bool) ([]yamlPair, error) {
	if depth > maxDepth {
		return nil, errNotData
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.MappingNode:
		return w.pairs(n, depth)
	case n.Kind != yaml.SequenceNode || !lists:
		return nil, errNotData
	}
	var out []yamlPair
	for _, c := range slices.Backward(n.Content) {
		more, err := w.merge(c, depth+1, false)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func isMerge(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!merge"
}

// yamlKey is the text that a key becomes.
func yamlKey(n *yaml.Node) (string, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return "", errNotData // Python cannot hash it
	}
	if n.Style == 0 && n.Value == "=" {
		return "=", nil
	}
	b, err := appendScalar(nil, n)
	if err != nil {
		return "", err
	}
	if b[0] == '"' {
		return gjson.ParseBytes(b).String(), nil
	}
	return string(b), nil
}
