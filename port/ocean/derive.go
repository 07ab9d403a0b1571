package ocean

import (
	"log/slog"
	"strings"
)

const (
	appHost    = "OCEAN__INTEGRATION__CONFIG__APP_HOST"
	baseURL    = "OCEAN__BASE_URL"
	identifier = "OCEAN__INTEGRATION__IDENTIFIER"
	typeName   = "OCEAN__INTEGRATION__TYPE"
)

// isAlias reports whether a name is known although no struct has it.
func isAlias(name string) bool { return name == appHost }

// derive fills what the contract takes from another variable: the deprecated
// name of the base URL (`port.md` 1.5) and the default identifier (1.4).
func derive(f *flat) {
	if old, ok := f.values[appHost]; ok && !old.null && f.schema.byName[baseURL] != nil {
		n := Notice{slog.LevelWarn, appHost, "is deprecated; use " + baseURL}
		if _, set := f.values[baseURL]; set {
			n.Text += ", which is set and wins"
		} else {
			f.values[baseURL] = setting{text: old.text, origin: "legacy alias " + appHost}
		}
		f.notices = append(f.notices, n)
	}
	if _, set := f.values[identifier]; set || f.schema.byName[identifier] == nil || f.schema.byName[typeName] == nil {
		return
	}
	kind := f.schema.byName[typeName].def
	if t, ok := f.values[typeName]; ok && !t.null {
		kind = t.text
	}
	f.values[identifier] = setting{text: "my-" + strings.ToLower(strings.TrimSpace(kind)) + "-integration", origin: FromDefault}
}
