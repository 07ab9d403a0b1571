package azuredevopstest

import (
	"fmt"
	"strings"
	"time"
)

// more adds what the default mapping does not show: groups, areas, iterations,
// environments, test runs, wikis and alerts.
func (d *demo) more() {
	d.w.AddGroup(nil, "Project Collection Administrators", d.w.People[:2]...)
	d.at = d.end.AddDate(0, -6, 0)
	for i, p := range d.w.Projects {
		contributors := d.w.AddGroup(p, "Contributors", d.w.People[i:i+12]...)
		readers := d.w.AddGroup(p, "Readers")
		readers.Groups = []*Group{contributors}
		for _, name := range []string{"Backend", "Frontend", "Operations"} {
			p.AddArea(nil, name)
		}
		d.iterations(p)
		d.deployments(p)
		k := p.AddWiki(p.Name+".wiki", nil)
		for _, name := range []string{"/Home", "/On-call", "/Onboarding/First-week"} {
			k.AddPage(name, "# "+name[strings.LastIndexByte(name, '/')+1:]+"\n\nHow "+p.Name+" works.\n")
		}
	}
	r := d.w.Projects[1].Repositories[0]
	r.AddAlert("code", "high", "Regular expression is exponential")
	r.AddAlert("dependency", "medium", "Outdated JSON parser")
	r.AddAlert("secret", "critical", "Connection string in a test").State = "fixed"
}

// iterations adds two-week sprints around the end.
func (d *demo) iterations(p *Project) {
	first := d.end.Truncate(24*time.Hour).AddDate(0, 0, -7*14)
	for i := range 10 {
		start := first.AddDate(0, 0, 14*i)
		p.AddIteration(nil, fmt.Sprint("Sprint ", i+1), start, start.AddDate(0, 0, 13))
	}
}

// deployments records where the builds of deployment pipelines went, and gives
// the other builds a test run.
func (d *demo) deployments(p *Project) {
	staging, production := p.AddEnvironment("staging"), p.AddEnvironment("production")
	for _, b := range p.Builds {
		d.at = b.Finished
		if strings.HasSuffix(b.Pipeline.Name, "-deploy") {
			staging.Deploy(b, "Staging", b.Result)
			if b.Result == "succeeded" {
				production.Deploy(b, "Production", "succeeded")
			}
			continue
		}
		outcomes := []string{"Passed", "Passed", "Passed", "NotExecuted"}
		if b.Result == "failed" {
			outcomes[1] = "Failed"
		}
		p.AddTestRun("Unit tests of "+b.Pipeline.Name, b, outcomes...)
	}
}
