package ocean

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// ErrUsage is a command line that cannot be understood.
var ErrUsage = errors.New("see ado-port --help")

// ParseFlags reads the flags of a command, which takes no other arguments. Help
// goes to w and is flag.ErrHelp; everything else that is wrong is ErrUsage.
func ParseFlags(fs *flag.FlagSet, args []string, w io.Writer) error {
	fs.SetOutput(io.Discard)
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(w)
		fs.Usage()
		return err
	case err != nil:
		return fmt.Errorf("%s: %w: %w", fs.Name(), err, ErrUsage)
	case fs.NArg() > 0:
		return fmt.Errorf("%s: unexpected argument %q: %w", fs.Name(), fs.Arg(0), ErrUsage)
	}
	return nil
}

// OutputFlag adds --output, which chooses between text and JSON.
func OutputFlag(fs *flag.FlagSet) (asJSON *bool) {
	asJSON = new(bool)
	fs.Func("output", "`format` of what is printed: text (default) or json", func(s string) error {
		if *asJSON = s == "json"; s != "json" && s != "text" {
			return errors.New("want text or json")
		}
		return nil
	})
	return asJSON
}

// Show prints a configuration and what is wrong with it. That is an error too, in
// short.
func (e *Effective) Show(w io.Writer, asJSON bool, err error) error {
	write := e.WriteText
	if asJSON {
		write = e.WriteJSON
	}
	if werr := write(w, err); werr != nil {
		return werr
	}
	if err != nil {
		return errors.New("the configuration cannot be used")
	}
	return nil
}
