package port

// An Entity is one entity as it is sent: mapped, encoded, not yet checked by Port.
type Entity struct {
	Blueprint string
	// Identifier is empty when the mapping searches for the entity.
	Identifier string
	// Body is the JSON object for Port with the keys that the mapping sets, in
	// the order identifier, icon, blueprint, title, team, properties, relations.
	// Read-only.
	Body []byte
	// Search says that identifier, team or a relation is a search which Port
	// resolves: such an entity cannot be compared with what Port holds.
	Search bool
	// Relations are the identifiers that the entity refers to.
	Relations []Relation
}

// A Relation is one relation of an entity: to none, one or many others.
type Relation struct {
	Name    string
	Targets []string
}

// A Ref names an entity.
type Ref struct {
	Blueprint  string `json:"blueprint"`
	Identifier string `json:"identifier"`
}

func (r Ref) String() string { return r.Blueprint + "/" + r.Identifier }
