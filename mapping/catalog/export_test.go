package catalog

// Label is the cause as metrics name it.
func Label(o *Options) string { return o.label() }
