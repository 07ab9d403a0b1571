package preview

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/ado-port/ado-port/azuredevops"
)

// recordsOf reads JSON objects: one, several behind each other as in JSON lines, a
// list of them, or an answer of Azure DevOps with the list in `value`.
func recordsOf(r io.Reader) iter.Seq2[azuredevops.Record, error] {
	return func(yield func(azuredevops.Record, error) bool) {
		n := 0
		record := func(raw json.RawMessage, err error) bool {
			n++
			switch {
			case err == nil && raw[0] != '{':
				err = errors.New("want a JSON object")
			case errors.Is(err, io.ErrUnexpectedEOF):
				err = errors.New("the text ends within it")
			}
			if err != nil {
				yield(azuredevops.Record{}, fmt.Errorf("record %d of the input: %w", n, err))
				return false
			}
			return yield(azuredevops.Record{JSON: raw}, nil)
		}
		in := bufio.NewReader(r)
		if mark, _ := in.Peek(3); bytes.Equal(mark, []byte("\ufeff")) {
			_, _ = in.Discard(len(mark))
		}
		dec := json.NewDecoder(in)
		for {
			var raw json.RawMessage
			err := dec.Decode(&raw)
			if errors.Is(err, io.EOF) {
				return
			}
			list := []json.RawMessage{raw}
			if err == nil {
				list = elements(raw)
			}
			for _, one := range list {
				if !record(one, err) || err != nil {
					return
				}
			}
		}
	}
}

// elements are those of a list, or of an answer with one, or the value itself.
func elements(raw json.RawMessage) []json.RawMessage {
	var list []json.RawMessage
	var answer map[string]json.RawMessage
	switch {
	case raw[0] == '[' && json.Unmarshal(raw, &list) == nil:
		return list
	case raw[0] == '{' && json.Unmarshal(raw, &answer) == nil && len(answer) == 2 && answer["count"] != nil &&
		answer["value"] != nil && json.Unmarshal(answer["value"], &list) == nil:
		return list
	}
	return []json.RawMessage{raw}
}
