package resync

// Draw draws a frame.
func (t *Terminal) Draw(kinds []KindStatus) { t.draw(kinds) }
