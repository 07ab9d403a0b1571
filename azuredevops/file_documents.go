package azuredevops

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// Documents reads a text as JSON or, when it is none, as YAML 1.1, in which there
// may be several documents. Each one that is not null is a JSON value. An error
// says where the text is neither.
func Documents(text []byte) (docs [][]byte, err error) {
	defer func() {
		if r := recover(); r != nil { // the library gives up on some texts in this way
			docs, err = nil, fmt.Errorf("%w: %v", errNotData, r)
		}
	}()
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%w: not UTF-8", errNotData)
	}
	if one, err := appendParsedJSON(nil, string(text)); err == nil {
		return withoutNull(docs, one), nil
	}
	nodes, err := yamlDocuments(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotData, err)
	}
	w := yamlWriter{left: maxParsedBytes}
	for _, n := range nodes {
		one, err := w.value(nil, n, 0)
		if err != nil {
			return nil, fmt.Errorf("%w, in the document at line %d", err, n.Line)
		}
		docs = withoutNull(docs, one)
	}
	return docs, nil
}

func withoutNull(docs [][]byte, one []byte) [][]byte {
	if string(one) == "null" {
		return docs
	}
	return append(docs, one)
}
