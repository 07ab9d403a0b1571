package records

// Stats are what tests ask about a store.
type Stats struct {
	Entries int
	Bytes   int64 // of the data file
}

// Stats are those of now.
func (s *Store) Stats() (out Stats) {
	if s == nil {
		return out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Bytes = s.end
	if s.index != nil {
		out.Entries = s.index.len()
	}
	return out
}
