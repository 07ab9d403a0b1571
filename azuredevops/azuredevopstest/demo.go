package azuredevopstest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// DemoWorld is a believable organization: 6 projects, 40 repositories, 60
// pipelines with some 240 builds, 600 work items, pull requests, policies and
// releases, whose history leads up to now. The same seed makes the same one,
// but for the dates.
func DemoWorld(seed uint64) *World { return DemoWorldAt(seed, time.Now) }

// DemoWorldAt is DemoWorld with another clock.
func DemoWorldAt(seed uint64, now func() time.Time) *World {
	w := NewWorld("harborline")
	w.Seed, w.silent = seed, true
	d := &demo{w: w, end: now().UTC().Truncate(time.Second), rng: rand.New(rand.NewPCG(seed, 2))}
	w.Now = func() time.Time { return d.at }
	d.at = d.end.AddDate(-3, 0, 0)
	for _, name := range demoPeople() {
		w.AddPerson(name, mailName(name)+"@harborline.example")
	}
	for _, p := range demoProjects() {
		d.project(p)
	}
	d.workItems()
	d.more()
	w.Now, w.silent = now, false
	return w
}

// A demo builds the demo organization with a clock of its own.
type demo struct {
	w   *World
	rng *rand.Rand
	at  time.Time
	end time.Time
}

// mailName is a name as the part of an address before the @.
func mailName(name string) string {
	plain := strings.NewReplacer("ö", "o", "ı", "i", "ú", "u", "í", "i", "á", "a", "é", "e", "è", "e", "'", "", " ", ".").Replace(strings.ToLower(name))
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			if r != '.' {
				return -1
			}
		}
		return r
	}, plain)
}

// ago sets the clock to a random time at most so many days before the end.
func (d *demo) ago(days int) {
	d.at = d.end.Add(-time.Duration(1+d.rng.Int64N(int64(days)*24*60)) * time.Minute)
}

func (d *demo) someone() *Person { return choice(d.rng, d.w.People) }

