package resync

// Counts are the figures of one block of the mapping and project, or sums of
// them: the only ones that there are, wherever they are shown.
//
// Of what was listed, Listed = Mapped + Filtered + Failed + Unknown. Of what was
// mapped, Mapped = Written + Unchanged + Merged + Refused + Kept. Deleted and
// Incomplete are besides.
type Counts struct {
	Listed   int64 `json:"listed"`             // records from Azure DevOps, after itemsToParse
	Mapped   int64 `json:"mapped"`             // an entity was made of them
	Filtered int64 `json:"filtered,omitempty"` // left out by the selector
	Failed   int64 `json:"failed,omitempty"`   // without identifier or blueprint
	// Unknown are those of which it is not known whether they have entities: the
	// selector was neither true nor false, a limit was hit, or the block failed.
	Unknown int64 `json:"unknown,omitempty"`

	Written   int64 `json:"written,omitempty"`
	Unchanged int64 `json:"unchanged,omitempty"` // Port holds them as they are
	// Merged were joined to an earlier record of the same entity, and share its fate.
	Merged  int64 `json:"merged,omitempty"`
	Refused int64 `json:"refused,omitempty"` // by Port, or because Port would
	// Kept were left as they are in Port: something of the record could not be read,
	// a search for the entity found none, or the resync ended before its turn.
	Kept int64 `json:"kept,omitempty"`

	Deleted    int64 `json:"deleted,omitempty"`    // entities that nothing makes any more
	Incomplete int64 `json:"incomplete,omitempty"` // records with something unread
}

// Add adds other to c.
func (c *Counts) Add(other Counts) {
	c.Listed += other.Listed
	c.Mapped += other.Mapped
	c.Filtered += other.Filtered
	c.Failed += other.Failed
	c.Unknown += other.Unknown
	c.Written += other.Written
	c.Unchanged += other.Unchanged
	c.Merged += other.Merged
	c.Refused += other.Refused
	c.Kept += other.Kept
	c.Deleted += other.Deleted
	c.Incomplete += other.Incomplete
}

// unsettled counts mapped entities of which nothing has become yet.
func (c *Counts) unsettled() int64 {
	return c.Mapped - c.Written - c.Unchanged - c.Merged - c.Refused - c.Kept
}
