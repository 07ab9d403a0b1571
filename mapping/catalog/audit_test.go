package catalog_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ado-port/ado-port/mapping/catalog"
)

// audited are the lines of the audit, without the time and what is the same in all.
func (b *bench) audited() string {
	var out []string
	for line := range strings.Lines(b.log.String()) {
		for _, msg := range []string{`level=INFO msg="catalog changed" `, "level=INFO msg=\"more of the catalog changed than the audit shows\" "} {
			if _, rest, ok := strings.Cut(line, msg); ok {
				out = append(out, strings.TrimSpace(rest))
			}
		}
	}
	b.log.Reset()
	return strings.Join(out, "\n")
}

func TestAudit(t *testing.T) {
	t.Parallel()
	const event = " cause=2 event_type=git.push"
	for name, tt := range map[string]struct {
		do   func(b *bench)
		want string
	}{
		"made by a resync": {func(b *bench) {
			b.put(b.knows(b.catalog.Begin(resync())), b.layer("service/a", `"title":"A","properties":{"size":2},"relations":{"team":"t"}`))
		}, `action=created blueprint=service identifier=a cause=1 members="[title properties.size relations.team]"`},
		"changed by a resync": {func(b *bench) {
			b.holds(ours, `"title":"A","properties":{"size":1,"name":"n"},"relations":{"team":"t"}`, "service/a", "service/same")
			b.source.members = []string{"title", "properties.size", "properties.name", "relations.team"}
			s := b.knows(b.catalog.Begin(resync()))
			b.put(s, b.layer("service/same", `"title":"A"`), b.layer("service/a", `"title":"A","properties":{"size":2,"name":null},"relations":{"team":"u"}`))
		}, `action=updated blueprint=service identifier=a cause=1 members="[properties.size properties.name relations.team]"`},
		"changed by several layers": {func(b *bench) {
			b.holds(ours, `"properties":{"size":1,"name":"n"}`, "service/a")
			b.source.members = []string{"properties.size", "properties.name"}
			b.put(b.knows(b.catalog.Begin(resync())), b.layer("service/a", `"properties":{"size":2}`), b.layer("service/a", `"properties":{"size":1,"name":"m"}`))
		}, `action=updated blueprint=service identifier=a cause=1 members=[properties.name]`},
		"replaced": {func(b *bench) {
			b.holds(ours, `"properties":{"size":1}`, "service/a")
			b.source.members = []string{"properties.size"}
			opt := resync()
			opt.Merge = false
			b.put(b.knows(b.catalog.Begin(opt)), b.layer("service/a", `"properties":{"size":2}`))
		}, `action=updated blueprint=service identifier=a cause=1 members=[properties.size]`},
		"written by an event": {func(b *bench) {
			b.holds(ours, "", "service/a")
			b.put(b.catalog.Begin(live()), b.layer("service/a", `"properties":{"size":2}`), b.layer("service/b", `"properties":{"size":2}`))
		}, "action=written blueprint=service identifier=a" + event + " members=[properties.size] compared=false\naction=created blueprint=service identifier=b" + event + " members=[properties.size]"},
		"found by a search": {func(b *bench) {
			b.holds(ours, `"properties":{"name":"x"}`, "service/x")
			b.put(b.catalog.Begin(live()), b.named("x", 1), b.named("nobody", 1))
		}, "action=written blueprint=service identifier=x" + event + " members=[properties.size] compared=false"},
		"withdrawn": {func(b *bench) {
			b.holds(ours, `"title":"T","properties":{"size":1}`, "service/a")
			for range 2 {
				if err := b.catalog.Begin(live()).Withdraw(b.Context(), ref("service/a"), []string{"properties.size", "properties.name"}); err != nil {
					b.Error(err)
				}
			}
		}, "action=updated blueprint=service identifier=a" + event + " members=[properties.size]"},
		"refused": {func(b *bench) { b.put(b.catalog.Begin(live()), b.layer("service/a", `"properties":{"bad":1}`)) }, ""},
		"more of a resync than there is room for": {func(b *bench) {
			b.holds(ours, "", "team/t")
			stop := b.catalog.Watch(b.Context())
			s := b.knows(b.catalog.Begin(resync()))
			for i := range 6 {
				b.put(s, b.layer(fmt.Sprint("service/", i), ""))
			}
			if _, err := s.Delete(b.Context(), deletions("team/t")); err != nil {
				b.Error(err)
			}
			b.log.Reset()
			stop()
			b.catalog.Watch(b.Context())() // one that changes nothing
		}, "of=resync lines=3 created=3 updated=0 written=0 deleted=1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				tt.do(b)
				if got := b.audited(); got != tt.want {
					t.Errorf("audit:\n%s\nwant\n%s", got, tt.want)
				}
			})
		})
	}
}

// Live events have so many lines a minute, and the end of the process says what is
// left to say.
func TestAuditOfLiveEvents(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		s := b.catalog.Begin(live())
		for i := range 5 {
			b.put(s, b.layer(fmt.Sprint("service/", i), ""))
		}
		time.Sleep(59 * time.Second)
		if got := strings.Count(b.audited(), "\n") + 1; got != 3 {
			t.Errorf("%d lines in the first minute, want 3", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got, want := b.audited(), `of="live events of one minute" lines=3 created=2 updated=0 written=0 deleted=0`; got != want {
			t.Errorf("after the minute %s, want %s", got, want)
		}
		for i := range 4 {
			b.put(s, b.layer(fmt.Sprint("team/", i), ""))
		}
		b.log.Reset()
		b.audit.Close(b.Context())
		b.audit.Close(b.Context())
		if got, want := b.audited(), `of="live events of one minute" lines=3 created=1 updated=0 written=0 deleted=0`; got != want {
			t.Errorf("at the end %s, want %s", got, want)
		}
	})
}

// The newest lines are remembered, and no more than that.
func TestAuditRemembersTheLastLines(t *testing.T) {
	t.Parallel()
	var told []string
	a := catalog.NewAudit(catalog.AuditConfig{PerResync: 1000, Log: slog.New(slog.DiscardHandler), Tell: func(l catalog.Line) { told = append(told, l.Identifier) }})
	if got := a.Recent(); got == nil || len(got) != 0 {
		t.Errorf("before the first change %v", got)
	}
	inBubble(t, func(b *bench) {
		c := catalog.New(catalog.Config{Port: b.client, Audit: a})
		s := b.knows(c.Begin(resync()))
		for i := range 120 {
			b.put(s, b.layer(fmt.Sprint("service/", i), `"title":"A"`))
		}
	})
	recent := a.Recent()
	if len(recent) != 50 || len(told) != 120 {
		t.Fatalf("%d lines are remembered, %d were told", len(recent), len(told))
	}
	for i, l := range recent {
		if l.Identifier != told[len(told)-1-i] || l.Action != catalog.Created || l.Time.IsZero() || len(l.Members) != 1 {
			t.Errorf("line %d is %+v, want that of %s", i, l, told[len(told)-1-i])
		}
	}
	if (*catalog.Audit)(nil).Recent() != nil {
		t.Error("without an audit there are lines")
	}
}
