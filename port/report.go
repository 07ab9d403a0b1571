package port

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The states of a kind in a resync.
const (
	SyncPending   = "pending"
	SyncSyncing   = "syncing"
	SyncCompleted = "completed"
	SyncFailed    = "failed"
	SyncAborted   = "aborted"
)

// What is reported besides kinds.
const (
	SyncRuntime        = "__runtime__"        // the resync as a whole
	SyncReconciliation = "__reconciliation__" // the deletion of what is gone
)

// A SyncReport is the progress of one kind, of the runtime or of the
// reconciliation.
type SyncReport struct {
	KindIdentifier string // work-item-5, SyncRuntime or SyncReconciliation
	EventID        string // of the resync
	State          string // one of the Sync constants
	Blueprint      string // the mapping's jq expression, quotes included
	Duration       time.Duration
	Success        bool

	RawExtracted, ExtractFailed               int
	Transformed, FilteredOut, TransformFailed int
	Loaded, LoadFailed, LoadSkipped, Deleted  int
}

// wire gives the report the nesting of Ocean's metrics: label name, label
// value, …, metric.
func (c *Client) wire(r SyncReport) map[string]any {
	kind, index := r.KindIdentifier, 0
	if i := strings.LastIndexByte(kind, '-'); i > 0 {
		if n, err := strconv.Atoi(kind[i+1:]); err == nil {
			kind, index = kind[:i], n
		}
	}
	success := 0.0
	if r.Success {
		success = 1
	}
	type obj = map[string]any
	count := func(n int) obj { return obj{"object_count": float64(n)} }
	phases := obj{"resync": obj{"duration_seconds": r.Duration.Seconds(), "success": success}}
	switch r.KindIdentifier {
	case SyncRuntime:
	case SyncReconciliation:
		phases["delete"] = obj{"duration_seconds": r.Duration.Seconds(), "object_count_type": obj{"deleted": count(r.Deleted)}}
	default:
		phases["extract"] = obj{"object_count_type": obj{"raw_extracted": count(r.RawExtracted), "failed": count(r.ExtractFailed)}}
		phases["transform"] = obj{"object_count_type": obj{
			"transformed": count(r.Transformed), "filtered_out": count(r.FilteredOut), "failed": count(r.TransformFailed),
		}}
		phases["load"] = obj{"object_count_type": obj{"loaded": count(r.Loaded), "failed": count(r.LoadFailed), "skipped": count(r.LoadSkipped)}}
	}
	installation := "OnPrem"
	if i := c.Installed(); i != nil && i.InstallationType != "" {
		installation = i.InstallationType
	}
	return obj{
		"integrationType": c.cfg.IntegrationType, "installationType": installation, "executionMode": "single_process",
		"integrationIdentifier": c.cfg.Identifier, "integrationVersion": c.cfg.Version, "oceanVersion": c.cfg.CoreVersion,
		"kindIdentifier": r.KindIdentifier, "kind": kind, "kindIndex": index, "eventId": r.EventID,
		"syncState": r.State, "blueprint": r.Blueprint, "metrics": obj{"phase": phases},
	}
}

// SyncMetrics reports several kinds at once: all of them when a resync
// begins, and the runtime whenever its state changes.
func (c *Client) SyncMetrics(ctx context.Context, reports ...SyncReport) error {
	events := make([]map[string]any, len(reports))
	for i, r := range reports {
		events[i] = c.wire(r)
	}
	return c.report(ctx, http.MethodPost, "/syncMetrics", map[string]any{"syncKindsMetrics": events})
}

// SyncKindMetrics reports one kind when it begins and when it ends.
func (c *Client) SyncKindMetrics(ctx context.Context, r SyncReport) error {
	path := "/syncMetrics/resync/" + url.PathEscape(r.EventID) + "/kind/" + url.PathEscape(r.KindIdentifier)
	return c.report(ctx, http.MethodPut, path, map[string]any{"syncKindMetrics": c.wire(r)})
}

// Heartbeat tells Port that a resync is still running. Port aborts one that
// has not been heard of for a while.
func (c *Client) Heartbeat(ctx context.Context, eventID string) error {
	return c.report(ctx, http.MethodPost, "/heartbeat", map[string]string{"eventId": eventID})
}

// RunHeartbeat sends a heartbeat per interval until ctx ends. Failures are
// logged: the next one may do.
func (c *Client) RunHeartbeat(ctx context.Context, eventID string, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			one, cancel := context.WithTimeout(ctx, max(interval, heartbeatWait)) // one that hangs must not hold up the next
			if err := c.Heartbeat(one, eventID); err != nil && ctx.Err() == nil {
				c.log.DebugContext(ctx, "heartbeat", "err", err)
			}
			cancel()
		}
	}
}

const heartbeatWait = 5 * time.Second

// PostMetrics sends a report to ClientConfig.MetricsWebhook, once, as the event
// that Port gets. Without an address it does nothing. Errors do not show the
// address, which may hold a token.
func (c *Client) PostMetrics(ctx context.Context, r SyncReport) error {
	if c.cfg.MetricsWebhook == "" {
		return nil
	}
	body, err := json.Marshal(c.wire(r))
	if err != nil {
		return fmt.Errorf("metrics webhook: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.MetricsWebhook.Reveal(), bytes.NewReader(body))
	if err != nil {
		return errors.New("metrics webhook: OCEAN__METRICS__WEBHOOK_URL is no address")
	}
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: c.cfg.MetricsTransport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	if err != nil {
		return fmt.Errorf("metrics webhook: %w", c.scrub(err, ""))
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, errorBodyLimit)) // lets the connection be used again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("metrics webhook: answered with status %d", res.StatusCode)
	}
	return nil
}

// report sends to the address for metrics. An installation without one needs
// no reports.
func (c *Client) report(ctx context.Context, method, path string, body any) error {
	i := c.Installed()
	if i == nil {
		var err error
		if i, err = c.Integration(ctx); err != nil {
			return err
		}
	}
	if i.metrics == "" {
		return nil
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("port: report: %w", err)
	}
	_, err = c.do(ctx, &call{method: method, path: i.metrics + path, body: raw, repeatable: true, opaque: true})
	return err
}

// errNoIngest says that the installation has not been read yet.
var errNoIngest = errors.New("port: the address for logs is not known yet")

// sendLogs posts log records; body is {"logs":[…]}. Nothing about it is logged,
// and nothing is asked for that would be.
func (c *Client) sendLogs(ctx context.Context, body []byte) error {
	i := c.Installed()
	if i == nil {
		return errNoIngest
	}
	if i.logs == "" {
		return nil
	}
	_, err := c.do(ctx, &call{method: http.MethodPost, path: i.logs, body: body, opaque: true, quiet: true})
	return err
}
