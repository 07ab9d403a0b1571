package port

import (
	"strings"
	"testing"
)

func TestCorrectedDefaults(t *testing.T) {
	t.Parallel()
	plain, err := loadResources(Defaults())
	if err != nil {
		t.Fatal(err)
	}
	fixed, err := loadResources(CorrectedDefaults())
	if err != nil {
		t.Fatal(err)
	}
	if len(plain.scorecards["service"]) != 1 || len(fixed.scorecards["azureDevopsRepository"]) != 1 || len(fixed.scorecards) != 1 {
		t.Errorf("scorecards of %d and %d blueprints, want the one that exists", len(plain.scorecards), len(fixed.scorecards))
	}
	if len(fixed.blueprints) != len(plain.blueprints) || len(fixed.pages) != len(plain.pages) {
		t.Errorf("%d blueprints and %d pages, want %d and %d", len(fixed.blueprints), len(fixed.pages), len(plain.blueprints), len(plain.pages))
	}
	for _, page := range fixed.pages {
		if strings.Contains(string(page), `"blueprint":"service"`) {
			t.Errorf("a page shows a blueprint that does not exist: %s", page)
		}
	}
	if strings.Contains(string(fixed.mapping), `BoardColumn\"+\"-\"`) || !strings.Contains(string(plain.mapping), `BoardColumn\"+\"-\"`) {
		t.Error("the relation of work items to columns")
	}
}
