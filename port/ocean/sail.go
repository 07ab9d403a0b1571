package ocean

import (
	"flag"
	"io"
)

// SailFlags reads the arguments of `ocean sail`, the start command of the
// Python image, which some deployments spell out. Overrides win over the
// environment, fallbacks give way to it. flag.ErrHelp asks for help.
func SailFlags(args []string) (overrides, fallbacks map[string]string, err error) {
	overrides, fallbacks = map[string]string{}, map[string]string{}
	fs := flag.NewFlagSet("sail", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	for _, name := range []string{"O", "once"} {
		fs.BoolFunc(name, "", func(string) error {
			overrides["OCEAN__EVENT_LISTENER__TYPE"] = string(ListenOnce)
			return nil
		})
	}
	fs.BoolFunc("verbose", "", func(string) error {
		overrides["OCEAN__VERBOSE"] = "true"
		return nil
	})
	takes := func(into map[string]string, variable string, names ...string) {
		for _, name := range names {
			fs.Func(name, "", func(value string) error {
				into[variable] = value
				return nil
			})
		}
	}
	takes(fallbacks, "APPLICATION__LOG_LEVEL", "l", "log-level")
	takes(fallbacks, "APPLICATION__PORT", "p", "port")
	takes(overrides, "OCEAN__INITIALIZE_PORT_RESOURCES", "i", "initialize-port-resources")
	for {
		if err := fs.Parse(args); err != nil {
			return nil, nil, err
		}
		if fs.NArg() == 0 {
			return overrides, fallbacks, nil
		}
		args = fs.Args()[1:] // the path of the integration, which is this program
	}
}
