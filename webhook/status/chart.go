package status

import (
	"fmt"
	"time"
)

// The size of charts, in units of their own: they scale with the page.
const (
	chartWidth  = 600.0
	chartHeight = 80.0
	barsOf      = 60 // minutes
)

// A bar is a rectangle of a chart and what it stands for.
type bar struct {
	X, Y, Width, Height float64
	Title, Class        string
}

// A chart is drawn as inline SVG. Text says the same in words.
type chart struct {
	Bars      []bar
	Max, Text string
}

// Events are the live events of the last hour by minute.
func (v *view) Events() chart {
	var sum int64
	c := v.bars(func(m *minute) float64 { sum += m.Events; return float64(m.Events) }, func(f float64) string { return fmt.Sprintf("%.0f", f) })
	c.Text = fmt.Sprintf("%s live events were handled in the last hour, at most %s in a minute.", group(sum), c.Max)
	return c
}

// Latency is how long live events took in the last hour by minute, the slowest one.
func (v *view) Latency() chart {
	var events int64
	var seconds float64
	format := func(f float64) string { return short(time.Duration(f * float64(time.Second))) }
	c := v.bars(func(m *minute) float64 {
		events += m.Events
		seconds += m.MeanSeconds * float64(m.Events)
		return m.SlowestSeconds
	}, format)
	c.Text = "No live event was handled in the last hour."
	if events > 0 {
		c.Text = fmt.Sprintf("From the arrival of a delivery until it was handled it took %s on average and at most %s.", format(seconds/float64(events)), c.Max)
	}
	return c
}

// bars draws a value of every minute of the last hour.
func (v *view) bars(of func(*minute) float64, format func(float64) string) chart {
	last := v.Now.Truncate(time.Minute)
	most := 0.0
	values := map[int]float64{}
	for i := range v.Live {
		m := &v.Live[i]
		back := int(last.Sub(m.Start) / time.Minute)
		if back < 0 || back >= barsOf {
			continue
		}
		values[back] = of(m)
		most = max(most, values[back])
	}
	c := chart{Max: format(most)}
	const width = chartWidth / barsOf
	for back := barsOf - 1; back >= 0; back-- {
		value, ok := values[back]
		if !ok || most == 0 {
			continue
		}
		height := max(1, value/most*chartHeight)
		c.Bars = append(c.Bars, bar{
			X: float64(barsOf-1-back) * width, Y: chartHeight - height, Width: width - 2, Height: height,
			Title: last.Add(-time.Duration(back)*time.Minute).UTC().Format("15:04 UTC") + ": " + format(value),
		})
	}
	return c
}

// Timeline are the last resyncs on a line of time that ends now.
func (v *view) Timeline() chart {
	all := v.Resync.Recent
	var c chart
	if len(all) == 0 {
		return c
	}
	from, until := all[len(all)-1].Started, v.Now
	if r := v.Resync.Running; r != nil && r.Started.Before(from) {
		from = r.Started
	}
	whole := max(until.Sub(from), time.Second)
	c.Max = short(whole) + " ago"
	draw := func(started time.Time, took time.Duration, class, title string) {
		x := float64(started.Sub(from)) / float64(whole) * chartWidth
		width := max(3, float64(took)/float64(whole)*chartWidth)
		x = min(x, chartWidth-width)
		c.Bars = append(c.Bars, bar{X: x, Y: 0, Width: width, Height: 24, Class: class, Title: title})
	}
	good := 0
	for i := len(all) - 1; i >= 0; i-- {
		e := &all[i]
		if !e.Bad() {
			good++
		}
		draw(e.Started, time.Duration(e.DurationSeconds*float64(time.Second)), e.State,
			fmt.Sprintf("%s, %s: %s after %s", e.Started.UTC().Format("15:04:05 UTC"), e.Cause, e.State, short(time.Duration(e.DurationSeconds*float64(time.Second)))))
	}
	if r := v.Resync.Running; r != nil {
		draw(r.Started, until.Sub(r.Started), "running", "runs since "+r.Started.UTC().Format("15:04:05 UTC"))
	}
	c.Text = fmt.Sprintf("%d of %d resyncs completed.", good, len(all))
	return c
}

// A minute is what became of live events in it.
type minute struct {
	Start          time.Time `json:"start"`
	Events         int64     `json:"events"`
	MeanSeconds    float64   `json:"meanSeconds"`
	SlowestSeconds float64   `json:"slowestSeconds"`
}
