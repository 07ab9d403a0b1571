package ocean

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/joho/godotenv"
)

// A setting is the text of one variable and where it came from.
type setting struct {
	text   string
	origin Origin
	null   bool // JSON or YAML null
}

// flat is every source in one map of canonical names.
type flat struct {
	schema  *schema
	values  map[string]setting
	unknown map[string]Origin
	meant   map[string]string // the unknown name by the one that it probably means
	ignored map[string]string
	secrets []string // of names that are no settings
	notices []Notice
	errs    []error
}

// flatten merges the sources deeply, weakest first: a variable replaces the
// same key of a JSON section, a section of the environment replaces one key of
// the YAML file.
func flatten(s *schema, src Sources) *flat {
	f := &flat{schema: s, values: map[string]setting{}, unknown: map[string]Origin{}, meant: map[string]string{}, ignored: map[string]string{}}
	f.commandLine(src.Fallbacks)
	dot := f.dotEnv(src.DotEnv)
	f.yaml(src.YAML, func(name string) (string, bool) {
		if v, ok := src.Environ[name]; ok {
			return v, true
		}
		v, ok := dot[name]
		return v, ok
	})
	f.variables(dot, src.Environ)
	f.commandLine(src.Overrides)
	f.strayRegion(dot, src.Environ)
	f.warnUnknown()
	return f
}

func (f *flat) commandLine(texts map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		f.assign(name, texts[name], FromCommandLine, "")
	}
}

// variables takes the settings of `.env` and of the environment, one per canonical
// name, sections before what is nested in them.
func (f *flat) variables(dot, environ map[string]string) {
	byName := map[string]setting{}
	put := func(texts map[string]string, origin Origin) {
		// Backwards: lower case sorts last, and the canonical spelling wins.
		for _, name := range slices.Backward(slices.Sorted(maps.Keys(texts))) {
			canonical := strings.ToUpper(name)
			if !isSetting(canonical) {
				f.hint(canonical)
				continue
			}
			text := texts[name]
			if origin == FromEnvironment {
				text = f.unquoted(canonical, text)
			}
			if strings.TrimSpace(text) != "" { // empty means unset
				byName[canonical] = setting{text: text, origin: origin}
			}
		}
	}
	put(dot, FromDotEnv)
	put(environ, FromEnvironment)
	names := slices.Sorted(maps.Keys(byName))
	slices.SortStableFunc(names, func(a, b string) int { return strings.Count(a, "__") - strings.Count(b, "__") })
	for _, name := range names {
		f.assign(name, byName[name].text, byName[name].origin, "")
	}
}

// isSetting reports whether a name is meant for us. Kubernetes adds link
// variables that begin with OCEAN_ and one underscore.
func isSetting(name string) bool {
	return strings.HasPrefix(name, "OCEAN__") || strings.HasPrefix(name, "APPLICATION__")
}

// hint helps with the one underscore that chart keys such as
// oceanEventWorkersCount end up with.
func (f *flat) hint(name string) {
	if !strings.HasPrefix(name, "OCEAN_") && !strings.HasPrefix(name, "APPLICATION_") {
		return
	}
	if known, ok := f.schema.squashed[squash(name)]; ok {
		f.notices = append(f.notices, Notice{slog.LevelInfo, name, "has no effect; the setting is called " + known})
	}
}

func (f *flat) dotEnv(text []byte) map[string]string {
	if len(text) == 0 {
		return nil
	}
	vars, err := godotenv.UnmarshalBytes(text)
	if err != nil {
		// The parser's words quote the line, which may hold a secret.
		f.errs = append(f.errs, &ValueError{
			Variable: ".env", Origin: "the working directory", Expected: "lines of the form NAME=value",
		})
		return nil
	}
	return vars
}

// assign takes a value at a canonical name. via is the variable whose JSON it
// was found in.
func (f *flat) assign(name string, value any, origin Origin, via string) {
	if f.schema.sections[name] {
		f.section(name, value, origin, via)
		return
	}
	// Decamelising a key of JSON or YAML may not have found all its underscores.
	if _, here := f.schema.byName[name]; !here && (via != "" || origin == FromYAML) {
		if known, ok := f.schema.squashed[squash(name)]; ok {
			f.assign(known, value, origin, via)
			return
		}
	}
	if via != "" && via != name {
		origin = origin.via(via)
	}
	if _, ok := f.schema.byName[name]; !ok && deprecatedNames[name] == "" {
		f.stranger(name, value, origin)
		return
	}
	if value == nil {
		f.values[name] = setting{text: "null", origin: origin, null: true}
		return
	}
	if text := strings.Trim(scalar(value), "\r\n"); strings.TrimSpace(text) != "" {
		f.values[name] = setting{text: text, origin: origin}
	}
}

