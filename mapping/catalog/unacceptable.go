package catalog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/port"
)

// unacceptable says why Port would refuse an entity, as far as its blueprint tells, or
// "". failed is why the blueprint cannot be had. held is what Port has of the entity;
// what a merged body does not set comes from there.
//
// Port converts scalars where it can, so only what it surely does not take counts.
func unacceptable(bp *port.Blueprint, failed error, body, held []byte, merge bool) string {
	if errors.Is(failed, port.ErrNotFound) {
		return "Port has no such blueprint"
	}
	if failed != nil {
		return ""
	}
	reason := ""
	gjson.GetBytes(body, "properties").ForEach(func(name, v gjson.Result) bool {
		typ, known := bp.Types[name.Str]
		switch {
		case !known:
			reason = fmt.Sprintf("the blueprint has no property %q", name.Str)
		case !converts(v, typ):
			reason = fmt.Sprintf("property %q is %s, which is no %s", name.Str, shown(v), typ)
		}
		return reason == ""
	})
	gjson.GetBytes(body, "relations").ForEach(func(name, v gjson.Result) bool {
		rel, known := bp.Relations[name.Str]
		switch {
		case !known:
			reason = fmt.Sprintf("the blueprint has no relation %q", name.Str)
		case v.IsArray() && !rel.Many:
			reason = fmt.Sprintf("relation %q leads to one entity, not to a list", name.Str)
		case v.Type == gjson.String && rel.Many:
			reason = fmt.Sprintf("relation %q wants a list", name.Str)
		}
		return reason == ""
	})
	if reason != "" {
		return reason
	}
	lacks := func(path string) bool {
		v := gjson.GetBytes(body, path)
		if !v.Exists() && merge {
			v = gjson.GetBytes(held, path)
		}
		return v.Type == gjson.Null
	}
	for _, name := range bp.Required {
		if lacks("properties." + gjson.Escape(name)) {
			return fmt.Sprintf("property %q is required and has no value", name)
		}
	}
	for _, name := range sortedKeys(bp.Relations) {
		if bp.Relations[name].Required && (held == nil || !merge) && lacks("relations."+gjson.Escape(name)) {
			return fmt.Sprintf("relation %q is required and leads nowhere", name)
		}
	}
	return ""
}

// converts says whether a value is of a type, or may be made one of it.
func converts(v gjson.Result, typ string) bool {
	if v.Type == gjson.Null {
		return true // no value
	}
	switch typ {
	case "string":
		return v.Type != gjson.JSON
	case "number":
		_, err := strconv.ParseFloat(strings.TrimSpace(v.Str), 64)
		return v.Type != gjson.JSON && (v.Type != gjson.String || err == nil)
	case "boolean":
		switch v.Type {
		case gjson.String:
			return v.Str == "true" || v.Str == "false"
		case gjson.Number:
			return v.Num == 0 || v.Num == 1
		case gjson.True, gjson.False, gjson.Null:
			return true
		case gjson.JSON:
			return false
		}
	case "object":
		return v.IsObject()
	case "array":
		return !v.IsObject()
	}
	return true
}

// shown is a value, shortened.
func shown(v gjson.Result) string {
	const most = 80
	text := v.Raw
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
