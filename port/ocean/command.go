package ocean

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// ErrUsage is a command line that cannot be understood.
var ErrUsage = errors.New("see ado-port --help")

// An Action is what a command does once its flags are read.
type Action func(ctx context.Context, operand string) error

// A Command is one command of the program. Its texts are in help.go.
type Command struct {
	Name string
	// Operand is what follows the name, as in "KIND"; one that may be missing is in
	// brackets, and with dots several may follow, which the action gets with blanks in
	// between. Values are those that it can have; nil: any.
	Operand string
	Values  []string
	// Setup declares the flags and returns what the command does.
	Setup func(fs *flag.FlagSet) Action
}

// Commands are all commands of a program; the first is the one that runs when none
// is named. Dispatch, help and completion are made of them.
type Commands struct {
	List []Command
	Out  io.Writer
	// Variables are listed by `help config`.
	Variables func() ([]Row, []Ignored, error)
}

// aliases are other names of commands: those of the Python image, and flags that
// every program has.
var aliases = map[string]string{
	"sail": "run",
	"-v":   "version", "-version": "version", "--version": "version",
	"-h": "help", "-help": "help", "--help": "help",
}

// Run runs the command that args name. Help is flag.ErrHelp, and a command line that
// is wrong ErrUsage.
func (c *Commands) Run(ctx context.Context, args []string) error {
	c.complete()
	args = withoutProgram(args)
	first := &c.List[0]
	if len(args) == 0 {
		return c.run(ctx, first, nil)
	}
	name := args[0]
	if present, ok := aliases[name]; ok {
		name = present
	}
	if cmd := c.find(name); cmd != nil {
		return c.run(ctx, cmd, args[1:])
	}
	if strings.HasPrefix(name, "-") {
		return c.run(ctx, first, args)
	}
	return fmt.Errorf("unknown command %q%s: %w", name, didYouMean(name, c.names()), ErrUsage)
}

// withoutProgram leaves out the name of the Python program, or the start command of
// its image: who overrides what a container starts with has written one of them.
func withoutProgram(args []string) []string {
	switch {
	case len(args) > 0 && (args[0] == "ocean" || args[0] == "/usr/bin/ocean"):
		return args[1:]
	case len(args) == 2 && args[0] == "bash" && (args[1] == "/app/init.sh" || args[1] == "/app/scripts/init.sh"):
		return nil
	}
	return args
}

// complete adds the commands that are made of the others.
func (c *Commands) complete() {
	c.List = append(c.List, c.completion())
	c.List = append(c.List, c.help())
}

func (c *Commands) find(name string) *Command {
	i := slices.IndexFunc(c.List, func(cmd Command) bool { return cmd.Name == name })
	if i < 0 {
		return nil
	}
	return &c.List[i]
}

func (c *Commands) names() []string {
	out := make([]string, len(c.List))
	for i, cmd := range c.List {
		out[i] = cmd.Name
	}
	return out
}

func (c *Commands) run(ctx context.Context, cmd *Command, args []string) error {
	fs, action := cmd.flags()
	operand, err := cmd.parse(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		return errors.Join(err, c.usage(cmd))
	}
	if err != nil {
		return Usage(fmt.Errorf("%s: %w", cmd.Name, err))
	}
	return action(ctx, operand)
}

func (c *Command) flags() (*flag.FlagSet, Action) {
	fs := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs, c.Setup(fs)
}

// parse reads flags and the operand, in any order.
func (c *Command) parse(fs *flag.FlagSet, args []string) (operand string, err error) {
	const undefined = "flag provided but not defined: -"
	for {
		if err := fs.Parse(args); err != nil {
			if name, ok := strings.CutPrefix(err.Error(), undefined); ok {
				err = fmt.Errorf("unknown flag %s%s", dashed(name), didYouMean("--"+name, flagNames(fs)))
			}
			return "", err
		}
		if fs.NArg() == 0 {
			break
		}
		next := fs.Arg(0)
		if c.Operand == "" || operand != "" && !strings.Contains(c.Operand, "...") {
			return "", fmt.Errorf("unexpected argument %q", next)
		}
		operand, args = strings.TrimSpace(operand+" "+next), fs.Args()[1:]
	}
	if operand == "" && c.Operand != "" && c.Operand[0] != '[' {
		return "", fmt.Errorf("%s is missing", c.Operand)
	}
	for word := range strings.FieldsSeq(operand) {
		if err := c.allows(word); err != nil {
			return "", err
		}
	}
	return operand, nil
}

// allows says why an operand cannot be that of the command.
func (c *Command) allows(operand string) error {
	if c.Values == nil || slices.Contains(c.Values, operand) {
		return nil
	}
	if near := didYouMean(operand, c.Values); near != "" {
		return fmt.Errorf("unknown argument %q%s", operand, near)
	}
	return fmt.Errorf("unknown argument %q: want one of %s", operand, strings.Join(c.Values, ", "))
}

// flagNames are the flags as people write them.
func flagNames(fs *flag.FlagSet) []string {
	var out []string
	fs.VisitAll(func(f *flag.Flag) { out = append(out, dashed(f.Name)) })
	return out
}

// dashed is a flag as people write it. Both -flag and --flag are understood.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// didYouMean suggests the nearest of some names, when it is near.
func didYouMean(name string, names []string) string {
	best, distance := "", 2
	if len(strings.TrimLeft(name, "-")) > 4 {
		distance = 3 // two slips
	}
	for _, n := range names {
		if d := levenshtein.ComputeDistance(name, n); d < distance {
			best, distance = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// OutputFlag adds --output, which chooses between text and JSON.
func OutputFlag(fs *flag.FlagSet, asJSON *bool) {
	fs.Func("output", "`format` of what is printed: text (default) or json", func(s string) error {
		if *asJSON = s == "json"; s != "json" && s != "text" {
			return errors.New("want text or json")
		}
		return nil
	})
}

// ConfigCommand shows the configuration that load reads.
func ConfigCommand(load func() (*Effective, error), out io.Writer) Command {
	return Command{Name: "config", Setup: func(fs *flag.FlagSet) Action {
		var asJSON bool
		OutputFlag(fs, &asJSON)
		all := fs.Bool("all", false, "also what is not set")
		return func(context.Context, string) error {
			eff, err := load()
			if eff == nil {
				return err
			}
			return eff.Show(out, asJSON, *all, err)
		}
	}}
}

// Show prints a configuration and what is wrong with it. That is an error too, in
// short.
func (e *Effective) Show(w io.Writer, asJSON, all bool, err error) error {
	var werr error
	if asJSON {
		werr = e.WriteJSON(w, err)
	} else {
		werr = e.WriteText(w, all, err)
	}
	if werr != nil {
		return werr
	}
	if err != nil {
		return errors.New("the configuration cannot be used")
	}
	return nil
}

// Ask asks a question that is answered with yes or no; everything but yes is no.
func Ask(in io.Reader, out io.Writer, question string) bool {
	fmt.Fprintf(out, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(in).ReadString('\n') // the end of the input is no answer
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}
