package mapping

// A Report counts what happened to each expression of a Resource while records
// were mapped. The zero Report is ready to use by one goroutine.
type Report struct {
	// Expressions holds the expressions that were null or failed at least once,
	// by path ("properties.owner").
	Expressions map[string]*ExpressionReport
}

// An ExpressionReport is what one expression did.
type ExpressionReport struct {
	Path       string
	Expression string
	Null       int    // records for which it gave null or nothing
	Errors     int    // records for which it failed
	Sample     string // identifier of the first such entity, or the record's id
	FirstError string // first line of the first error
}
