package ocean

import (
	"io"
	"log/slog"
	"maps"
	"os"

	"github.com/google/uuid"
	"golang.org/x/term"

	"github.com/ado-port/ado-port/port"
)

// A Process is what the operating system gives the program. Tests have their own.
type Process struct {
	Args     []string // without the program's name
	Environ  map[string]string
	Dir      string // working directory
	In       io.Reader
	Out, Err io.Writer

	Terminal *os.File     // Err where that is a terminal, without Masker
	Answers  bool         // In is a terminal: somebody answers questions
	Paints   bool         // Out is a terminal
	Masker   *port.Masker // before Out and Err after Mask; knows the secrets once they are read
}

// NewProcess is the process of the program itself.
func NewProcess(args []string, environ map[string]string, in, out, errs *os.File) Process {
	p := Process{Args: args, Environ: environ, Dir: ".", In: in, Out: out, Err: errs, Answers: isTerminal(in), Paints: isTerminal(out)}
	if isTerminal(errs) {
		p.Terminal = errs
	}
	return p
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// Mask keeps secrets out of everything that is written from now on. Call done at the
// end.
func (p *Process) Mask() (done func()) {
	p.Masker = port.NewMasker()
	out, errs := p.Masker.Writer(p.Out), p.Masker.Writer(p.Err)
	p.Out, p.Err = out, errs
	return func() {
		_ = errs.Close()
		_ = out.Close()
	}
}

// Colors tells whether what is printed may have some: https://no-color.org
func (p *Process) Colors() bool { return p.Paints && p.Environ["NO_COLOR"] == "" }

// Ask asks a question on Err.
func (p *Process) Ask(question string) bool { return Ask(p.In, p.Err, question) }

// NewLog makes the log of the process, and with ship what sends it to Port as well.
func (p *Process) NewLog(level slog.Level, ship bool) (*slog.Logger, *port.LogShipper) {
	host, _ := os.Hostname() // only shown
	cfg := port.LogConfig{Level: level, Masker: p.Masker, Hostname: host, Instance: uuid.NewString()}
	return port.NewLog(cfg, p.Err, p.Terminal != nil, ship)
}

// Values are settings by the names of their variables.
type Values = map[string]string

// Read reads the configuration of a process: stronger values win over the
// environment, weaker ones give way to it. The masker learns its secrets.
func Read[T any](p *Process, stronger Values, weaker ...Values) (*T, *Effective, error) {
	src, err := ReadSources(p.Dir, p.Environ)
	if err != nil {
		return nil, nil, err
	}
	src.Overrides, src.Fallbacks = stronger, Values{}
	for _, w := range weaker {
		maps.Copy(src.Fallbacks, w)
	}
	cfg, eff, err := Load[T](src)
	p.Masker.Add(eff.Secrets()...)
	return cfg, eff, err
}
