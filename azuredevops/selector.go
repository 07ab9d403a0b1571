package azuredevops

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
)

// The options of every selector that do not decide what is fetched.
const (
	optionQuery   = "query"
	optionEnviron = "exportEnvVariables"
)

// decodeSelector reads a selector into a struct as the Python integration does:
// booleans and integers may be texts, a list is never a scalar, unknown keys are
// ignored, with a warning. An absent or null option keeps its default. Tags:
//
//	json:"name"      as usual; every field has one
//	alias:"name"     another spelling that is accepted
//	default:"text"   of a string or a number
//	null:"none"      null is a value of its own: none, whatever the default
//	oneof:"A,B"      the only values of a string
//	min:"1"          the smallest integer
//	required:"true"  must be there
//	strict:"true"    of an object: unknown keys are errors
//	ignored:"true"   checked, but without effect
//
// The error joins what is wrong, each with its path.
func decodeSelector(raw json.RawMessage, into any) (warnings []string, err error) {
	d := &selectorDecoder{}
	v := reflect.ValueOf(into).Elem()
	var doc any = map[string]any{}
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && string(raw) != "null" {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&doc); err != nil {
			return nil, errors.New("want an object")
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return nil, errors.New("want one object")
		}
	}
	object, ok := doc.(map[string]any)
	if !ok {
		return nil, errors.New("want an object")
	}
	var names []string
	if list, ok := object[optionEnviron]; ok {
		d.value(optionEnviron, list, reflect.ValueOf(&names).Elem(), "")
	}
	object = maps.Clone(object)
	delete(object, optionQuery)
	delete(object, optionEnviron)
	d.object("", object, v, false)
	return d.warnings, errors.Join(d.errs...)
}

type selectorDecoder struct {
	errs     []error
	warnings []string
}

// A selectorValue is an option that decodes itself.
type selectorValue interface{ decodeSelector(v any) error }

func (d *selectorDecoder) fail(path, want string) {
	if path != "" {
		want = path + ": " + want
	}
	d.errs = append(d.errs, errors.New(want))
}

// object decodes the members of an object into the fields of a struct.
func (d *selectorDecoder) object(path string, doc map[string]any, v reflect.Value, strict bool) {
	known := map[string]bool{}
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Anonymous {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = true
		at := join(path, name)
		val, ok := doc[name]
		if alias := f.Tag.Get("alias"); alias != "" {
			known[alias] = true
			if !ok {
				val, ok = doc[alias]
			}
		}
		field := v.FieldByIndex(f.Index)
		if ok && val == nil && f.Tag.Get("null") == "none" {
			continue
		}
		if !ok || val == nil {
			d.byDefault(at, f, field)
			continue
		}
		d.value(at, val, field, f.Tag)
		if f.Tag.Get("ignored") == "true" {
			field.SetZero()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		if known[name] {
			continue
		}
		text := "unknown key"
		if near := nearest(name, slices.Sorted(maps.Keys(known))); near != "" {
			text += fmt.Sprintf(", did you mean %q?", near)
		}
		if strict {
			d.fail(join(path, name), text)
		} else {
			d.warnings = append(d.warnings, join(path, name)+": "+text+" (ignored)")
		}
	}
}

func (d *selectorDecoder) byDefault(path string, f reflect.StructField, v reflect.Value) {
	if f.Tag.Get("required") == "true" {
		d.fail(path, "is missing")
	}
	if text, ok := f.Tag.Lookup("default"); ok {
		d.value(path, text, v, f.Tag)
	}
}

// value decodes one option.
func (d *selectorDecoder) value(path string, val any, v reflect.Value, tag reflect.StructTag) {
	if own, ok := reflect.TypeAssert[selectorValue](v.Addr()); ok {
		if err := own.decodeSelector(val); err != nil {
			d.fail(path, err.Error())
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		b, ok := boolOf(val)
		if !ok {
			d.fail(path, "want true or false")
		}
		v.SetBool(b)
	case reflect.Int:
		d.integer(path, val, v, tag)
	case reflect.String:
		d.text(path, val, v, tag)
	case reflect.Slice:
		list, ok := val.([]any)
		if !ok {
			d.fail(path, "want a list")
			return
		}
		if len(list) == 0 {
			v.SetZero() // the same key as without the option
			return
		}
		out := reflect.MakeSlice(v.Type(), len(list), len(list))
		for i, e := range list {
			d.value(path+"["+strconv.Itoa(i)+"]", e, out.Index(i), tag)
		}
		v.Set(out)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(path, val, v.Elem(), tag)
	case reflect.Struct:
		doc, ok := val.(map[string]any)
		if !ok {
			d.fail(path, "want an object")
			return
		}
		d.object(path, doc, v, tag.Get("strict") == "true")
	default:
		panic("azuredevops: selector option " + path + " has a type that cannot be decoded")
	}
}

func (d *selectorDecoder) integer(path string, val any, v reflect.Value, tag reflect.StructTag) {
	n, ok := intOf(val)
	if !ok {
		d.fail(path, "want an integer")
		return
	}
	if least, err := strconv.ParseInt(tag.Get("min"), 10, 64); err == nil && n < least {
		d.fail(path, fmt.Sprintf("want an integer of at least %d", least))
		return
	}
	v.SetInt(n)
}

func (d *selectorDecoder) text(path string, val any, v reflect.Value, tag reflect.StructTag) {
	var s string
	switch val := val.(type) {
	case string:
		s = val
	case json.Number:
		s = val.String()
	default:
		d.fail(path, "want a string")
		return
	}
	if of := tag.Get("oneof"); of != "" && !slices.Contains(strings.Split(of, ","), s) {
		d.fail(path, "want one of "+strings.ReplaceAll(of, ",", ", "))
		return
	}
	v.SetString(s)
}

// boolOf reads a boolean, or the texts and numbers that stand for one.
func boolOf(val any) (value, ok bool) {
	switch val := val.(type) {
	case bool:
		return val, true
	case json.Number:
		return val == "1", val == "0" || val == "1"
	case string:
		switch strings.ToLower(val) {
		case "true", "yes", "on", "1", "t", "y":
			return true, true
		case "false", "no", "off", "0", "f", "n":
			return false, true
		}
	}
	return false, false
}

// intOf reads an integer, however it is spelled: 7, 7.0, "7".
func intOf(val any) (int64, bool) {
	var text string
	switch val := val.(type) {
	case json.Number:
		text = val.String()
	case string:
		text = strings.TrimSpace(val)
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return 0, false
		}
	default:
		return 0, false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	if len(text) > 32 {
		return 0, false
	}
	f, _, err := big.ParseFloat(text, 10, 64, big.ToZero)
	if err != nil || !f.IsInt() {
		return 0, false
	}
	n, exact := f.Int64()
	return n, exact == big.Exact
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// nearest is the known name that was probably meant: it differs in case and
// separators, or in two letters.
func nearest(name string, known []string) string {
	plain := func(s string) string { return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s)) }
	best, least := "", 3
	for _, k := range known {
		if d := levenshtein.ComputeDistance(plain(name), plain(k)); d < least && d < len(k)/2 {
			best, least = k, d
		}
	}
	return best
}
