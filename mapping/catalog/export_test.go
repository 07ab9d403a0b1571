package catalog

// Label is the cause as metrics name it.
func Label(o *Options) string { return o.label() }

// CompareWhole makes blueprints of so many entities ones that are compared as a whole.
func (c *Catalog) CompareWhole(from int) { c.whole = from }
