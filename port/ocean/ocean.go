// Package ocean is the contract between the Ocean framework and its
// environment: where settings come from, what they are called and which values
// they take.
//
// [ReadSources] collects the process environment, `.env` and `config.yaml`;
// [Load] flattens them into canonical names such as OCEAN__PORT__CLIENT_ID,
// parses them into a struct that the caller composes of the rooms' configs, and
// says where each value came from.
//
// The package never reads the process environment itself and starts nothing.
package ocean

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
)

// An Origin says where a value came from. The name of the variable follows in
// parentheses where it is not the canonical one, as in
// "environment (OCEAN__PORT)".
type Origin string

// The origins, from the strongest to the weakest.
const (
	FromCommandLine Origin = "command line"
	FromEnvironment Origin = "environment"
	FromDotEnv      Origin = ".env"
	FromYAML        Origin = "config.yaml"
	FromDefault     Origin = "default"
)

// via adds the variable that a value was taken from.
func (o Origin) via(variable string) Origin {
	return Origin(fmt.Sprintf("%s (%s)", o, variable))
}

// A Notice is something about the configuration that does not stop the start.
type Notice struct {
	Level    slog.Level `json:"-"` // Warn, or Info for hints
	Variable string     `json:"variable"`
	Text     string     `json:"text"`
}

// String is one line without a line break. It never holds a secret.
func (n Notice) String() string { return n.Variable + ": " + n.Text }

// Effective is the configuration as it was understood.
type Effective struct {
	// Rows has one entry per variable of the struct, in the struct's order.
	Rows []Row
	// Ignored are the known variables that were set and have no effect here.
	Ignored []Ignored
	// Notices are unknown names, deprecated names and repaired values.
	Notices []Notice

	secrets []string // of settings
	foreign []string // of the environment besides
}

// Log logs the notices.
func (e *Effective) Log(ctx context.Context, log *slog.Logger) {
	for _, n := range e.Notices {
		log.Log(ctx, n.Level, "configuration", "variable", n.Variable, "text", n.Text)
	}
}

// Warnings are the notices that are more than hints, each on one line.
func (e *Effective) Warnings() []string {
	var out []string
	for _, n := range e.Notices {
		if n.Level >= slog.LevelWarn {
			out = append(out, n.String())
		}
	}
	return out
}

// Secrets returns all credentials that are known, for redaction: the values of
// secret settings, also of misspelt ones and of refused ones, and those of other
// variables that hold one by their name. Each is at least six characters long;
// longest first.
func (e *Effective) Secrets() []string { return longEnough(slices.Concat(e.secrets, e.foreign)) }

// A ValueError is a setting that is missing or cannot be used.
type ValueError struct {
	Variable string // canonical name
	Origin   Origin // empty when nothing was set
	Expected string // the form that would do
	Got      string // as written; empty for secrets and for missing values
}

// Error names variable, origin and expected form on one line.
func (e *ValueError) Error() string {
	var b strings.Builder
	b.WriteString(e.Variable)
	if e.Origin == "" {
		b.WriteString(" is not set; it is required: " + e.Expected)
		return b.String()
	}
	fmt.Fprintf(&b, " from %s: want %s", e.Origin, e.Expected)
	if e.Got != "" {
		fmt.Fprintf(&b, ", got %q", e.Got)
	}
	return b.String()
}

// A validator checks what one value cannot show; its errors name the variable.
type validator interface{ Validate() error }

// Load parses the sources into T, a struct composed of the rooms' configs with
// `env`, `envPrefix`, `envDefault` and the tags of this package (see [Schema]).
//
// Every problem is in the error, joined, not only the first. Struct and
// Effective are never nil, so that what is right can be shown beside what is
// wrong; a setting in error has its default.
func Load[T any](src Sources) (*T, *Effective, error) {
	cfg := new(T)
	schema, err := newSchema(reflect.TypeFor[T]())
	if err != nil {
		return cfg, &Effective{}, err
	}
	f := flatten(schema, src)
	derive(f)
	root := reflect.ValueOf(cfg).Elem()
	v := understand(schema, f, root)
	errs := slices.Concat(f.errs, v.errs)
	errs = append(errs, news(validate(root), errs)...)
	f.explainMissing(errs)
	eff := &Effective{
		Rows: v.rows, Ignored: f.ignoredList(), Notices: slices.Concat(f.notices, v.notices, remarks(v)),
		secrets: longEnough(slices.Concat(v.secrets, f.secrets)), foreign: foreignSecrets(src.Environ),
	}
	hideSecrets(eff.Rows, errs, eff.Secrets())
	return cfg, eff, errors.Join(errs...)
}

// validate calls Validate on the struct and on every struct below it.
func validate(v reflect.Value) []error {
	var errs []error
	for i := range v.NumField() {
		f := v.Field(i)
		if v.Type().Field(i).IsExported() && f.Kind() == reflect.Struct {
			errs = append(errs, validate(f)...)
		}
	}
	if v.CanAddr() && v.Addr().CanInterface() {
		if check, ok := reflect.TypeAssert[validator](v.Addr()); ok {
			errs = append(errs, split(check.Validate())...)
		}
	}
	return errs
}

// news leaves out what is a consequence of a value that was refused, as its
// setting has the default, and what was said before: an embedded struct is
// validated twice.
func news(errs, refused []error) []error {
	said := map[string]bool{}
	return slices.DeleteFunc(errs, func(err error) bool {
		if said[err.Error()] {
			return true
		}
		said[err.Error()] = true
		return slices.ContainsFunc(refused, func(r error) bool {
			e, ok := errors.AsType[*ValueError](r)
			return ok && strings.HasPrefix(err.Error(), e.Variable)
		})
	})
}

// split takes a joined error apart.
func split(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}
