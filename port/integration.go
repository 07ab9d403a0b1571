package port

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// An Integration is the installation as Port keeps it.
type Integration struct {
	// Config is the mapping. Empty, null and {} mean that there is none.
	Config               json.RawMessage `json:"config"`
	InstallationType     string          `json:"installationType"`    // OnPrem, or Saas… when Port runs it; empty counts as OnPrem
	InstallationAppType  string          `json:"installationAppType"` // the integration's type
	Version              string          `json:"version"`
	ChangelogDestination json.RawMessage `json:"changelogDestination"`
	ActionsProcessing    bool            `json:"actionsProcessingEnabled"`
	IncrementalSync      bool            `json:"incrementalSyncEnabled"`
	ProcessingMode       string          `json:"processingMode"`
	ResourcesOrigin      string          `json:"createPortResourcesOrigin"`
	ResourcesInitialized bool            `json:"arePortResourcesInitialized"`
	Resync               resyncShown     `json:"resyncState"`

	logs, metrics string // where log records and reports go; empty: nowhere
}

type integrationAnswer struct {
	Integration *struct {
		Integration
		Logs    ingestAttributes `json:"logAttributes"`
		Metrics ingestAttributes `json:"metricAttributes"`
	} `json:"integration"`
}

type ingestAttributes struct {
	URL string `json:"ingestUrl"`
}

// HasConfig reports whether there is a mapping.
func (i *Integration) HasConfig() bool { return !emptyJSON(i.Config) }

// emptyJSON reports whether a document is absent, null or an empty object.
func emptyJSON(doc json.RawMessage) bool { return content(doc) == nil }

// content is what a document holds; nil for none, null, {} and what is no JSON.
func content(doc json.RawMessage) (v any) {
	if json.Unmarshal(doc, &v) != nil {
		return nil
	}
	if m, ok := v.(map[string]any); ok && len(m) == 0 {
		return nil
	}
	return v
}

// Integration reads the installation from Port. It is ErrNotFound only when
// Port says that there is none; every other failure says nothing about it.
func (c *Client) Integration(ctx context.Context) (*Integration, error) {
	q := url.Values{"isPolling": {"false"}}
	if c.cfg.CoreVersion != "" {
		q.Set("oceanCoreVersion", c.cfg.CoreVersion)
	}
	return c.integration(ctx, &call{method: http.MethodGet, path: c.integrationPath(""), query: q.Encode()})
}

// Mapping is the mapping that the installation has.
func (c *Client) Mapping(ctx context.Context) (json.RawMessage, error) {
	i, err := c.Integration(ctx)
	if err != nil {
		return nil, err
	}
	return i.Config, nil
}

// Installed is the installation as Port has shown it last; nil before that.
func (c *Client) Installed() *Integration { return c.installed.Load() }

// integration sends a call that answers the installation, and remembers it.
func (c *Client) integration(ctx context.Context, k *call) (*Integration, error) {
	var a integrationAnswer
	if err := c.callJSON(ctx, k, &a); err != nil {
		return nil, err
	}
	if a.Integration == nil {
		return nil, fmt.Errorf("port: %s %s: %w: no integration", k.method, k.path, errAnswer)
	}
	i := a.Integration.Integration
	i.logs, i.metrics = strings.TrimRight(a.Integration.Logs.URL, "/"), strings.TrimRight(a.Integration.Metrics.URL, "/")
	c.installed.Store(&i)
	return &i, nil
}

// createIntegration makes the installation with a mapping, {} when it is empty.
// When it exists already, what is there stays as it is and is returned.
func (c *Client) createIntegration(ctx context.Context, cfg SetupConfig, origin string, mapping json.RawMessage) (*Integration, error) {
	body, err := json.Marshal(map[string]any{
		"installationId": c.cfg.Identifier, "installationAppType": c.cfg.IntegrationType, "version": c.cfg.Version,
		"changelogDestination": orObject(cfg.ChangelogDestination), "config": orObject(mapping),
		"actionsProcessingEnabled": orFalse(cfg.ActionsProcessing), "incrementalSyncEnabled": orFalse(cfg.IncrementalSync),
		"createPortResourcesOrigin": origin,
	})
	if err != nil {
		return nil, fmt.Errorf("port: create integration: %w", err)
	}
	k := &call{method: http.MethodPost, path: "/integration", body: body, repeatable: true}
	if origin == OriginPort { // which makes the resources then
		k.query = "integration_modes=create_resources"
	}
	i, err := c.integration(ctx, k)
	if statusOf(err) == http.StatusConflict {
		// Another process, or the first attempt whose answer was lost.
		return c.Integration(ctx)
	}
	return i, err
}