// section takes an object, or a text that holds one as JSON.
func (f *flat) section(name string, value any, origin Origin, via string) {
	switch v := value.(type) {
	case nil:
		return
	case map[string]any:
		f.object(name, v, origin, via)
		return
	case string:
		if strings.TrimSpace(v) == "" {
			return
		}
		if object, err := decodeObject(v); err == nil {
			if via == "" && origin != FromYAML {
				via = name
			}
			f.object(name, object, origin, via)
			return
		}
	}
	// Never the value: any section may hold a secret.
	f.errs = append(f.errs, &ValueError{Variable: name, Origin: origin, Expected: objectForm(name)})
}

func objectForm(name string) string {
	if name == "OCEAN__EVENT_LISTENER" {
		return `a JSON object such as {"type":"POLLING"}`
	}
	return `a JSON object such as {"key":"value"}`
}

// object takes the members in the order of their names, camelCase before
// snake_case: the contract's own spelling wins when a key is there twice.
func (f *flat) object(name string, members map[string]any, origin Origin, via string) {
	keys := slices.Sorted(maps.Keys(members))
	slices.SortStableFunc(keys, func(a, b string) int {
		return boolOrder(a == decamelise(a)) - boolOrder(b == decamelise(b))
	})
	for _, key := range keys {
		if key != "" {
			f.assign(name+"__"+strings.ToUpper(decamelise(key)), members[key], origin, via)
		}
	}
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

// stranger takes a name that is no setting here.
func (f *flat) stranger(name string, value any, origin Origin) {
	if reason := ignoredReason(name); reason != "" {
		f.ignored[name] = reason
		return
	}
	f.noteSecrets(name, value)
	if members, ok := value.(map[string]any); ok { // name what is inside it, as far as it is known
		for key, v := range members {
			inner := name + "__" + strings.ToUpper(decamelise(key))
			if reason := ignoredReason(inner); reason != "" {
				f.ignored[inner] = reason
				delete(members, key)
			} else if v == nil {
				delete(members, key)
			}
		}
		if len(members) == 0 {
			return
		}
	}
	f.unknown[name] = origin
}

// noteSecrets remembers what a misspelt setting holds, so that it is not shown.
func (f *flat) noteSecrets(name string, value any) {
	if members, ok := value.(map[string]any); ok {
		for key, v := range members {
			f.noteSecrets(name+"__"+strings.ToUpper(decamelise(key)), v)
		}
	} else if value != nil && soundsSecret(name) {
		f.secrets = append(f.secrets, strings.TrimSpace(scalar(value)))
	}
}

func (f *flat) warnUnknown() {
	for _, name := range slices.Sorted(maps.Keys(f.unknown)) {
		n := Notice{slog.LevelWarn, name, fmt.Sprintf("unknown variable (from %s)", f.unknown[name])}
		if best := f.schema.suggest(name); best != "" {
			n.Text += "; did you mean " + best + "?"
			f.meant[best] = name
		}
		f.notices = append(f.notices, n)
	}
}

// explainMissing adds to what is missing that it is there under a wrong name.
func (f *flat) explainMissing(errs []error) {
	for i, err := range errs {
		variable, _, missing := strings.Cut(err.Error(), " is not set")
		if name, ok := f.meant[variable]; ok && missing {
			errs[i] = fmt.Errorf("%w; %s is set, which is unknown", err, name)
		}
	}
}

func (f *flat) ignoredList() []Ignored {
	out := make([]Ignored, 0, len(f.ignored))
	for _, name := range slices.Sorted(maps.Keys(f.ignored)) {
		out = append(out, Ignored{name, f.ignored[name]})
	}
	return out
}

// decodeObject reads one JSON object and keeps the digits of numbers.
func decodeObject(text string) (map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		return nil, fmt.Errorf("JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("JSON: text behind the object")
	}
	return out, nil
}

// scalar is the text of a value that is no section: lists and objects are JSON.
func scalar(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return "" // decoded from JSON or YAML, so it cannot happen
	}
	return strings.TrimSpace(b.String())
}
