package azuredevopstest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Step makes one change of the kind that happens all day: mostly work items,
// builds and pushes, now and then a pull request, a release or a new
// repository. The choice follows from the seed. It returns a line for people,
// empty when the world has nothing to change. It must not run concurrently with
// itself.
func (w *World) Step() string {
	if w.rng == nil {
		w.rng = rand.New(rand.NewPCG(w.Seed, 3))
	}
	w.mu.RLock()
	projects := slices.DeleteFunc(slices.Clone(w.Projects), func(p *Project) bool { return p.Forbidden || p.State != "wellFormed" })
	w.mu.RUnlock()
	if len(projects) == 0 {
		return ""
	}
	p := choice(w.rng, projects)
	steps := []func(*Project) string{
		w.moveWorkItem, w.moveWorkItem, w.moveWorkItem, w.newWorkItem, w.newWorkItem, w.dropWorkItem,
		w.push, w.push, w.runBuild, w.runBuild, w.endPull, w.openPull, w.release, w.newRepository,
	}
	for range 8 { // a project may lack what a step needs
		if line := choice(w.rng, steps)(p); line != "" {
			return line
		}
	}
	return w.newWorkItem(p)
}

// anyWorkItem is one that is not done.
func (w *World) anyWorkItem(p *Project) *WorkItem {
	w.mu.RLock()
	defer w.mu.RUnlock()
	list := slices.DeleteFunc(slices.Clone(p.WorkItems), func(wi *WorkItem) bool {
		return slices.Contains([]string{"Closed", "Done", "Removed"}, wi.State)
	})
	if len(list) == 0 {
		return nil
	}
	return choice(w.rng, list)
}

// anyRepository is one that can be pushed to.
func (w *World) anyRepository(p *Project) *Repository {
	w.mu.RLock()
	defer w.mu.RUnlock()
	list := slices.DeleteFunc(slices.Clone(p.Repositories), func(r *Repository) bool { return r.Disabled || r.DefaultBranch == "" })
	if len(list) == 0 {
		return nil
	}
	return choice(w.rng, list)
}

func (w *World) moveWorkItem(p *Project) string {
	wi := w.anyWorkItem(p)
	if wi == nil {
		return ""
	}
	from := wi.State
	to := choice(w.rng, slices.DeleteFunc(slices.Clone(wi.states()), func(state string) bool { return state == from }))
	wi.Update(func(wi *WorkItem) {
		wi.State, wi.Reason = to, "Moved to state "+to
	})
	return fmt.Sprintf("%s #%d %q moved from %s to %s", wi.Type, wi.ID, wi.Title, from, to)
}

func (w *World) newWorkItem(p *Project) string {
	types := processOf(p.Process).types
	typ := types[w.rng.IntN(min(3, len(types)))].name
	subject := "the daily work"
	for _, d := range demoProjects() {
		if d.name == p.Name {
			subject = choice(w.rng, d.subjects)
		}
	}
	wi := p.AddWorkItem(typ, fmt.Sprintf(choice(w.rng, demoTitles()[typ]), subject))
	return fmt.Sprintf("%s #%d %q created", wi.Type, wi.ID, wi.Title)
}

func (w *World) dropWorkItem(p *Project) string {
	if w.rng.IntN(3) > 0 {
		return ""
	}
	wi := w.anyWorkItem(p)
	if wi == nil {
		return ""
	}
	wi.Delete()
	return fmt.Sprintf("%s #%d %q deleted", wi.Type, wi.ID, wi.Title)
}

func (w *World) push(p *Project) string {
	r := w.anyRepository(p)
	if r == nil {
		return ""
	}
	c := r.Push("main", Files{"README.md": "# " + r.Name + "\n\nChanged " + w.now().Format(time.RFC1123) + ".\n"})
	return fmt.Sprintf("pushed %.8s to %s", c.ID, r.Name)
}

func (w *World) runBuild(p *Project) string {
	w.mu.RLock()
	var running *Build
	for _, b := range slices.Backward(p.Builds) {
		if b.Status == "inProgress" {
			running = b
		}
	}
	pipelines := slices.Clone(p.Pipelines)
	w.mu.RUnlock()
	if running != nil {
		result := choice(w.rng, []string{"succeeded", "succeeded", "failed"})
		running.Finish(result)
		return fmt.Sprintf("build %s of %s %s", running.Number, running.Pipeline.Name, result)
	}
	if len(pipelines) == 0 {
		return ""
	}
	b := choice(w.rng, pipelines).QueueBuild("")
	b.Start()
	return fmt.Sprintf("build %s of %s started", b.Number, b.Pipeline.Name)
}

func (w *World) openPull(p *Project) string {
	r := w.anyRepository(p)
	if r == nil {
		return ""
	}
	branch := fmt.Sprintf("feature/change-%d", w.rng.IntN(10_000))
	r.Push(branch, Files{"CHANGES.md": "* " + branch + "\n"})
	pr := r.OpenPullRequest("Change "+branch[15:], branch, r.DefaultBranch)
	return fmt.Sprintf("pull request %d %q opened in %s", pr.ID, pr.Title, r.Name)
}

func (w *World) endPull(p *Project) string {
	w.mu.RLock()
	var open []*PullRequest
	for _, pr := range p.PullRequests {
		if pr.Status == "active" && !pr.repo.Disabled {
			open = append(open, pr)
		}
	}
	w.mu.RUnlock()
	if len(open) == 0 {
		return ""
	}
	pr := choice(w.rng, open)
	if w.rng.IntN(4) == 0 {
		pr.Abandon()
		return fmt.Sprintf("pull request %d %q abandoned", pr.ID, pr.Title)
	}
	pr.Complete()
	return fmt.Sprintf("pull request %d %q completed", pr.ID, pr.Title)
}

func (w *World) release(p *Project) string {
	w.mu.RLock()
	list := slices.Clone(p.ReleaseDefinitions)
	w.mu.RUnlock()
	if len(list) == 0 {
		return ""
	}
	r := choice(w.rng, list).Release()
	return r.Name + " of " + r.Definition.Name + " created"
}

func (w *World) newRepository(p *Project) string {
	if w.rng.IntN(4) > 0 {
		return ""
	}
	r := p.AddRepository(fmt.Sprintf("experiment-%d", w.rng.IntN(10_000)))
	r.Push("main", Files{"README.md": "# " + r.Name + "\n\nAn experiment.\n"})
	return "repository " + r.Name + " created"
}