func choice[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

func (d *demo) project(in demoProject) {
	d.at = d.end.AddDate(-2, -d.rng.IntN(12), 0)
	p := d.w.AddProjectOf(in.name, in.process)
	p.Description, p.Tags = in.description, in.tags
	if d.rng.IntN(3) == 0 {
		p.Visibility = "organization"
	}
	p.Teams[0].Members = d.w.People[:4]
	for _, name := range in.teams {
		first := d.rng.IntN(len(d.w.People) - 5)
		p.AddTeam(name, d.w.People[first:first+3+d.rng.IntN(3)]...)
	}
	for _, r := range in.repos {
		d.repository(p, r, choice(d.rng, in.teams))
	}
	for _, name := range in.releases {
		d.releases(p, name)
	}
}

func (d *demo) repository(p *Project, in demoRepo, team string) {
	r := p.AddRepository(in.name)
	if in.kind == "empty" {
		return
	}
	slug := strings.ToLower(strings.NewReplacer(" & ", "-", " ", "-").Replace(team))
	r.PushAs(d.someone(), "main", "Start of "+in.name, demoFiles(in, slug))
	for i := range 2 + d.rng.IntN(4) {
		d.ago(300 / (i + 1))
		r.PushAs(d.someone(), "main", fmt.Sprintf("Describe decision %d", i+2), Files{fmt.Sprintf("docs/adr/%04d.md", i+2): "# Decision\n\nAccepted.\n"})
	}
	switch in.kind {
	case "disabled":
		r.Disabled = true
		return
	case "plain":
		return
	}
	if d.rng.IntN(5) > 0 {
		r.RequireReviewers(1 + d.rng.IntN(2))
	}
	if d.rng.IntN(2) == 0 {
		r.RequireWorkItem()
	}
	d.pullRequests(r)
	d.pipelines(p, r, in.kind)
}

func (d *demo) pullRequests(r *Repository) {
	topics := []string{"retry idempotent calls", "bump base image", "split the handler", "log request ids", "fix flaky test", "drop the old endpoint"}
	for i := range 1 + d.rng.IntN(4) {
		d.ago(20)
		topic := topics[(i+d.rng.IntN(2)*3)%len(topics)]
		branch := "feature/" + strings.ReplaceAll(topic, " ", "-")
		r.PushAs(d.someone(), branch, topic, Files{"CHANGES.md": "* " + topic + "\n"})
		pr := r.OpenPullRequest(strings.ToUpper(topic[:1])+topic[1:], branch, "main")
		pr.Author, pr.Description = d.someone(), "See the linked work item."
		pr.Reviewers = []Reviewer{{Person: d.someone(), Vote: choice(d.rng, []int{0, 10, -5})}}
		switch d.rng.IntN(4) {
		case 0:
			pr.Complete()
		case 1:
			pr.Abandon()
		}
	}
}

// pipelines gives every repository a build, and most a deployment.
func (d *demo) pipelines(p *Project, r *Repository, kind string) {
	names := []string{r.Name + "-ci"}
	if kind != "yaml" && d.w.serial["pipeline"] < 58 && d.rng.IntN(10) < 7 {
		names = append(names, r.Name+"-deploy")
	}
	for _, name := range names {
		pl := p.AddPipeline(name, r)
		pl.Folder = `\` + p.Name
		pl.Stages = []string{"Build", "Test"}
		if strings.HasSuffix(name, "-deploy") {
			pl.Stages, pl.YAML = []string{"Build", "Staging", "Production"}, "azure-pipelines.deploy.yml"
		}
		for i := range 4 {
			d.at = d.end.Add(-time.Duration(60*(4-i)+d.rng.IntN(50)) * time.Hour / 10)
			b := pl.QueueBuild("")
			b.For = d.someone()
			b.Start()
			d.at = d.at.Add(time.Duration(90+d.rng.IntN(600)) * time.Second)
			b.Finish(choice(d.rng, []string{"succeeded", "succeeded", "succeeded", "partiallySucceeded", "failed", "canceled"}))
		}
	}
}

func (d *demo) releases(p *Project, name string) {
	def := p.AddReleaseDefinition(name, "Staging", "Production")
	for i := range 8 {
		d.at = d.end.AddDate(0, 0, -3*(8-i)).Add(time.Duration(d.rng.IntN(600)) * time.Minute)
		r := def.Release()
		r.CreatedBy = d.someone()
		r.Deploy("Staging")
		d.at = d.at.Add(20 * time.Minute)
		switch d.rng.IntN(5) {
		case 0:
			r.FinishDeploy("Staging", "rejected")
			r.Abandon()
		default:
			r.FinishDeploy("Staging", "succeeded")
			r.Deploy("Production")
			d.at = d.at.Add(30 * time.Minute)
			r.FinishDeploy("Production", "succeeded")
		}
	}
}

// workItems adds a hundred items to each project, in the order of their
// creation across projects, as ids are counted for the whole organization.
func (d *demo) workItems() {
	type plan struct {
		p          *Project
		typ, title string
		at         time.Time
	}
	var plans []plan
	for i, in := range demoProjects() {
		types := processOf(in.process).types
		titles := demoTitles()
		seen := map[string]bool{}
		for len(seen) < 100 {
			typ := types[min(d.rng.IntN(9)/2, len(types)-1)].name
			title := fmt.Sprintf(choice(d.rng, titles[typ]), choice(d.rng, in.subjects))
			if seen[typ+title] {
				continue
			}
			seen[typ+title] = true
			d.ago(400)
			plans = append(plans, plan{d.w.Projects[i], typ, title, d.at})
		}
	}
	slices.SortStableFunc(plans, func(a, b plan) int { return cmp.Compare(a.at.Unix(), b.at.Unix()) })
	for _, x := range plans {
		d.at = x.at
		d.workItem(x.p.AddWorkItem(x.typ, x.title))
	}
}

func (d *demo) workItem(wi *WorkItem) {
	wi.CreatedBy = d.someone()
	wi.Area = choice(d.rng, []string{"", "Backend", "Frontend", "Operations"})
	wi.Description = "<div>" + wi.Title + ".</div><div>Agreed in the refinement of " + wi.Created.Format("2 January 2006") + ".</div>"
	wi.Tags = choice(d.rng, []string{"", "", "quick-win", "security", "tech-debt; backend"})
	wi.Priority = 1 + d.rng.IntN(4)
	if d.rng.IntN(3) > 0 {
		wi.AssignedTo = d.someone()
	}
	if d.rng.IntN(2) == 0 {
		wi.Fields["Microsoft.VSTS.Scheduling.Effort"] = float64(choice(d.rng, []int{1, 2, 3, 5, 8, 13}))
	}
	age := d.end.Sub(wi.Created)
	d.at = wi.Created.Add(time.Duration(d.rng.Float64() * float64(age))).Truncate(time.Second)
	states := wi.states()
	wi.Update(func(wi *WorkItem) {
		wi.State = states[min(d.rng.IntN(len(states)), 3)]
		wi.ChangedBy = d.someone()
		wi.Reason = "Moved to state " + wi.State
	})
}

// states are the states of the item's type in the order of the workflow.
func (wi *WorkItem) states() []string {
	for _, t := range processOf(wi.project.Process).types {
		if t.name == wi.Type {
			return t.states
		}
	}
	return []string{wi.State}
}
