package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// An alertRule is one of observability/alerts.yml.
type alertRule struct {
	Alert string `yaml:"alert"`
	Expr  string `yaml:"expr"`
}

func alertRules(t *testing.T) []alertRule {
	t.Helper()
	text, err := os.ReadFile("observability/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []struct {
			Rules []alertRule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Groups[0].Rules
}

var (
	seriesRow  = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (?:gauge|counter|histogram) \\|")
	seriesName = regexp.MustCompile(`\b(ado_port_[a-z_]+|success|duration_seconds|object_count|process_[a-z_]+)\b`)
	literal    = regexp.MustCompile(`"[^"]*"`)
)

// Every series that the dashboard or an alert asks for is one that the program
// exports: a test of the program holds the table of OBSERVABILITY.md to a scrape.
func TestDashboardAndAlertsUseSeriesThatExist(t *testing.T) {
	t.Parallel()
	exported := []string{"process_start_time_seconds", "process_resident_memory_bytes", "ado_port_client_certificate_not_after_timestamp_seconds"}
	for _, m := range seriesRow.FindAllStringSubmatch(documents(t)["deploy/OBSERVABILITY.md"], -1) {
		exported = append(exported, m[1], m[1]+"_bucket", m[1]+"_sum", m[1]+"_count")
	}
	exprs := map[string]string{}
	for _, r := range alertRules(t) {
		exprs[r.Alert] = r.Expr
	}
	text, err := os.ReadFile("observability/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			exprs[p.Title] += " " + q.Expr
		}
	}
	for where, expr := range exprs {
		if strings.TrimSpace(expr) == "" {
			continue // a row of the dashboard
		}
		names := seriesName.FindAllString(literal.ReplaceAllString(expr, ""), -1)
		if len(names) == 0 {
			t.Errorf("%s asks for no series", where)
		}
		for _, n := range names {
			if !slices.Contains(exported, n) {
				t.Errorf("%s asks for %s, which is not exported", where, n)
			}
		}
	}
}

// Every alert is explained where operators look.
func TestAlertsAreExplained(t *testing.T) {
	t.Parallel()
	doc := documents(t)["deploy/OPERATING.md"]
	for _, r := range alertRules(t) {
		if !strings.Contains(doc, "`"+r.Alert+"`") {
			t.Errorf("OPERATING.md does not say what to do about %s", r.Alert)
		}
	}
	for _, name := range regexp.MustCompile("`(AdoPort[A-Za-z]+)`").FindAllStringSubmatch(doc, -1) {
		if !slices.ContainsFunc(alertRules(t), func(r alertRule) bool { return r.Alert == name[1] }) {
			t.Errorf("OPERATING.md names the alert %s, which does not exist", name[1])
		}
	}
}

// Prometheus itself understands the rules, and they fire when they should.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian package prometheus): the alert rules are not tried")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = filepath.FromSlash("observability")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
