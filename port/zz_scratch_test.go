package port

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"
)

func TestScratch(t *testing.T) {
	ctx := context.Background()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mk := func(layout Layout) *Client {
		c, err := New(ClientConfig{ClientID: "scratchid", ClientSecret: "scratchsecret", BaseURL: "http://127.0.0.1:7402/", IntegrationType: "azure-devops", Identifier: "me", Version: "1.0.0", CoreVersion: "0.48.12", Log: log, UserAgentLayout: layout})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := mk("")
	ship := NewLogShipper(LogConfig{Masker: NewMasker("supersecret")})
	ship.Attach(c)
	t0 := time.Now()
	if err := c.Setup(ctx, SetupConfig{InitializeResources: true}); err != nil {
		t.Fatal(err)
	}
	fmt.Println("setup", time.Since(t0), c.Stats())
	i, err := c.Integration(ctx)
	fmt.Println(err, i.ResourcesInitialized, string(i.Config)[:300])
	var es []Entity
	for n := range 50 {
		id := fmt.Sprintf("p%d", n)
		es = append(es, Entity{Blueprint: "azureDevopsProject", Identifier: id, Body: fmt.Appendf(nil, `{"identifier":%q,"blueprint":"azureDevopsProject","title":"x","properties":{"state":"wellFormed"}}`, id)})
	}
	es[7].Body = []byte(`{"identifier":"bad id","blueprint":"azureDevopsProject"}`)
	es[9].Body = []byte(`{"identifier":"p9","properties":{"nope":1}}`)
	es[10].Body = []byte(`{"identifier":{"combinator":"and","rules":[{"property":"$identifier","operator":"=","value":"zzz"}]}}`)
	es[10].Search, es[10].Identifier = true, ""
	r, err := c.Upsert(ctx, UpsertOptions{Merge: true, CreateMissing: true, EventType: "resync", ResyncID: "abc"}, es)
	fmt.Println("upsert", err, r.Created, r.Failed(), r.Err(7), r.Err(9), r.Dropped(10), c.Stats())
	n := 0
	for ref, err := range c.Owned(ctx, OwnedQuery{Before: time.Now()}) {
		if err != nil {
			t.Fatal(err)
		}
		_ = ref
		n++
	}
	fmt.Println("owned", n)
	for raw, err := range c.Search(ctx, "azureDevopsProject", []string{"p1", "p2", "zz"}, []string{"title", "properties.state"}) {
		fmt.Println(string(raw), err)
	}
	bp, err := c.Blueprint(ctx, "azureDevopsWorkItem")
	fmt.Println(bp, err)
	_, err = c.Blueprint(ctx, "nope")
	fmt.Println(err)
	fmt.Println(c.SetResyncState(ctx, ResyncState{Status: ResyncRunning, Start: time.Now()}))
	fmt.Println(c.SetResyncState(ctx, ResyncState{Status: ResyncCompleted, End: time.Now(), Interval: time.Hour, Next: time.Now()}))
	fmt.Println(c.ResyncRequest(ctx))
	fmt.Println(c.Cursor(ctx, "project", 0))
	fmt.Println(c.SetCursor(ctx, "project", 0, time.Now()))
	fmt.Println(c.Cursor(ctx, "project", 0))
	fmt.Println(c.SendExamples(ctx, "project", [][]byte{[]byte(`{"a":"xx scratchsecret"}`)}))
	fmt.Println(c.SyncMetrics(ctx, SyncReport{KindIdentifier: "work-item-5", EventID: "e", State: SyncPending}))
	fmt.Println(c.SyncKindMetrics(ctx, SyncReport{KindIdentifier: "work-item-5", EventID: "e", State: SyncCompleted}))
	fmt.Println(c.Heartbeat(ctx, "e"))
	l := slog.New(ship)
	l.Info("hello supersecret", "x", "supersecret", "y", struct{ A string }{"supersecret"})
	fmt.Println("flush", ship.Flush(ctx), ship.Dropped())
	d, err := c.Delete(ctx, DeleteOptions{Dependents: true}, "azureDevopsProject", []string{"p1", "p2", "zz"})
	fmt.Println(d, err)
	c2 := mk("auto")
	fmt.Println(c2.Layout(ctx))
	fmt.Println(c2.Setup(ctx, SetupConfig{InitializeResources: true}), c2.Stats())
	c3 := mk(LayoutOcean)
	c3.Upsert(ctx, UpsertOptions{}, es[:3])
	r, err = c3.Upsert(ctx, UpsertOptions{Merge: true}, es[:3])
	fmt.Println(r.Failed(), err)
	fmt.Println(mk("auto").Layout(ctx))
}
