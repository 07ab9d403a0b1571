package ocean

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"strings"
)

func (c *Commands) completion() Command {
	shells := map[string]func() []byte{"bash": c.bash, "zsh": c.zsh}
	return Command{Name: "completion", Operand: "bash|zsh", Values: []string{"bash", "zsh"}, Setup: func(*flag.FlagSet) Action {
		return func(_ context.Context, shell string) error {
			_, err := c.Out.Write(shells[shell]())
			return err
		}
	}}
}

// bash is the script for bash: it knows the flags, which of them take files or
// formats, and the operand of each command.
func (c *Commands) bash() []byte {
	var b, values, words bytes.Buffer
	for _, cmd := range c.List {
		fs, _ := cmd.flags()
		fs.VisitAll(func(f *flag.Flag) {
			switch name, _ := flag.UnquoteUsage(f); name {
			case "":
			case "file":
				fmt.Fprintf(&values, "    '%s %s') COMPREPLY=($(compgen -f -- \"$cur\")); return;;\n", cmd.Name, dashed(f.Name))
			default:
				fmt.Fprintf(&values, "    '%s %s') COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return;;\n", cmd.Name, dashed(f.Name), known(name))
			}
		})
		fmt.Fprintf(&words, "    %s) words='%s';;\n", cmd.Name, strings.Join(append(flagNames(fs), cmd.Values...), " "))
	}
	fmt.Fprintf(&b, `# Completion of ado-port for bash: source this file.
_ado_port() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '%s' -- "$cur"))
    return
  fi
  case "${COMP_WORDS[1]} $prev" in
%s  esac
  case "${COMP_WORDS[1]}" in
%s  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _ado_port ado-port
`, strings.Join(c.names(), " "), &values, &words)
	return b.Bytes()
}

// known are the values that a flag can have, by the name of its value.
func known(name string) string {
	switch name {
	case "format":
		return "text json"
	case "boolean":
		return "true false"
	}
	return ""
}

// zsh is the script for zsh, which also shows what flags mean.
func (c *Commands) zsh() []byte {
	var b bytes.Buffer
	b.WriteString("#compdef ado-port\n# Completion of ado-port for zsh: put this file into a directory of $fpath as _ado-port.\n_ado-port() {\n  if (( CURRENT == 2 )); then\n    local -a commands=(\n")
	for _, cmd := range c.List {
		fmt.Fprintf(&b, "      '%s:%s'\n", cmd.Name, quotedForZsh(texts[cmd.Name].summary))
	}
	b.WriteString("    )\n    _describe command commands\n    return\n  fi\n  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n")
	for _, cmd := range c.List {
		fmt.Fprintf(&b, "    %s) _arguments", cmd.Name)
		fs, _ := cmd.flags()
		fs.VisitAll(func(f *flag.Flag) {
			name, usage := flag.UnquoteUsage(f)
			fmt.Fprintf(&b, " \\\n      '%s[%s]", dashed(f.Name), quotedForZsh(usage))
			switch {
			case name == "file":
				b.WriteString(":file:_files")
			case name != "":
				fmt.Fprintf(&b, ":%s:(%s)", name, known(name))
			}
			b.WriteString("'")
		})
		if cmd.Operand != "" {
			fmt.Fprintf(&b, " \\\n      '1:%s:(%s)'", strings.Trim(cmd.Operand, "[]"), strings.Join(cmd.Values, " "))
		}
		b.WriteString(";;\n")
	}
	b.WriteString("  esac\n}\n_ado-port \"$@\"\n")
	return b.Bytes()
}

func quotedForZsh(s string) string {
	return strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`, ":", `\:`, "`", "").Replace(s)
}
