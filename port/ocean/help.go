package ocean

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"strings"
)

// A text is what help says of a command.
type text struct {
	summary string // in the list of commands
	about   string
	example string // lines of a shell
}

// texts are those of the commands, by name.
var texts = map[string]text{
	"run": {
		"run the integration (also without a command)",
		"Runs the integration as the environment says: it resyncs, follows live events and goes on until it is stopped, or ends after one resync. `ocean sail` is the same, for deployments of the Python image; a path behind it is accepted and not used.",
		"ado-port run --once",
	},
	"demo": {
		"run it against a simulated organization",
		"Runs the service against a simulated organization and a simulated Port in the process: no account, no network, no file.",
		"ado-port demo --once",
	},
	"check": {
		"sign in everywhere and say what is missing",
		"Signs in to Azure DevOps and Port without writing anything, and says line by line what works, what does not, and what to do about it. Exit code 0 when nothing failed, 1 otherwise.",
		"ado-port check --output json",
	},
	"plan": {
		"show what a resync would change in Port",
		"Lists and maps everything as a resync does, writes nothing, and shows what would be created, changed and deleted. Exit code 0 when nothing would change, 2 when something would, 3 when more would be deleted than is allowed, 1 on an error.",
		"ado-port plan --kind repository",
	},
	"map": {
		"show what the mapping makes of a few records",
		"Shows what the mapping makes of a few records of a kind: each expression with its value, or with the error and the place of a syntax error. Records come from Azure DevOps, from a file, or with --stored from the last resync, the mapping from Port or from a file; with both files neither settings nor an account are needed. Exit code 0, or 1 when a block of the kind is invalid or an expression failed.",
		"ado-port map repository --mapping mapping.yaml --from repositories.json",
	},
	"export": {
		"write the records of the last resync",
		"Writes what the record store in the state directory has, of some kinds or of all, as JSON lines: for each listing a line with its selector and behind it its records. Azure DevOps is not asked; a service that runs goes on. `plan` and `map` take the file with --stored=FILE, on another machine too. The records are those of Azure DevOps as they came: keep the file as you would keep them.",
		"ado-port export > records.jsonl\nado-port export repository work-item",
	},
	"config": {
		"show the settings, and what is wrong with them",
		"Shows the settings as they were understood and where each comes from; secrets are redacted. Exit code 1 when they cannot be used. `ado-port help config` lists every variable.",
		"ado-port config --all",
	},
	"hooks": {
		"show, mend or remove service hook subscriptions",
		"Shows the service hook subscriptions and their health, those with a fault first. Exit code 1 when some are not as they should be. After --cleanup, services with the same state directory, or the same shared queue, leave the subscriptions removed until `ado-port hooks --repair`.",
		"ado-port hooks --bad  # exit code 1 while some are\nado-port hooks --repair\nado-port hooks --cleanup --yes",
	},
	"agent": {
		"run the execution agent for self-service actions",
		"Takes runs of self-service actions from Port and calls what they name, as the environment says.",
		"ado-port agent",
	},
	"version": {
		"show version, commit and Go version",
		"Shows what this program was built from.",
		"ado-port version --output json",
	},
	"completion": {
		"print completion for a shell",
		"Prints a script that completes commands and flags. In bash, source it; in zsh, put it into a directory of $fpath as _ado-port.",
		"ado-port completion bash >ado-port.bash",
	},
	"help": {
		"show this, or more about a topic",
		"Shows the list of commands, or the help of a command; `help config` also lists every variable.",
		"ado-port help config",
	},
}

const exitCodes = `Exit codes: 0 good; 1 configuration, credentials of Port, unhealthy hooks, a failed
check or mapping, or, with OCEAN__STRICT_EXIT=true, a failed resync; 2 and 3 what
plan found; 64 a command line that is not understood.
`

// screen is the list of commands.
func (c *Commands) screen() error {
	var b bytes.Buffer
	b.WriteString("ado-port keeps a Port catalog in step with Azure DevOps.\n\n")
	for _, cmd := range c.List {
		fmt.Fprintf(&b, "  ado-port %-24s %s\n", strings.TrimSpace(cmd.Name+" "+cmd.Operand), texts[cmd.Name].summary)
	}
	b.WriteString("\nado-port COMMAND --help shows flags and an example. Settings come from the\nenvironment, .env and config.yaml, in this order; ado-port help config lists them.\n\n")
	b.WriteString(exitCodes)
	_, err := c.Out.Write(b.Bytes())
	return err
}

func (c *Commands) help() Command {
	values := append(c.names(), "help")
	return Command{Name: "help", Operand: "[TOPIC]", Values: values, Setup: func(*flag.FlagSet) Action {
		return func(_ context.Context, topic string) error {
			if topic == "" {
				return c.screen()
			}
			if err := c.usage(c.find(topic)); err != nil || topic != "config" {
				return err
			}
			rows, without, err := c.Variables()
			if err != nil {
				return err
			}
			if _, err := fmt.Fprint(c.Out, "\nVariables:\n\n"); err != nil {
				return err
			}
			return WriteHelp(c.Out, rows, without)
		}
	}}
}

// describe is a flag with the name of its value, and what it means.
func describe(f *flag.Flag) (name, usage string) {
	value, usage := flag.UnquoteUsage(f)
	if f.DefValue != "" && f.DefValue != "false" && !strings.HasPrefix(f.DefValue, "-") {
		usage += " (default " + f.DefValue + ")"
	}
	return strings.TrimSpace(dashed(f.Name) + " " + value), usage
}

// usage prints the help of a command.
func (c *Commands) usage(cmd *Command) error {
	fs, _ := cmd.flags()
	var b, flags bytes.Buffer
	fs.VisitAll(func(f *flag.Flag) {
		name, usage := describe(f)
		fmt.Fprintf(&flags, "  %s\n", name)
		wrap(&flags, 8, usage)
	})
	fmt.Fprintf(&b, "Usage: ado-port %s", cmd.Name)
	if flags.Len() > 0 {
		b.WriteString(" [flags]")
	}
	if cmd.Operand != "" {
		b.WriteString(" " + cmd.Operand)
	}
	b.WriteString("\n\n")
	wrap(&b, 0, texts[cmd.Name].about)
	if flags.Len() > 0 {
		fmt.Fprintf(&b, "\nFlags, with one dash or two:\n%s", &flags)
	}
	b.WriteString("\nExample:\n")
	for line := range strings.SplitSeq(texts[cmd.Name].example, "\n") {
		b.WriteString("  " + line + "\n")
	}
	_, err := c.Out.Write(b.Bytes())
	return err
}

// Markdown is the reference of all commands, for a document.
func (c *Commands) Markdown() string {
	c.complete()
	var b strings.Builder
	for i := range c.List {
		cmd := &c.List[i]
		fs, _ := cmd.flags()
		fmt.Fprintf(&b, "## %s\n\n%s\n\n```sh\n%s\n```\n\n", strings.TrimSpace(cmd.Name), texts[cmd.Name].about, texts[cmd.Name].example)
		if names := flagNames(fs); len(names) > 0 {
			b.WriteString("| Flag | Meaning |\n|---|---|\n")
		}
		fs.VisitAll(func(f *flag.Flag) {
			name, usage := describe(f)
			fmt.Fprintf(&b, "| `%s` | %s |\n", name, usage)
		})
		b.WriteByte('\n')
	}
	return b.String()
}
