package port

import (
	"bytes"
	"fmt"
	"io/fs"
)

// A correction replaces a text of a default resource file everywhere in it.
type correction struct{ file, from, to string }

// corrections mend what the defaults of Port's own integration get wrong. The
// defaults themselves keep the mistakes, because existing entities depend on
// them.
func corrections() []correction {
	return []correction{
		// A work item leads to the column that the column block makes.
		{"port-app-config.yaml", `.fields."System.WorkItemType"+"-"+.fields."System.BoardColumn"+"-"+.__project.id`, `.fields."System.WorkItemType"+"/"+.fields."System.BoardColumn"+"/"+.__project.id`},
		// What was meant to shorten the link of a release would break it.
		{"port-app-config.yaml", `._links.web.href | gsub("_release?releaseId="; "")`, `._links.web.href`},
		// A revision is a number.
		{"blueprints.yaml", "revision: {title: Revision, type: string", "revision: {title: Revision, type: number"},
		// Processes know more types of work items than five.
		{"blueprints.yaml", "        enum: [Issue, Epic, Task, Bug, User Story]\n        enumColors: {Issue: green, Epic: orange, Task: blue}\n", ""},
		// Scorecards and pages are about the blueprint that there is.
		{"scorecards.yaml", "blueprint: service", "blueprint: azureDevopsRepository"},
		{"pages.yaml", "blueprint: service", "blueprint: azureDevopsRepository"},
	}
}

// CorrectedDefaults are Defaults without their known mistakes.
func CorrectedDefaults() fs.FS { return correctedFS{Defaults()} }

type correctedFS struct{ fs.FS }

// ReadFile reads a file and corrects it.
func (c correctedFS) ReadFile(name string) ([]byte, error) {
	b, err := fs.ReadFile(c.FS, name)
	if err != nil {
		return nil, err
	}
	for _, x := range corrections() {
		if x.file != name {
			continue
		}
		if !bytes.Contains(b, []byte(x.from)) {
			return nil, fmt.Errorf("default resource %s: nothing to correct: %q", name, x.from)
		}
		b = bytes.ReplaceAll(b, []byte(x.from), []byte(x.to))
	}
	return b, nil
}
