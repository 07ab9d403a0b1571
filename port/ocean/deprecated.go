package ocean

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
)

const (
	identifier = "OCEAN__INTEGRATION__IDENTIFIER"
	typeName   = "OCEAN__INTEGRATION__TYPE"
)

// deprecatedNames are names that the Python integration, or this program, has given
// up, and the present ones.
var deprecatedNames = map[string]string{
	"OCEAN__INTEGRATION__CONFIG__APP_HOST":           "OCEAN__BASE_URL",
	"OCEAN__INTEGRATION__CONFIG__EXCLUDE_TAG_FILTER": "OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS",
	"OCEAN__STATE_MEMORY_BYTES":                      "OCEAN__STATE_RECORDS_BYTES",
}

// derive fills what is taken from another variable: settings from their
// deprecated names, and the default identifier from the type.
func derive(f *flat) {
	for _, name := range slices.Sorted(maps.Keys(deprecatedNames)) {
		old, ok := f.values[name]
		present := deprecatedNames[name]
		if !ok || old.null || f.schema.byName[present] == nil {
			continue
		}
		n := Notice{slog.LevelWarn, name, "is deprecated; use " + present}
		if _, set := f.values[present]; set {
			n.Text += ", which is set and wins"
		} else {
			f.values[present] = setting{text: old.text, origin: Origin("legacy alias " + name)}
		}
		f.notices = append(f.notices, n)
	}
	if _, set := f.values[identifier]; set || f.schema.byName[identifier] == nil || f.schema.byName[typeName] == nil {
		return
	}
	kind := f.schema.byName[typeName].Default
	if t, ok := f.values[typeName]; ok && !t.null {
		kind = t.text
	}
	f.values[identifier] = setting{text: "my-" + strings.ToLower(strings.TrimSpace(kind)) + "-integration", origin: FromDefault}
}

// remarks are what the contract says about values that are correct.
func remarks(v *values) []Notice {
	var out []Notice
	add := func(level slog.Level, name, text string) { out = append(out, Notice{level, name, text}) }
	for _, r := range v.rows {
		if r.Origin == "" || r.Origin == FromDefault {
			continue
		}
		value := v.texts[r.Variable]
		switch {
		case r.Variable == "OCEAN__PORT__CLIENT_ID" && strings.Contains(value, "@"):
			add(slog.LevelWarn, r.Variable, "looks like the credentials of a person; use those of the organization")
		case r.Variable == "OCEAN__PROCESSING_MODE" && value == "dsp":
			add(slog.LevelInfo, r.Variable, "is accepted; records are mapped here and ocean-core is reported to Port")
		case strings.HasSuffix(r.Variable, "__X509__STRICT") && value == "false":
			add(slog.LevelInfo, r.Variable, "has no effect here; chain and host name are always verified the same way")
		}
	}
	return out
}
