package ocean

import (
	"slices"
	"strings"
)

// JQEnviron returns what mappings may see of the process environment through
// `env` and `$ENV`, as NAME=value in the order of the names: everything but
// secret settings, sections of JSON that may hold one, and variables whose text
// contains a secret. Whether mappings may see anything at all
// is [Settings.AllowJQEnvironment].
func (e *Effective) JQEnviron(environ map[string]string) []string {
	secret := map[string]bool{}
	for _, r := range e.Rows {
		secret[r.Variable] = r.Secret
	}
	out := make([]string, 0, len(environ))
	for name, text := range environ {
		canonical := strings.ToUpper(name)
		if secret[canonical] || (isSetting(canonical) && hides(canonical, text)) || foreignSecret(canonical) || e.reveals(text) {
			continue
		}
		out = append(out, name+"="+text)
	}
	slices.Sort(out)
	return out
}

// JQAccess is [Effective.JQEnviron] where the settings let mappings see it, else nil.
func (e *Effective) JQAccess(s *Settings, environ map[string]string) func() []string {
	if !s.AllowJQEnvironment {
		return nil
	}
	return func() []string { return e.JQEnviron(environ) }
}

// hides reports whether a setting that is no field may hold a secret: a
// section, or an unknown name that sounds like one.
func hides(name, text string) bool {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		return true
	}
	return slices.ContainsFunc([]string{"SECRET", "PASSWORD", "TOKEN", "PRIVATE_KEY"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

// foreignSecret knows the credentials that this program reads under names
// which are not Ocean's: those of the agent and of Entra.
func foreignSecret(name string) bool {
	switch name {
	case "PORT_CLIENT_SECRET", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_DEVOPS_TOKEN":
		return true
	}
	return false
}

// reveals reports whether a text contains the value of a secret setting, or is
// a URL with a password, as proxies have.
func (e *Effective) reveals(text string) bool {
	if containsAny(text, e.secrets) {
		return true
	}
	_, has := userinfo(text).Password()
	return has
}
