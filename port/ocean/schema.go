package ocean

import (
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
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
	Row            // without a value
	index    []int // of the struct's field
	typ      reflect.Type
	unit     time.Duration
	min, max string
	oneof    []string
	aliases  map[string]string
	null     string
	hasNull  bool
	text     bool                              // any text is a value, so that `null` and spaces are text as well
	expected string                            // the form that a value must have, for error messages; empty: its parser says that
	parse    func(text string) (string, error) // to the one canonical text of a value
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType    = reflect.TypeFor[time.Duration]()
)

// newSchema finds the variables of a struct type and of the structs in it.
func newSchema(t reflect.Type) (*schema, error) {
	s := &schema{byName: map[string]*field{}, sections: map[string]bool{}, squashed: map[string]string{}}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("ocean: %s is not a struct", t)
	}
	if err := s.walk(t, "", nil); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *schema) walk(t reflect.Type, prefix string, above []int) error {
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		key, options, _ := strings.Cut(f.Tag.Get("env"), ",")
		index := append(slices.Clip(above), f.Index...)
		var err error
		switch {
		case key == "-":
		case key != "":
			err = s.add(newField(prefix+key, options, f, index))
		case f.Type.Kind() == reflect.Struct:
			err = s.walk(f.Type, prefix+f.Tag.Get("envPrefix"), index)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func newField(name, options string, f reflect.StructField, index []int) *field {
	out := &field{
		Row: Row{
			Variable: name, Default: f.Tag.Get("envDefault"), Meaning: f.Tag.Get("doc"),
			Required: strings.Contains(options, "required") || strings.Contains(options, "notEmpty"),
		},
		index: index, typ: f.Type, min: f.Tag.Get("min"), max: f.Tag.Get("max"), unit: time.Second, aliases: map[string]string{},
	}
	out.Secret = f.Tag.Get("secret") == "true" || out.base().Name() == "Secret"
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
	out.Type, out.expected, out.parse = out.form(f.Tag)
	out.text = out.base().Kind() == reflect.String && len(out.oneof) == 0 && f.Tag.Get("form") == ""
	if out.Secret {
		out.Type = "secret"
	}
	return out
}

// form says how the table of variables calls the type of a value, which form the
// value must have, and how it is read.
func (f *field) form(tag reflect.StructTag) (name, expected string, parse func(string) (string, error)) {
	limits := ""
	switch {
	case f.min != "" && f.max != "":
		limits = fmt.Sprintf(" between %s and %s", f.min, f.max)
	case f.min != "":
		limits = " of at least " + f.min
	case f.max != "":
		limits = " of at most " + f.max
	}
	b := f.base()
	asIs := func(text string) (string, error) { return text, nil }
	switch {
	case len(f.oneof) > 0:
		return strings.Join(f.oneof, " | "), "one of " + strings.Join(f.oneof, ", "), f.enum
	case tag.Get("form") == "url":
		return "URL", "an http or https URL such as https://example.com", httpURL
	case tag.Get("form") == "lower":
		return "text", "a text", func(text string) (string, error) { return strings.ToLower(text), nil }
	case b == durationType:
		return "duration", fmt.Sprintf("a duration%s such as 90s or 15m (bare digits are %s)", limits, unitName(f.unit)), f.duration
	case f.isList():
		return "list", `a list such as ["a","b"] or a,b`, list
	case reflect.PointerTo(b).Implements(textUnmarshaler):
		return cmp.Or(tag.Get("type"), strings.ToLower(b.Name())), "", asIs
	case b.Kind() == reflect.Bool:
		return "boolean", "true or false", boolean
	case b.Kind() == reflect.String:
		return "text", "a text", asIs
	}
	return "integer", "a whole number" + limits, f.integer
}

// set stores a canonical text in the struct.
func (f *field) set(cfg reflect.Value, text string) error {
	to := cfg.FieldByIndex(f.index)
	if f.typ.Kind() == reflect.Pointer {
		to.Set(reflect.New(f.base()))
		to = to.Elem()
	}
	if f.base() == durationType {
		d, err := time.ParseDuration(text)
		to.SetInt(int64(d))
		return err
	}
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](to.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	if to.Kind() == reflect.String {
		to.SetString(text)
		return nil
	}
	return json.Unmarshal([]byte(text), to.Addr().Interface())
}

// add records a field and the sections above it. Two fields of one name, or of
// names that differ in underscores only, are a mistake in the structs.
func (s *schema) add(f *field) error {
	if s.byName[f.Variable] != nil {
		return fmt.Errorf("ocean: variable %s is declared twice", f.Variable)
	}
	if other, ok := s.squashed[squash(f.Variable)]; ok {
		return fmt.Errorf("ocean: variables %s and %s differ in underscores only", f.Variable, other)
	}
	s.fields = append(s.fields, f)
	s.byName[f.Variable] = f
	s.squashed[squash(f.Variable)] = f.Variable
	parts := strings.Split(f.Variable, "__")
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

// isList reports whether the value is a list of texts. A type that parses
// itself gets the list as JSON, which it has to understand.
func (f *field) isList() bool {
	return f.base().Kind() == reflect.Slice && f.base().Elem().Kind() == reflect.String
}
