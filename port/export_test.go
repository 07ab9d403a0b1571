package port

// Attach names the client through which Flush sends, as Start does.
func (s *LogShipper) Attach(c *Client) { s.attach(c) }
