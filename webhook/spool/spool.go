package spool

// A Spool keeps deliveries.
type Spool struct{}

// Stats is a picture of a spool.
type Stats struct{ Depth int }
