package memory

// Stats are what tests ask about a memory.
type Stats struct {
	Entries int
	Bytes   int64 // of the data file
}

// Stats are those of now.
func (m *Memory) Stats() (s Stats) {
	if m == nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Bytes = m.end
	if m.index != nil {
		s.Entries = m.index.len()
	}
	return s
}
