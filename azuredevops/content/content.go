// Package content makes JSON of the bytes of files, as the Python integration sees
// them, so that mappings written for it find what they expect; and it tells which
// files and folders a pattern means.
package content

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

const (
	// maxDepth is how deep what is parsed may be nested, maxYAMLBytes how long its
	// JSON may become when aliases repeat themselves. Beyond, a file is its text.
	maxDepth     = 1000
	maxYAMLBytes = 8 << 20

	// largestFloat is what jq makes of numbers that no double can hold.
	largestFloat = "1.7976931348623157e+308"
)

// errNotData is text that is not a document of the format.
var errNotData = errors.New("not data")

// AppendText appends the text of a file as JSON: null when it is not UTF-8.
func AppendText(out, file []byte) []byte {
	if !utf8.Valid(file) {
		return append(out, "null"...)
	}
	return gjson.AppendJSONString(out, rawjson.View(file))
}

// AppendParsed appends what a file says, as JSON: the text read as JSON, else as YAML,
// else the text itself. The name of the file does not matter.
func AppendParsed(out []byte, text string) []byte {
	at := len(out)
	if out, err := appendJSON(out, text); err == nil {
		return out
	}
	if out, err := appendYAML(out[:at], text); err == nil {
		return out
	}
	return gjson.AppendJSONString(out[:at], text)
}

// Documents reads a file as JSON or, when it is none, as YAML 1.1, in which there may
// be several documents. Each one that is not null is a JSON value. An error says where
// the text is neither.
func Documents(file []byte) ([][]byte, error) {
	file = bytes.TrimPrefix(file, []byte("\ufeff"))
	if !utf8.Valid(file) {
		return nil, fmt.Errorf("%w: not UTF-8", errNotData)
	}
	if one, err := appendJSON(nil, string(file)); err == nil {
		return withoutNull([][]byte{one}), nil
	}
	docs, err := yamlDocuments(string(file))
	return withoutNull(docs), err
}
