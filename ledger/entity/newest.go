package entity

// Newest reports whether what m tells is newer than all that the state was told, of whatever
// attribute.
func (s *State) Newest(m Moment) bool {
	for _, h := range s.values {
		if !m.Newer(h.Moment) {
			return false
		}
	}
	for _, l := range s.lists {
		if !m.Observed.After(l.observed) {
			return false
		}
	}
	return true
}
