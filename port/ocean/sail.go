package ocean

import "flag"

// SailFlags adds the flags of `ocean sail`, the start command of the Python image,
// which some deployments spell out. When they are read, overrides win over the
// environment, and fallbacks give way to it.
func SailFlags(fs *flag.FlagSet) (overrides, fallbacks map[string]string) {
	overrides, fallbacks = map[string]string{}, map[string]string{}
	once := func(string) error {
		overrides["OCEAN__EVENT_LISTENER__TYPE"] = string(ListenOnce)
		return nil
	}
	fs.BoolFunc("once", "end after one resync", once)
	fs.BoolFunc("O", "is --once", once)
	fs.BoolFunc("verbose", "show projects in the table too", func(string) error {
		overrides["OCEAN__VERBOSE"] = "true"
		return nil
	})
	takes := func(into map[string]string, variable, long, short, usage string) {
		set := func(value string) error {
			into[variable] = value
			return nil
		}
		fs.Func(long, usage, set)
		fs.Func(short, "is --"+long, set)
	}
	takes(fallbacks, "APPLICATION__LOG_LEVEL", "log-level", "l", "`level` of the log, unless APPLICATION__LOG_LEVEL is set")
	takes(fallbacks, "APPLICATION__PORT", "port", "p", "`number` of the port to listen on, unless APPLICATION__PORT is set")
	takes(overrides, "OCEAN__INITIALIZE_PORT_RESOURCES", "initialize-port-resources", "i", "`boolean`: create the default resources of a new installation")
	return overrides, fallbacks
}
