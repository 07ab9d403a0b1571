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
		if q.Depth == nil {
			m.putf("<p>How many deliveries wait is unknown.")
		} else {
			m.putf("<p>%s deliveries wait", *q.Depth)
			if *q.Depth > 0 {
				m.putf(", the oldest for %s", seconds(q.OldestSeconds))
			}
			m.putf("; %s objects wait for another try.", q.Delayed)
		}
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
		if v.DeadLetters.Error != "" {
			m.putf(`<p>Dead letters cannot be listed now: <span class="bad">%s</span></p>`, v.DeadLetters.Error)
			return
		}
		if len(v.DeadLetters.Oldest) == 0 {
			m.putf("<p>There are none.</p>")
			return
		}
		columns := literal("Given up|Event|Object|Why")
		m.putf("<p>Deliveries that were given up: %s.", known(v.Queue.DeadLetters))
		if v.Redrives {
			columns += "|Action"
			m.putf(" Their cause mended, have them handled once more.</p>\n"+
				`<form method="post" action="page/redrive"><input type="hidden" name="token" value="%s"><button id="redrive-all">Handle all once more</button></form>`, v.Token)
		} else {
			m.putf("</p>")
		}
		m.table("dead-letters", tall, columns, func() {
			for i := range v.DeadLetters.Oldest {
				d := &v.DeadLetters.Oldest[i]
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
			if v.follows() {
				looked = "The process that leads looks after them."
			}
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

// showReplica is about the processes that share the work, where there are some.
func (v *view) showReplica(m *markup) {
	r := v.Replica
	if r == nil {
		return
	}
	m.section("replica", half, "Processes that share the work", func() {
		m.putf("<dl class=\"figures\">\n")
		if r.Usable {
			m.figure("Alive", r.Members)
			m.figure("Redis", literal("answers"))
		} else {
			m.figure("Alive, when Redis last answered", r.Members)
			m.figure("Redis", literal(`<span class="bad">cannot be used</span>`))
		}
		m.figure("Parts of the queue here", r.Seats[partition])
		m.figure("Deliveries that wait for all", known(v.Queue.SharedDepth))
		m.figure("Dead letters of all", known(v.Queue.DeadLetters))
		if left := v.Queue.ToMove; left != nil {
			m.figure("Deliveries in the state directory, to be moved", left.Deliveries)
			m.figure("Dead letters in the state directory, to be moved", left.DeadLetters)
		}
		m.putf("</dl>\n<p>")
		if r.Name != "" {
			m.putf("This process is <code>%s</code>. ", r.Name)
		} else {
			m.putf("This process is no member now. ")
		}
		switch {
		case r.Leader:
			m.putf("It leads.")
		case r.Leads != "":
			m.putf("<code>%s</code> leads.", r.Leads)
		case r.Usable:
			m.putf("Nobody leads yet.")
		default:
			m.putf("Who leads is not known.")
		}
		m.putf("</p>")
		if !r.Usable {
			m.putf("\n<p class=\"bad\">Redis cannot be used since %s (%s): %s</p>", clock(r.Since), ago(v.Now, r.Since), r.Error)
		}
	})
}

// showStorage is about the storage queue, where there is one.
func (v *view) showStorage(m *markup) {
	s := v.Storage
	if s == nil {
		return
	}
	m.section("storage-queue", half, "Storage queue", func() {
		m.putf("<p><code>%s</code></p>\n<dl class=\"figures\">\n", s.URL)
		state := literal("can be read")
		switch {
		case s.Activity == notReading && v.follows():
			state = "read by the one that leads"
		case s.Activity == notReading, s.State == "not asked":
			state = "not read yet"
		case s.Away():
			state = `<span class="bad">cannot be read</span>`
		case s.Held != "":
			state = `<span class="bad">not read further</span>`
		case s.Activity == "waiting":
			state = "empty, asked again soon"
		}
		m.figure("Queue", state)
		m.figure("Last read", ago(v.Now, s.LastRead))
		m.figure("Received", s.Received)
		m.figure("Dead letters of them", s.Poisoned)
		m.putf("</dl>")
		if s.Held != "" {
			m.putf("\n<p class=\"bad\">Events stay in the queue until they can be stored here: %s</p>", s.Held)
		}
		if s.Away() {
			m.putf("\n<p class=\"bad\">It cannot be read since %s (%s).</p>", clock(s.Since), ago(v.Now, s.Since))
		}
		if s.LastError != "" {
			m.putf("\n<p>Last error, %s: <span%s>%s</span></p>", ago(v.Now, s.LastErrorAt), when(s.Away(), ` class="bad"`), s.LastError)
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
