package azuredevops

import "context"

// Excluded says whether a resync leaves a project out: because it carries an
// excluded tag, or because no list shows it. The answer is at most a minute old.
func (c *Client) Excluded(ctx context.Context, projectID string) (bool, error) {
	l := &lister{Snapshot: c.Urgent().Snapshot()}
	p, excluded, err := l.liveProject(ctx, projectID, "")
	return p == nil || excluded, err
}
