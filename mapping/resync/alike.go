package resync

import "regexp"

// varies is what differs between two messages about the same problem: addresses,
// quoted values, ids and numbers.
var varies = regexp.MustCompile(`https?://\S+|"[^"]*"|'[^']*'|\b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b|[0-9]+`)

// alike is a message without what varies, so that one line tells of all of them.
func alike(message string) string { return varies.ReplaceAllString(message, "…") }
