package ocean

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Schema tags. Besides `env`, `envPrefix` and `envDefault`, a field may have
//
//	doc:"…"          one sentence for people; Markdown code marks are allowed
//	secret:"true"    never shown; implied by a type named Secret
//	unit:"s"         what bare digits of a duration mean: ms, s (default), m, h
//	min:"1" max:"9"  inclusive range of a number or a duration
//	oneof:"a,b"      the values of an enumeration, in the contract's spelling
//	alias:"x=a"      further spellings of them
//	null:"0"         what the literal null stands for; else it means unset
//	type:"…"         what the table of variables calls a type that parses itself
//	form:"url"       http(s) URL, trailing slashes removed; form:"lower" is lower-cased
type schema struct {
	fields   []*field
	byName   map[string]*field
	sections map[string]bool
	// squashed finds a field by its name without underscores: JSON and YAML
	// keys may be written in camel case, which loses them (x509Strict).
	squashed map[string]string
}

// A field is one variable.
type field struct {
	name     string // canonical, such as OCEAN__PORT__CLIENT_ID
	typ      reflect.Type
	def      string
	required bool
	doc      string
	secret   bool
	unit     time.Duration
	min, max string
	oneof    []string
	aliases  map[string]string
	null     string
	hasNull  bool
	form     string
	kind     string // of the tag `type`
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType    = reflect.TypeFor[time.Duration]()
)

// newSchema walks a struct type as caarlos0/env walks the value.
func newSchema(t reflect.Type) (*schema, error) {
	s := &schema{byName: map[string]*field{}, sections: map[string]bool{}, squashed: map[string]string{}}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("ocean: %s is not a struct", t)
	}
	if err := s.walk(t, ""); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *schema) walk(t reflect.Type, prefix string) error {
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		key, options, _ := strings.Cut(f.Tag.Get("env"), ",")
		if key == "-" {
			continue
		}
		if key == "" {
			if f.Type.Kind() == reflect.Struct {
				if err := s.walk(f.Type, prefix+f.Tag.Get("envPrefix")); err != nil {
					return err
				}
			}
			continue
		}
		if err := s.add(newField(prefix+key, options, f)); err != nil {
			return err
		}
	}
	return nil
}

func newField(name, options string, f reflect.StructField) *field {
	out := &field{
		name: name, typ: f.Type, def: f.Tag.Get("envDefault"), doc: f.Tag.Get("doc"),
		min: f.Tag.Get("min"), max: f.Tag.Get("max"), form: f.Tag.Get("form"), kind: f.Tag.Get("type"),
		unit: time.Second, aliases: map[string]string{},
	}
	out.required = strings.Contains(options, "required") || strings.Contains(options, "notEmpty")
	out.secret = f.Tag.Get("secret") == "true" || out.base().Name() == "Secret"
	out.null, out.hasNull = f.Tag.Lookup("null")
	if list := f.Tag.Get("oneof"); list != "" {
		out.oneof = strings.Split(list, ",")
	}
	for pair := range strings.SplitSeq(f.Tag.Get("alias"), ",") {
		if from, to, ok := strings.Cut(pair, "="); ok {
			out.aliases[strings.ToLower(from)] = to
		}
	}
	if d, err := time.ParseDuration("1" + f.Tag.Get("unit")); err == nil {
		out.unit = d
	}
	return out
}

// add records a field and the sections above it. Two fields of one name, or of
// names that differ in underscores only, are a mistake in the structs.
func (s *schema) add(f *field) error {
	if s.byName[f.name] != nil {
		return fmt.Errorf("ocean: variable %s is declared twice", f.name)
	}
	if other, ok := s.squashed[squash(f.name)]; ok {
		return fmt.Errorf("ocean: variables %s and %s differ in underscores only", f.name, other)
	}
	s.fields = append(s.fields, f)
	s.byName[f.name] = f
	s.squashed[squash(f.name)] = f.name
	parts := strings.Split(f.name, "__")
	for i := 1; i < len(parts); i++ {
		s.sections[strings.Join(parts[:i], "__")] = true
	}
	return nil
}

// squash is a name without what spellings differ in.
func squash(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "_", ""))
}

// base is the type behind a pointer.
func (f *field) base() reflect.Type {
	if f.typ.Kind() == reflect.Pointer {
		return f.typ.Elem()
	}
	return f.typ
}

// isText reports whether any text is a value, so that `null` and spaces are
// text as well.
func (f *field) isText() bool {
	return f.base().Kind() == reflect.String && len(f.oneof) == 0 && f.form == ""
}

func (f *field) isCustom() bool {
	return f.base() != durationType && !f.isList() && reflect.PointerTo(f.base()).Implements(textUnmarshaler)
}

// isList reports whether the value is a list of texts. A type that parses
// itself gets the list as JSON, which it has to understand.
func (f *field) isList() bool {
	return f.base().Kind() == reflect.Slice && f.base().Elem().Kind() == reflect.String
}

// typeName is the type as the table of variables names it.
func (f *field) typeName() string {
	b := f.base()
	switch {
	case f.secret:
		return "secret"
	case len(f.oneof) > 0:
		return strings.Join(f.oneof, " | ")
	case f.form == "url":
		return "URL"
	case b == durationType:
		return "duration"
	case f.isList():
		return "list"
	case f.kind != "":
		return f.kind
	case f.isCustom() && b.Kind() != reflect.String:
		return strings.ToLower(b.Name())
	}
	switch b.Kind() { //nolint:exhaustive // the rest is text
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "integer"
	case reflect.Float32, reflect.Float64:
		return "number"
	}
	return "text"
}

// parsers are the functions that caarlos0/env needs for the canonical texts of
// normalize: its own split lists at commas and integers at 32 bits.
func (s *schema) parsers() map[reflect.Type]env.ParserFunc {
	out := map[reflect.Type]env.ParserFunc{
		reflect.TypeFor[int](): func(text string) (any, error) { return strconv.Atoi(text) },
	}
	for _, f := range s.fields {
		if !f.isList() {
			continue
		}
		t := f.base()
		out[t] = func(text string) (any, error) {
			v := reflect.New(t)
			if err := json.Unmarshal([]byte(text), v.Interface()); err != nil {
				return nil, fmt.Errorf("list: %w", err)
			}
			return v.Elem().Interface(), nil
		}
	}
	return out
}
