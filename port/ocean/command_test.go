package ocean_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os/exec"
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port/ocean"
)

// commands are a few, and what was run of them.
func commands(out *bytes.Buffer, ran *string) *ocean.Commands {
	return &ocean.Commands{
		Out:       out,
		Variables: func() ([]ocean.Row, []ocean.Ignored, error) { return []ocean.Row{{Variable: "OCEAN__X"}}, nil, nil },
		List: []ocean.Command{
			{Name: "run", Operand: "[PATH]", Setup: func(fs *flag.FlagSet) ocean.Action {
				stronger, weaker := ocean.SailFlags(fs)
				return func(_ context.Context, operand string) error {
					*ran = "run " + operand + stronger["OCEAN__EVENT_LISTENER__TYPE"] + weaker["APPLICATION__PORT"]
					return nil
				}
			}},
			{Name: "map", Operand: "KIND", Values: []string{"repository", "wiki"}, Setup: func(fs *flag.FlagSet) ocean.Action {
				from := fs.String("from", "", "`file` with [records]: it's one")
				var asJSON bool
				ocean.OutputFlag(fs, &asJSON)
				return func(_ context.Context, operand string) error {
					*ran = "map " + operand + " " + *from
					if asJSON {
						*ran += " json"
					}
					return nil
				}
			}},
			ocean.ConfigCommand(func() (*ocean.Effective, error) { return &ocean.Effective{}, nil }, out),
			ocean.VersionCommand(ocean.ReadBuild("1.2.3", "", ""), out),
		},
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args  string
		ran   string
		usage string // in the error
		out   string
	}{
		{args: "", ran: "run "},
		{args: "--once", ran: "run ONCE"},
		{args: "ocean sail . -O", ran: "run .ONCE"},
		{args: "/usr/bin/ocean sail", ran: "run "},
		{args: "bash /app/init.sh", ran: "run "},
		{args: "bash", usage: `unknown command "bash"`},
		{args: "sail -p 1 -once", ran: "run ONCE1"},
		{args: "map repository --from x", ran: "map repository x"},
		{args: "map -from x -output json wiki", ran: "map wiki x json"},
		{args: "map", usage: "map: KIND is missing"},
		{args: "map wiki wiki", usage: `unexpected argument "wiki"`},
		{args: "map wikki", usage: "did you mean wiki?"},
		{args: "map board", usage: "want one of repository, wiki"},
		{args: "map wiki --fron x", usage: "unknown flag --fron; did you mean --from?"},
		{args: "map wiki -x", usage: "unknown flag -x:"},
		{args: "map wiki --output xml", usage: "want text or json"},
		{args: "config now", usage: `unexpected argument "now"`},
		{args: "versionn", usage: "did you mean version?"},
		{args: "nonsense", usage: `unknown command "nonsense":`},
		{args: "-v", out: "ado-port 1.2.3\ncommit "},
		{args: "help", out: "ado-port map KIND"},
		{args: "-h", out: "Exit codes"},
		{args: "help config", out: "OCEAN__X"},
		{args: "help map", out: "  --from file\n        file with [records]: it's one\n"},
		{args: "help helpp", usage: "did you mean help?"},
		{args: "map --help", out: "Example:\n  ado-port map repository"},
		{args: "help completion", out: "ado-port completion bash >"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			ran := ""
			err := commands(&out, &ran).Run(t.Context(), strings.Fields(tt.args))
			if errors.Is(err, flag.ErrHelp) {
				err = nil
			}
			if ran != tt.ran || !strings.Contains(out.String(), tt.out) || errors.Is(err, ocean.ErrUsage) != (tt.usage != "") || err != nil && !strings.Contains(err.Error(), tt.usage) {
				t.Errorf("ran %q, want %q; error %v, want %q; printed, want %q in:\n%s", ran, tt.ran, err, tt.usage, tt.out, &out)
			}
			for line := range strings.Lines(out.String()) {
				if len([]rune(line)) > 86 {
					t.Errorf("too long for a terminal: %s", line)
				}
			}
		})
	}
}

func TestVersionJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := commands(&out, new(string)).Run(t.Context(), []string{"version", "--output", "json"}); err != nil {
		t.Fatal(err)
	}
	var got struct{ Version, Go string }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Version != "1.2.3" || !strings.HasPrefix(got.Go, "go1") {
		t.Errorf("%v: %s", err, &out)
	}
}

func TestMarkdownHasEveryFlag(t *testing.T) {
	t.Parallel()
	text := commands(new(bytes.Buffer), new(string)).Markdown()
	for _, want := range []string{"## map\n", "| `--from file` | file with", "```sh\nado-port run --once\n```", "## completion\n", "## help\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// A shell that has read the script completes commands, flags, and values.
func TestCompletionInBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	var script bytes.Buffer
	if err := commands(&script, new(string)).Run(t.Context(), []string{"completion", "bash"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ words, want string }{
		{"ado-port ma", "map"},
		{"ado-port map re", "repository"},
		{"ado-port map --o", "--output"},
		{"ado-port map --output j", "json"},
		{"ado-port completion ", "bash zsh"},
		{"ado-port help ver", "version"},
	} {
		ask := script.String() + "\nCOMP_WORDS=(" + tt.words + ")\n"
		if strings.HasSuffix(tt.words, " ") {
			ask += "COMP_WORDS+=('')\n"
		}
		ask += "COMP_CWORD=$((${#COMP_WORDS[@]}-1))\n_ado_port\necho ${COMPREPLY[@]}\n"
		out, err := exec.CommandContext(t.Context(), bash, "-c", ask).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != tt.want {
			t.Errorf("%q is completed with %q, want %q (%v)", tt.words, got, tt.want, err)
		}
	}
}

// Texts do not end what they are written into.
func TestCompletionForZsh(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := commands(&out, new(string)).Run(t.Context(), []string{"completion", "zsh"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"#compdef ado-port\n", `'--from[file with \[records\]\: it'\''s one]:file:_files'`, "'1:KIND:(repository wiki)';;", "'--output[format of what is printed\\: text (default) or json]:format:(text json)'"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"y\n": true, " YES \n": true, "n\n": false, "\n": false, "": false, "yes": true, "yesterday\n": false} {
		var out bytes.Buffer
		if got := ocean.Ask(strings.NewReader(answer), &out, "Really?"); got != want || out.String() != "Really? [y/N] " {
			t.Errorf("%q is %v, want %v; asked %q", answer, got, want, &out)
		}
	}
}

type exit struct{}

func (exit) Error() string { return "" }
func (exit) ExitCode() int { return 3 }

func TestExit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		code int
		text string
	}{
		{nil, ocean.ExitGood, ""},
		{flag.ErrHelp, ocean.ExitGood, ""},
		{errors.Join(errors.New("a"), errors.New("b")), ocean.ExitFailed, "ado-port: a\nado-port: b\n"},
		{ocean.ErrUsage, ocean.ExitUsage, "ado-port: see ado-port --help\n"},
		{exit{}, 3, ""},
	} {
		var out bytes.Buffer
		if code := ocean.Exit(tt.err, &out); code != tt.code || out.String() != tt.text {
			t.Errorf("Exit(%v) = %d, %q; want %d, %q", tt.err, code, &out, tt.code, tt.text)
		}
	}
}
