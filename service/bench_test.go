package service_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/service"
)

// BenchmarkScrape is what a scrape costs the service.
func BenchmarkScrape(b *testing.B) {
	p := &ocean.Process{Environ: map[string]string{
		"OCEAN__PORT__CLIENT_ID": "cid", "OCEAN__PORT__CLIENT_SECRET": "secret", "APPLICATION__PORT": "0", "OCEAN__STATE_DIRECTORY": b.TempDir(),
		"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL": "https://dev.azure.com/contoso", "OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": "pat",
	}, Dir: b.TempDir(), Out: io.Discard, Err: io.Discard, Masker: port.NewMasker()}
	cfg, eff, err := ocean.Read[service.Config](p, nil, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	s, err := service.New(b.Context(), service.Options{Process: p, Config: cfg, Effective: eff})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Records.Close()
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		s.Server().ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil))
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
		b.ReportMetric(float64(w.Body.Len()), "bytes/scrape")
	}
}
