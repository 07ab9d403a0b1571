package jq_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/mapping/jq"
)

// A suiteCase is a program of jq's own tests with what jq makes of its input:
// all outputs, then perhaps an error, or a refusal to compile.
type suiteCase struct {
	Suite   string
	Line    int
	Program string
	Input   string
	Outputs []json.RawMessage
	Error   bool
	Compile *bool
}

func (c suiteCase) name() string { return fmt.Sprintf("%s:%d", c.Suite, c.Line) }

// run says how the program differs from what jq does; empty: not at all.
func (c suiteCase) run(ctx context.Context) string {
	p, err := jq.NewCompiler(jq.Options{Environ: []string{"PAGER=less"}, Timeout: time.Minute}).Compile(c.Program)
	if wanted := c.Compile == nil || *c.Compile; (err == nil) != wanted {
		return fmt.Sprintf("compiles: %v, want %v: %v", err == nil, wanted, err)
	}
	if err != nil {
		return ""
	}
	in, err := jq.Decode([]byte(strings.TrimPrefix(c.Input, "\ufeff")))
	if err != nil {
		return "input: " + err.Error()
	}
	got, err := p.Outputs(ctx, in)
	if (err != nil) != c.Error || len(got) != len(c.Outputs) {
		return fmt.Sprintf("%s, error %v, want %s, error %v", jq.AppendText(nil, got), err, c.Outputs, c.Error)
	}
	for i, v := range got {
		want, err := jq.Decode(c.Outputs[i])
		if err != nil {
			return err.Error()
		}
		if plain(v) != plain(want) {
			return fmt.Sprintf("output %d is %s, want %s", i, jq.AppendJSON(nil, v), c.Outputs[i])
		}
	}
	return ""
}

// TestSuites runs the cases of jq's own tests that matter for a mapping, where a
// checkout has them beside it. Each line of testdata/differences.tsv is a case
// that differs, and why that is accepted.
func TestSuites(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../shared/jq/suites.jsonl")
	if err != nil {
		t.Skip("the suites are not beside this checkout")
	}
	accepted := readTable(t, "testdata/differences.tsv")
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var c suiteCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		diff := c.run(ctx)
		cancel()
		_, expected := accepted[c.name()]
		switch {
		case diff != "" && !expected:
			t.Errorf("%s: %s with %.200s: %.300s", c.name(), c.Program, c.Input, diff)
		case diff == "" && expected:
			t.Errorf("%s: %s agrees with jq: take it off testdata/differences.tsv", c.name(), c.Program)
		}
		delete(accepted, c.name())
	}
	for name := range accepted {
		t.Errorf("testdata/differences.tsv names %s, which is no case", name)
	}
}

// readTable reads lines of two columns.
func readTable(t *testing.T, path string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n") {
		if key, val, ok := strings.Cut(line, "\t"); ok {
			table[key] = val
		}
	}
	return table
}
