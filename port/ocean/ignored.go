package ocean

import "strings"

// An Ignored variable is accepted and changes nothing.
type Ignored struct {
	Variable string `json:"variable"` // a trailing `*` stands for any ending
	Reason   string `json:"text"`
}

// ignored returns the variables that a user or the chart port-labs/port-ocean may
// set for the Python integration and that mean nothing here.
func ignored() []Ignored {
	return []Ignored{
		{"OCEAN__PROCESS_EXECUTION_MODE", "there is one process"},
		{"OCEAN__PORT__INGEST_URL", "Port names its ingest address itself"},
		{"OCEAN__DATABASE__*", "there is no database"},
		{"OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH", "only the hosted integration uses it"},
		{"OCEAN__INTEGRATION__VERSION", "the program knows its version"},
		{"OCEAN__EXECUTION_AGENT__*", "a name that only branches of the chart used"},
		{"OCEAN__STREAMING__*", "answers are always streamed, and never through a file"},
		{"OCEAN__CACHING_STORAGE_MODE", "shared lists are kept in memory"},
		{"OCEAN__PROCESS_IN_QUEUE_MAX_WORKERS", "mapping uses the processors that there are (GOMAXPROCS)"},
		{"OCEAN__YIELD_ITEMS_TO_PARSE_BATCH_SIZE", "items are streamed one by one"},
		{"OCEAN__LAKEHOUSE_ENABLED", "entities are always mapped here"},
		{"OCEAN__LAKEHOUSE_BUFFER_*", "entities are always mapped here"},
		{"OCEAN__LIVE_EVENTS__*", "live events arrive over HTTP"},
	}
}

// ignoredReason says why a name has no effect, or "".
func ignoredReason(name string) string {
	for _, i := range ignored() {
		if prefix, ok := strings.CutSuffix(i.Variable, "*"); ok {
			if strings.HasPrefix(name, prefix) || name == strings.TrimSuffix(prefix, "__") {
				return i.Reason
			}
		} else if name == i.Variable {
			return i.Reason
		}
	}
	return ""
}
