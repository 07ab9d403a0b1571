package catalog_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
)

// A mapping that computes blueprints from records does not make series without end.
func TestBlueprintsOfMetricsAreBounded(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	c := catalog.New(catalog.Config{Registry: reg})
	for i := range 1000 {
		c.Expect(fmt.Sprint("blueprint-", i))
	}
	const series = 4 * 3 // operations and causes of a blueprint
	if n, err := testutil.GatherAndCount(reg); err != nil || n != (300+1)*series {
		t.Errorf("%d series, %v; want those of 300 blueprints and of all others", n, err)
	}
}

func TestCauseOfMetrics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o    catalog.Options
		want string
	}{
		{catalog.Options{Cause: catalog.Cause{Event: catalog.EventResync}}, "resync"},
		{catalog.Options{Cause: catalog.Cause{Event: catalog.EventIncremental}}, "incremental"},
		{catalog.Options{Cause: catalog.Cause{Event: catalog.EventLive}}, "live"},
		{catalog.Options{Cause: catalog.Cause{Event: catalog.EventLive}, Feature: port.FeatureGitOps}, "gitops"},
	} {
		if got := catalog.Label(&tt.o); got != tt.want {
			t.Errorf("%+v is counted as %s, want %s", tt.o, got, tt.want)
		}
	}
}
