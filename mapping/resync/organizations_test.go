package resync_test

import (
	"strings"
	"testing"

	ado "github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/mapping/resync"
)

// However its address is written, an organization is the same: what cannot be read of
// it stays.
func TestOrganizationWrittenInAnotherWay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state = t.TempDir()
	b.resync(resync.StateCompleted)
	b.urls = []string{strings.ToUpper(b.ado.OrganizationURL()[:4]) + strings.Replace(b.ado.OrganizationURL()[4:], "contoso", "CONTOSO", 1) + "/"}
	b.ado.Fault(ado.Status(reposRoute, 404).In("Alpha"))
	sum := b.resync(resync.StateFailed)
	b.want("repo", "note", everything)
	if sum.Total.Deleted != 0 || len(sum.Former) != 0 {
		t.Errorf("%d deleted, former organizations %v; want neither", sum.Total.Deleted, sum.Former)
	}
}

// What an organization had that is not configured any more goes when everything that
// is configured was read, and not before: its address may be misspelled.
func TestOrganizationNotConfiguredAnyMore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state = t.TempDir()
	w := ado.NewWorld("fabrikam")
	w.AddProject("Gamma").AddRepository("gamma-api").Push("main", ado.Files{"README.md": "#"})
	other := ado.New(ado.Options{World: w, PAT: "pat"})
	t.Cleanup(other.Close)
	of := b.ado.OrganizationURL()
	b.urls = []string{of, other.OrganizationURL()}
	b.resync(resync.StateCompleted)
	b.want("repo", "note", everything+", gamma-api Gamma")

	b.urls[1] = strings.Replace(other.OrganizationURL(), "fabrikam", "fabricam", 1)
	sum := b.resync(resync.StateFailed)
	b.want("repo", "note", everything+", gamma-api Gamma")
	if len(sum.Former) != 1 || sum.Former[0].Kept != 1 || sum.Former[0].Deleted != 0 {
		t.Errorf("former organizations %+v, want one of which an entity is kept", sum.Former)
	}

	b.urls = []string{of}
	b.ado.Fault(ado.Status(reposRoute, 404).In("Alpha").Times(1))
	b.resync(resync.StateFailed)
	b.want("repo", "note", everything+", gamma-api Gamma")

	sum = b.resync(resync.StateCompleted)
	b.want("repo", "note", everything)
	var out strings.Builder
	if err := sum.WriteTable(&out, false); err != nil {
		t.Fatal(err)
	}
	if want := "/fabrikam, which is not configured any more: 1 entity deleted, 0 not"; !strings.Contains(out.String(), want) {
		t.Errorf("the table does not say %q:\n%s", want, &out)
	}
}
