package ocean

import (
	"fmt"
	"strings"
)

// SailFlags reads the arguments of `ocean sail`, the start command of the
// Python image, which some deployments spell out. Overrides
// win over the environment, fallbacks give way to it.
func SailFlags(args []string) (overrides, fallbacks map[string]string, err error) {
	overrides, fallbacks = map[string]string{}, map[string]string{}
	type target struct {
		name string
		into map[string]string
	}
	names := map[string]target{
		"-l": {"APPLICATION__LOG_LEVEL", fallbacks}, "--log-level": {"APPLICATION__LOG_LEVEL", fallbacks},
		"-p": {"APPLICATION__PORT", fallbacks}, "--port": {"APPLICATION__PORT", fallbacks},
		"-i": {initializeResources, overrides}, "--initialize-port-resources": {initializeResources, overrides},
	}
	for i := 0; i < len(args); i++ {
		arg, value, inline := strings.Cut(args[i], "=")
		t, known := names[arg]
		switch {
		case arg == "-O" || arg == "--once":
			overrides["OCEAN__EVENT_LISTENER__TYPE"] = string(ListenOnce)
		case known:
			if !inline {
				if i++; i == len(args) {
					return nil, nil, fmt.Errorf("%s wants a value", arg)
				}
				value = args[i]
			}
			t.into[t.name] = value
		case strings.HasPrefix(arg, "-"):
			return nil, nil, fmt.Errorf("unknown flag %q", arg)
		}
		// Anything else is the path of the integration, which is this program.
	}
	return overrides, fallbacks, nil
}

const initializeResources = "OCEAN__INITIALIZE_PORT_RESOURCES"
