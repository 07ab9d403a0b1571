package mapping

// Equal says whether the entity that Port holds already has everything that
// body sets: title, icon, team, each property and each relation.
func Equal(body, held []byte) bool { panic("mapping") }

// MergeBodies lays the body later over earlier: per key, and per member for
// properties and relations.
func MergeBodies(earlier, later []byte) ([]byte, error) { panic("mapping") }

// Merge adds what other counted.
func (r *Report) Merge(other *Report) { panic("mapping") }

// Lines are the report for the log, one line per expression, sorted by path.
func (r *Report) Lines() []string { panic("mapping") }
