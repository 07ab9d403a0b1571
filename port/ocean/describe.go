package ocean

// A Row describes one variable and its effective value.
type Row struct {
	Variable string `json:"variable"`
	Type     string `json:"type"`
	Default  string `json:"default,omitempty"`
	Meaning  string `json:"meaning"`
	Required bool   `json:"required,omitempty"`
	Secret   bool   `json:"secret,omitempty"`
	Origin   Origin `json:"origin,omitempty"` // empty when unset
	Value    string `json:"value,omitempty"`  // redacted when secret
	Problem  bool   `json:"problem,omitempty"`
}

func (f *field) row() Row {
	r := Row{
		Variable: f.name, Type: f.typeName(), Default: f.def, Meaning: f.doc, Required: f.required, Secret: f.secret,
	}
	if f.secret && r.Default != "" {
		r.Default = redacted
	}
	return r
}
