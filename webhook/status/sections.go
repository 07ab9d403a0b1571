package status

import (
	"cmp"
	"maps"
	"slices"
)

// render is the whole page.
func (s *Site) render(v *view) []byte {
	var m markup
	m.putf(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ado-port: %s</title>
<link rel="icon" href="data:,">
<style>%s</style>
</head>
<body>
<a class="skip" href="#main">Skip to the status</a>
<header>
<h1>ado-port</h1>
<span class="soft">%s</span>
<span id="fresh" class="soft"><span>As of %s</span></span>
</header>
<main id="main">`, v.State(), s.style, v.Build.Version, stamp(v.Now))
	if v.Notice != "" {
		m.putf(`<section id="notice" class="wide"><p role="status">%s</p></section>`, v.Notice)
	}
	if problems := v.Problems(); len(problems) > 0 {
		m.section("problems", "wide alert", "Needs attention", func() {
			m.putf("<ul>")
			for _, p := range problems {
				m.putf(`<li><a href="#%s">%s</a></li>`, p.Anchor, p.Text)
			}
			m.putf("</ul>")
		})
	}
	for _, section := range []func(*markup){
		v.showDemo, v.showNow, v.showResyncs, v.showKinds, v.showDeletions, v.showExpressions, v.showLive, v.showDead, v.showHooks, v.showReplica, v.showStorage, v.showActions, v.showAudit, v.showConfig,
	} {
		section(&m)
	}
	m.putf(`</main>
<footer class="soft"><p>%s %s %s, started %s. The same for programs: <a href="status.json">status.json</a></p></footer>
<script>%s</script>
</body>
</html>
`, v.Build.Version, v.Build.Commit, v.Build.Go, stamp(v.Started), s.script)
	return m.Bytes()
}

func (v *view) showDemo(m *markup) {
	if v.Demo == nil {
		return
	}
	m.section("demo", wide, "The demo", func() {
		m.putf("<p>A simulated organization changes every few seconds. Press a button and see that nothing is deleted and nothing is lost.</p>\n<div class=\"buttons\">")
		for _, b := range v.Demo.Buttons {
			m.putf(`<form method="post" action="page/press"><input type="hidden" name="token" value="%s"><input type="hidden" name="button" value="%s">`, v.Token, b.Name)
			m.putf(`<button id="press-%s" aria-pressed="%s" aria-describedby="hint-%s">%s%s</button> <span class="soft" id="hint-%s">%s</span></form>`,
				b.Name, b.On, b.Name, b.Label, when(b.On, ": on"), b.Name, b.Hint)
		}
		m.putf("</div>\n")
		m.table("demo", tall, "At|In Azure DevOps|In Port", func() {
			for _, c := range v.Demo.Changes {
				m.putf("<tr>")
				m.clock(c.At)
				m.putf("<td>%s</td><td%s>%s</td></tr>", c.What, when(c.Waits, ` class="soft"`), c.Result)
			}
		})
	})
}

// figure is a name and what stands below it.
func (m *markup) figure(name, value any) { m.putf("<div><dt>%s</dt><dd>%s</dd></div>\n", name, value) }

func (h *health) show(m *markup, name string) {
	m.putf("<div><dt>%s</dt><dd>", name)
	if h.State == "unreachable" {
		m.putf(`<span class="bad">does not answer</span>`)
	} else {
		m.putf("%s", h.State)
	}
	m.putf("%s</dd></div>\n", when(h.State != "" && !h.CredentialOK, `, <span class="bad">refuses the credential</span>`))
}

func (v *view) showNow(m *markup) {
	m.section("now", wide, "Now", func() {
		m.putf("<dl class=\"figures\">\n")
		for i := range v.Organizations {
			v.Organizations[i].show(m, v.Organizations[i].Organization)
		}
		if v.Port.State != "" {
			v.Port.show(m, "Port")
		}
		m.figure("Last complete resync", ago(v.Now, v.Resync.LastSuccess))
		if !v.Resync.Next.IsZero() {
			m.figure("Next resync", ago(v.Now, v.Resync.Next))
		}
		if v.Queue.Kind != "" {
			m.figure("Deliveries that wait", known(v.Queue.Depth))
		}
		if d := v.StateDirectory; d.Kind != "" {
			state := literal("on disk")
			if !d.Usable {
				state = `<span class="bad">cannot be written</span>`
			} else if d.Kind == inMemory {
				state = "in memory only"
			}
			m.figure("State", state)
		}
		m.putf("</dl>\n")
		if v.Resync.Running == nil {
			m.putf("<p>No resync runs.</p>")
			return
		}
		v.showRunning(m, v.Resync.Running)
	})
}

func (v *view) showRunning(m *markup, r *running) {
	mode := r.Mode
	if mode != "" {
		mode += " "
	}
	m.putf("<h3>A %sresync runs</h3>\n<p>Asked for by %s, started %s.", mode, r.Cause, ago(v.Now, r.Started))
	if r.ThrottledSeconds > 0 {
		m.putf(" <span class=\"bad\">Azure DevOps has asked for pauses of %s.</span></p>\n", seconds(r.ThrottledSeconds))
	} else {
		m.putf(" Azure DevOps asks for no pauses.</p>\n")
	}
	m.table("now", low, "Kind|State|#Listed|#Mapped|#Written|#Unchanged", func() {
		for i, k := range r.Kinds {
			m.putf(`<tr><td class="name">`)
			if len(k.Projects) == 0 {
				m.putf("%s", k.Resource)
			} else {
				m.putf(`<details id="projects-%s"><summary>%s</summary><ul>`, i, k.Resource)
				for _, p := range k.Projects {
					m.putf("<li>%s: %s listed, %s written</li>", cmp.Or(p.Project, "without a project"), p.Counts.Listed, p.Counts.Written)
				}
				if k.MoreProjects > 0 {
					m.putf("<li>and %s more</li>", k.MoreProjects)
				}
				m.putf("</ul></details>")
			}
			m.putf(`</td><td class="%s">%s</td>`, k.State, k.State)
			m.numbers(k.Counts.Listed, k.Counts.Mapped, k.Counts.Written, k.Counts.Unchanged)
			m.putf("</tr>")
		}
	})
}

func (v *view) showResyncs(m *markup) {
	m.section("resyncs", wide, "Last resyncs", func() {
		if len(v.Resync.Recent) == 0 {
			m.putf("<p>%s</p>", v.noResync())
			return
		}
		line := v.Timeline()
		m.putf("<p>%s</p>\n<svg viewBox=\"0 0 600 24\" role=\"img\" aria-label=\"%s\" preserveAspectRatio=\"none\"><line x1=\"0\" y1=\"23.5\" x2=\"600\" y2=\"23.5\"/>", line.Text, line.Text)
		m.bars(line.Bars)
		m.putf("</svg>\n<div class=\"axis\" aria-hidden=\"true\"><span>%s</span><span>now</span></div>\n", line.Max)
		m.table("resyncs", tall, "Started|Asked for by|Ended|#Took|#Listed|#Written|#Deleted|Why not complete", func() {
			for i := range v.Resync.Recent {
				r := &v.Resync.Recent[i]
				cause := r.Cause
				if r.Mode != "full" {
					cause += " (" + r.Mode + ")"
				}
				m.putf("<tr>")
				m.clock(r.Started)
				m.putf(`<td>%s</td><td class="%s">%s</td><td class="n">%s</td>`, cause, r.State, r.State, seconds(r.DurationSeconds))
				m.numbers(r.Total.Listed, r.Total.Written, r.Total.Deleted)
				m.putf("<td>%s%s</td></tr>", r.Reason, r.replayed())
			}
		})
	})
}

// noResync is why there is none to show.
func (v *view) noResync() string {
	if v.follows() {
		return "None has ended here: the process that leads runs them, and its page shows them."
	}
	return "None has ended yet."
}

// replayed says that a changed mapping was applied to what had been read before.
func (e *ended) replayed() string {
	if e.RecordsOf.IsZero() {
		return ""
	}
	calls := "no call"
	if e.Calls > 0 {
		calls = group(e.Calls) + " calls"
	}
	return " applied to records of " + e.RecordsOf.UTC().Format("15:04 UTC") + ", " + calls
}

func (v *view) showKinds(m *markup) {
	m.section("kinds", wide, "Kinds in the last full resync", func() {
		r := v.Resync.Last
		if r == nil {
			m.putf("<p>%s</p>", v.noResync())
			return
		}
		m.putf("<p>%s records listed, %s entities written, %s deleted, %s calls to Azure DevOps, %s to Port", r.Total.Listed, r.Total.Written, r.Total.Deleted, r.Calls, r.PortCalls)
		if r.ThrottledSeconds > 0 {
			m.putf(", <span class=\"bad\">paused for %s at the wish of Azure DevOps</span>", seconds(r.ThrottledSeconds))
		}
		m.putf(".</p>\n")
		m.table("kinds", low, "Kind|Read|#Listed|#Filtered|#Failed|#Mapped|#Written|#Unchanged|#Refused|#Kept|#Deleted|First error", func() {
			for i := range r.Kinds {
				k, complete := &r.Kinds[i], literal(`<span class="bad">not complete</span>`)
				if k.Complete {
					complete = `<span class="good">complete</span>`
				}
				m.putf(`<tr><td class="name">%s <span class="soft">%s</span></td><td>%s</td>`, k.Kind, k.Resource, complete)
				c := &k.Counts
				m.numbers(c.Listed, c.Filtered, c.Failed, c.Mapped, c.Written, c.Unchanged, c.Refused, c.Kept, c.Deleted)
				m.putf("<td>%s</td></tr>", k.FirstError)
			}
		})
		r.showTroubles(m)
	})
}

func (e *ended) showTroubles(m *markup) {
	if len(e.Unread)+len(e.Refused)+len(e.Rejected)+len(e.LeftOut)+len(e.Problems) == 0 {
		return
	}
	m.putf("<ul>\n")
	for _, u := range e.Unread {
		m.putf("<li>Not read: %s", u.Scope)
		if u.Records > 0 {
			m.putf(", %s records", u.Records)
		}
		m.putf(": %s</li>\n", u.Reason)
	}
	for _, r := range e.Refused {
		m.putf("<li>Refused by Port: %s of %s, such as %s: %s</li>\n", r.Entities, r.Blueprint, r.Sample, r.Reason)
	}
	list(m, "<li>Block of the mapping that did not run: %s</li>\n", e.Rejected)
	list(m, "<li>Left out of the mapping: %s</li>\n", e.LeftOut)
	list(m, "<li>%s</li>\n", e.Problems)
	m.putf("</ul>")
}

func (v *view) showDeletions(m *markup) {
	m.section("deletions", half, "Deleted and kept", func() {
		r := v.Resync.Last
		if r == nil {
			m.putf("<p>No full resync has ended yet.</p>")
			return
		}
		m.putf("<p>The last full resync deleted %s entities.</p>\n", r.Total.Deleted)
		if len(r.NotDeleted)+len(r.Unwritten) == 0 {
			m.putf("<p>None was kept that nothing makes any more.</p>")
			return
		}
		m.putf("<ul>\n")
		for _, blueprint := range slices.Sorted(maps.Keys(r.Unwritten)) {
			m.putf("<li>%s of %s were deleted: no block of the mapping writes it any more.</li>\n", r.Unwritten[blueprint], blueprint)
		}
		for _, n := range r.NotDeleted {
			m.putf("<li>%s of %s stay, such as %s: %s</li>\n", n.Entities, n.Blueprint, n.Sample, n.Reason)
		}
		m.putf("</ul>")
	})
}

func (v *view) showExpressions(m *markup) {
	m.section("expressions", half, "Expressions of the mapping", func() {
		r := v.Resync.Last
		if r == nil {
			m.putf("<p>No full resync has ended yet.</p>")
			return
		}
		if len(r.Expressions) == 0 {
			m.putf("<p>None failed in the last full resync.</p>\n")
		} else {
			m.putf("<ul>")
			list(m, `<li class="bad">%s</li>`, r.Expressions)
			m.putf("</ul>\n")
		}
		if len(r.Empty) > 0 {
			m.putf(`<details id="empty"><summary>%s found nothing for some records</summary><ul>`, len(r.Empty))
			list(m, "<li>%s</li>", r.Empty)
			m.putf("</ul></details>")
		}
	})
}