func orFalse(b *bool) bool { return b != nil && *b }

func orObject(doc json.RawMessage) json.RawMessage {
	if len(doc) == 0 {
		return json.RawMessage("{}")
	}
	return doc
}

// updateIntegration patches members of the installation; the version is always
// sent with them.
func (c *Client) updateIntegration(ctx context.Context, members map[string]any) (*Integration, error) {
	all := map[string]any{"version": c.cfg.Version}
	maps.Copy(all, members)
	body, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("port: update integration: %w", err)
	}
	return c.integration(ctx, &call{method: http.MethodPatch, path: c.integrationPath(""), body: body})
}

// updateMapping replaces the mapping.
func (c *Client) updateMapping(ctx context.Context, mapping json.RawMessage) (*Integration, error) {
	body, err := json.Marshal(map[string]json.RawMessage{"config": mapping})
	if err != nil {
		return nil, fmt.Errorf("port: update mapping: %w", err)
	}
	return c.integration(ctx, &call{method: http.MethodPatch, path: c.integrationPath("/config"), body: body})
}

// ResyncRunning is the state of a resync that has not ended.
const ResyncRunning = "running"

// A ResyncState is what Port shows about the last resync.
type ResyncState struct {
	Status   string        // ResyncRunning, or completed, failed or aborted
	Start    time.Time     // by which a resync is told from those of other processes
	End      time.Time     // zero while it runs
	Next     time.Time     // zero when none is planned
	Interval time.Duration // zero when there is no schedule
}

// A resyncShown is the state of a resync as Port shows it, of whichever process.
type resyncShown struct {
	Status   string          `json:"status"`
	Start    string          `json:"lastResyncStart"`
	Next     string          `json:"nextResync"`
	Interval json.RawMessage `json:"intervalInMinuets"`
}

// Resynced returns when the last resync of the installation began, the zero time where
// that is not known, and whether it came to an end that was not forced.
func (i *Integration) Resynced() (began time.Time, ended bool) {
	began, _ = time.Parse(time.RFC3339Nano, i.Resync.Start) // the zero time for anything else
	return began, i.Resync.Status == SyncCompleted || i.Resync.Status == SyncFailed
}

// sameStart is how far two times of one start may differ: Port may keep less digits.
const sameStart = time.Second

// ends reports whether the end of a resync is what Port waits for, and not that of
// one which another process of the installation has begun since.
func (p resyncShown) ends(s ResyncState) bool {
	at, err := time.Parse(time.RFC3339Nano, p.Start)
	return err != nil || at.Sub(s.Start).Abs() < sameStart
}

// SetResyncState reports the state of a resync. Several processes may share an
// installation: the end of a resync is not reported when another process has begun
// one since, and a process without a schedule leaves the plan of another.
func (c *Client) SetResyncState(ctx context.Context, s ResyncState) error {
	i, err := c.Integration(ctx)
	if err != nil {
		return err
	}
	if s.Status != ResyncRunning && !i.Resync.ends(s) {
		c.log.InfoContext(ctx, "port goes on showing the resync that another process of this installation has begun since", "state", s.Status, "other_start", i.Resync.Start)
		return nil
	}
	w := s.wire()
	if next, err := time.Parse(time.RFC3339Nano, i.Resync.Next); err == nil && s.Next.IsZero() && next.After(time.Now()) {
		w["nextResync"], w["intervalInMinuets"] = i.Resync.Next, i.Resync.Interval
	}
	body, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("port: resync state: %w", err)
	}
	_, err = c.do(ctx, &call{method: http.MethodPatch, path: c.integrationPath("/resync-state"), body: body, opaque: true})
	return err
}

