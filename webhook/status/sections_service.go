package status

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// bars adds those of a chart.
func (m *markup) bars(all []bar) {
	for _, b := range all {
		m.putf(`<rect x="%s" y="%s" width="%s" height="%s" class="%s"><title>%s</title></rect>`, b.X, b.Y, b.Width, b.Height, b.Class, b.Title)
	}
}

func (m *markup) chart(heading literal, c chart) {
	m.putf("<h3>%s</h3><p>%s</p><svg viewBox=\"0 0 600 80\" role=\"img\" aria-label=\"%s\"><line x1=\"0\" y1=\"79.5\" x2=\"600\" y2=\"79.5\"/>", heading, c.Text, c.Text)
	m.bars(c.Bars)
	m.putf("</svg>\n<div class=\"axis\" aria-hidden=\"true\"><span>60 min ago</span><span>most: %s</span><span>now</span></div>\n", c.Max)
}

func (v *view) showLive(m *markup) {
	m.section("live", half, "Live events", func() {
		q := v.Queue
		if q.Kind == "" {
			m.putf("<p>Nothing is received.</p>")
			return
		}
		m.putf("<p>%s deliveries wait", q.Depth)
		if q.Depth > 0 {
			m.putf(", the oldest for %s", seconds(q.OldestSeconds))
		}
		m.putf("; %s objects wait for another try.", q.Delayed)
		if !q.Usable {
			m.putf(` <span class="bad">%s</span>`, q.Error)
		}
		m.putf("</p>\n")
		m.chart("Handled per minute", v.Events())
		m.chart("Time until handled, the slowest of a minute", v.Latency())
	})
}

func (v *view) showDead(m *markup) {
	m.section("dead-letters", half, "Dead letters", func() {
		if len(v.DeadLetters) == 0 {
			m.putf("<p>There are none.</p>")
			return
		}
		columns := literal("Given up|Event|Object|Why")
		m.putf("<p>Deliveries that were given up: %s.", v.Queue.DeadLetters)
		if v.Redrives {
			columns += "|Action"
			m.putf(" Their cause mended, have them handled once more.</p>\n"+
				`<form method="post" action="page/redrive"><input type="hidden" name="token" value="%s"><button id="redrive-all">Handle all once more</button></form>`, v.Token)
		} else {
			m.putf("</p>")
		}
		m.table("dead-letters", tall, columns, func() {
			for i := range v.DeadLetters {
				d := &v.DeadLetters[i]
				m.putf(`<tr><td class="time" title="%s">%s</td><td>%s</td><td>%s</td><td>%s <span class="soft">after %s tries</span></td>`,
					stamp(d.Died), ago(v.Now, d.Died), d.EventType, d.Key, d.Reason, d.Attempts)
				if v.Redrives {
					m.putf(`<td><form method="post" action="page/redrive"><input type="hidden" name="token" value="%s"><input type="hidden" name="id" value="%s">`+
						`<button id="redrive-%s" aria-label="Handle %s once more">Once more</button></form></td>`, v.Token, d.ID, d.ID, d.ID)
				}
				m.putf("</tr>")
			}
		})
	})
}

func (v *view) showHooks(m *markup) {
	m.section("hooks", half, "Service hooks", func() {
		if len(v.Hooks) == 0 {
			m.putf("<p>None are looked after: there is no public address (<code>OCEAN__BASE_URL</code>).</p>")
		}
		for i := range v.Hooks {
			h := &v.Hooks[i]
			looked := "Not looked after yet."
			if !h.Looked.IsZero() {
				looked = "Looked after " + ago(v.Now, h.Looked) + "."
			}
			m.putf("<h3>%s</h3>\n<p class=\"soft\">%s</p>\n", h.Organization, looked)
			if h.Error != "" {
				m.putf(`<p class="bad">%s</p>`, h.Error)
			}
			m.putf("<ul>")
			for _, health := range slices.Sorted(maps.Keys(h.Subscriptions)) {
				m.putf("<li>%s: %s</li>", health, h.Subscriptions[health])
			}
			list(m, `<li class="bad">Refused: %s</li>`, h.Refused)
			for _, u := range h.Unknown {
				m.putf("<li>Not known: %s: %s</li>", u.What, u.Error)
			}
			m.putf("</ul>\n")
		}
	})
}

func (v *view) showActions(m *markup) {
	a := v.Actions
	if a == nil {
		return
	}
	m.section("actions", wide, "Self-service actions", func() {
		if a.Claims {
			m.putf("<p>Runs under way: %s, waiting: %s.", a.InFlight, a.Waiting)
		} else {
			m.putf("<p>This process claims no runs; it tells Port how those of others ended.")
		}
		m.putf(" Since the start: %s succeeded, %s failed, %s canceled.</p>\n", a.Done, a.Failed, a.Canceled)
		if a.LastClaim.Error != "" {
			m.putf(`<p class="bad">%s</p>`, a.LastClaim.Error)
		}
		if len(a.Runs) == 0 {
			return
		}
		m.table("actions", tall, "Run|Action|State|Since", func() {
			for _, r := range a.Runs {
				m.putf(`<tr><td><code>%s</code></td><td>%s</td><td>%s</td><td class="time" title="%s">%s</td></tr>`, r.ID, r.Action, r.State, stamp(r.Since), ago(v.Now, r.Since))
			}
		})
	})
}

func (v *view) showAudit(m *markup) {
	m.section("audit", wide, "Last changes of the catalog", func() {
		switch {
		case v.AuditOff():
			m.putf("<p>The audit is off (<code>OCEAN__AUDIT__ENABLED=false</code>).</p>")
			return
		case len(v.Audit) == 0:
			m.putf("<p>None yet.</p>")
			return
		}
		m.table("audit", tall, "At|What|Entity|Members, or proof|Because of", func() {
			for i := range v.Audit {
				c := &v.Audit[i]
				m.putf("<tr>")
				m.clock(c.Time)
				m.putf("<td>%s</td><td>%s <code>%s</code></td><td>%s%s</td><td>%s <code>%s</code></td></tr>",
					c.Action, c.Blueprint, c.Identifier, strings.Join(c.Members, ", "), c.Proof, cmp.Or(c.EventType, "resync"), c.Cause)
			}
		})
	})
}

func (v *view) showConfig(m *markup) {
	m.section("config", wide, "Configuration", func() {
		m.table("config", low, "Variable|Value|From", func() {
			for _, s := range v.Config {
				if s.Set() {
					m.putf("<tr><td><code>%s</code></td><td><code>%s</code></td><td>%s</td></tr>", s.Variable, s.Value, s.Origin)
				}
			}
		})
		m.putf("<details id=\"defaults\"><summary id=\"defaults-h\">The others, with their defaults</summary>\n")
		m.table("defaults", low, "Variable|Value", func() {
			for _, s := range v.Config {
				if !s.Set() {
					m.putf("<tr><td><code>%s</code></td><td><code>%s</code></td></tr>", s.Variable, s.Value)
				}
			}
		})
		m.putf("</details>")
	})
}
