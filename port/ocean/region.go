package ocean

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
)

const baseURL = "OCEAN__PORT__BASE_URL"

// regionElsewhere are the names by which other tools of Port are told the region:
// port.baseUrl (charts), port_region and port_base_url (CI components), portBaseUrl
// and baseUrl (Port's API and actions). Pipelines hand them on as variables of the
// environment, in capitals and with underscores for dots.
var regionElsewhere = []string{"port.baseurl", "port_baseurl", "port_base_url", "portbaseurl", "baseurl", "port_region", "portregion"}

// strayRegion warns of a region that is set under a name of another tool: the
// credentials of an account in the United States would be refused without a reason
// that anybody can see.
func (f *flat) strayRegion(texts ...map[string]string) {
	if _, set := f.values[baseURL]; set || f.schema.byName[baseURL] == nil {
		return
	}
	for _, t := range texts {
		for _, name := range slices.Sorted(maps.Keys(t)) {
			if slices.Contains(regionElsewhere, strings.ToLower(name)) && strings.TrimSpace(t[name]) != "" {
				text := "has no effect; set " + baseURL + ": https://api.getport.io, or https://api.us.getport.io in the United States"
				f.notices = append(f.notices, Notice{slog.LevelWarn, name, text})
			}
		}
	}
}
