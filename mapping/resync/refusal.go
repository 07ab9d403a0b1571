package resync

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// enums are the properties of a blueprint that may have certain values only.
type enums struct {
	path   []string // of each property in an entity's body
	name   []string
	values [][][]byte // JSON
}

// enumsOf reads them from the blueprint. A blueprint that cannot be read has none.
func (r *run) enumsOf(ctx context.Context, blueprint string) *enums {
	out := &enums{}
	bp, err := r.catalog.Blueprint(ctx, blueprint)
	if err != nil {
		return out
	}
	for _, name := range sortedKeys(bp.Enums) {
		var values [][]byte
		for _, v := range bp.Enums[name] {
			values = append(values, bytes.TrimSpace(v))
		}
		out.path = append(out.path, "properties."+gjsonName.Replace(name))
		out.name = append(out.name, name)
		out.values = append(out.values, values)
	}
	return out
}

// gjsonName escapes what means something in a path of gjson.
var gjsonName = strings.NewReplacer(`\`, `\\`, ".", `\.`, "*", `\*`, "?", `\?`, "|", `\|`, "#", `\#`, "@", `\@`, "!", `\!`, "{", `\{`, "}", `\}`, "[", `\[`, "]", `\]`, "(", `\(`, ")", `\)`, "=", `\=`, "<", `\<`, ">", `\>`, "~", `\~`, "%", `\%`, `"`, `\"`, ":", `\:`)

// refuses says why Port would refuse an entity, or nil. It looks at what cannot
// be understood in two ways only: a value that the blueprint does not list. What
// would be refused is not sent, in every resync anew.
func (e *enums) refuses(it *item) error {
	for i, path := range e.path {
		v := gjson.GetBytes(it.Body, path)
		if !v.Exists() || v.Type == gjson.Null || v.IsArray() || v.IsObject() {
			continue
		}
		known := false
		for _, want := range e.values[i] {
			known = known || mapping.SameJSON([]byte(v.Raw), want)
		}
		if !known {
			return &port.EntityError{
				Ref: port.Ref{Blueprint: it.Blueprint, Identifier: it.Identifier}, Status: 422, Code: "not sent",
				Message: fmt.Sprintf("property %q is %s, which the blueprint does not list among its values", e.name[i], v.Raw),
			}
		}
	}
	return nil
}