// wire gives the members that Port expects; the misspelt one is its contract.
func (s ResyncState) wire() map[string]any {
	w := map[string]any{"status": s.Status, "nextResync": nil, "intervalInMinuets": nil}
	if s.Status == ResyncRunning {
		w["lastResyncStart"], w["lastResyncEnd"] = isoTime(s.Start), nil
	} else {
		w["lastResyncEnd"] = isoTime(s.End)
	}
	if !s.Next.IsZero() {
		w["nextResync"] = isoTime(s.Next)
	}
	if s.Interval > 0 {
		w["intervalInMinuets"] = s.Interval.Minutes()
	}
	return w
}

// ResyncRequest returns when a user last asked Port for a resync; the zero time
// when nobody did.
func (c *Client) ResyncRequest(ctx context.Context) (time.Time, error) {
	var a struct {
		Request *struct {
			UpdatedAt string `json:"updatedAt"`
		} `json:"request"`
	}
	if err := c.getJSON(ctx, c.integrationPath("/resync-request"), "", &a); err != nil || a.Request == nil || a.Request.UpdatedAt == "" {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, a.Request.UpdatedAt)
	if err != nil {
		return time.Time{}, fmt.Errorf("port: resync request: %w: %w", errAnswer, err)
	}
	return at, nil
}

// Cursor returns up to when a resource has been read incrementally; zero when
// it never was. The index is the resource's place in the mapping.
func (c *Client) Cursor(ctx context.Context, kind string, index int) (time.Time, error) {
	var a struct {
		Cursor *struct {
			Primary string `json:"primary"`
		} `json:"cursor"`
	}
	err := c.getJSON(ctx, c.integrationPath("/cursor"), cursorQuery(kind, index), &a)
	if err != nil || a.Cursor == nil || a.Cursor.Primary == "" {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, a.Cursor.Primary)
	if err != nil {
		return time.Time{}, fmt.Errorf("port: cursor of %s: %w", kind, err)
	}
	return t, nil
}

func cursorQuery(kind string, index int) string {
	return url.Values{"kind": {kind}, "index": {strconv.Itoa(index)}}.Encode()
}

// SetCursor keeps a cursor, making it when there is none.
func (c *Client) SetCursor(ctx context.Context, kind string, index int, t time.Time) error {
	body, err := json.Marshal(map[string]string{"primary": isoTime(t)})
	if err != nil {
		return fmt.Errorf("port: cursor of %s: %w", kind, err)
	}
	k := call{method: http.MethodPut, path: c.integrationPath("/cursor"), query: cursorQuery(kind, index), body: body, opaque: true}
	if _, err = c.do(ctx, &k); statusOf(err) == http.StatusNotFound {
		k.method, k.repeatable = http.MethodPost, true
		_, err = c.do(ctx, &k)
	}
	return err
}

// SendExamples shows Port raw records of a kind, for the mapping editor.
// Secrets in their strings are replaced.
func (c *Client) SendExamples(ctx context.Context, kind string, records [][]byte) error {
	body := []byte(`{"examples":[`)
	for i, r := range records {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, c.cfg.Masker.JSON(r)...)
	}
	body = append(body, `]}`...)
	_, err := c.do(ctx, &call{
		method: http.MethodPost, path: c.integrationPath("/kinds/" + url.PathEscape(kind) + "/examples"), body: body,
		repeatable: true, opaque: true,
	})
	return err
}

// An organization is the Port account.
type organization struct {
	ID           string   `json:"id"`
	FeatureFlags []string `json:"featureFlags"`
}

// organization reads the account, remembered for ClientConfig.FlagsTTL. It is
// shared: read-only.
func (c *Client) organization(ctx context.Context) (*organization, error) {
	if o, ok := c.organizations.get("", c.cfg.FlagsTTL); ok {
		return o, nil
	}
	var a struct {
		Organization *organization `json:"organization"`
	}
	if err := c.getJSON(ctx, "/organization", "", &a); err != nil {
		return nil, err
	}
	if a.Organization == nil {
		return nil, fmt.Errorf("port: organization: %w", errAnswer)
	}
	c.organizations.put("", a.Organization)
	return a.Organization, nil
}

// provisionEnabled lists the types of integrations whose default resources
// Port makes by itself. A region that does not know the question has none.
func (c *Client) provisionEnabled(ctx context.Context) ([]string, error) {
	var a struct {
		Integrations []string `json:"integrations"`
	}
	err := c.getJSON(ctx, "/integration/provision-enabled", "", &a)
	if statusOf(err) == http.StatusNotFound {
		return nil, nil
	}
	return a.Integrations, err
}
