package ocean

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// minSecret is the shortest text that is looked for in output: shorter ones
// would tear ordinary words apart.
const minSecret = 6

// redacted stands for a secret wherever it would be shown.
const redacted = "[redacted]"

// soundsSecret reports whether a variable holds a credential by its name.
func soundsSecret(name string) bool {
	if name == "PAT" || strings.HasSuffix(name, "_PAT") {
		return true
	}
	return slices.ContainsFunc([]string{"SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY", "SECRET_KEY", "ACCESS_KEY", "ACCOUNT_KEY"}, func(word string) bool {
		return strings.HasSuffix(name, word)
	})
}

// looksSecret reports whether a value is a credential by its form: long, of
// letters and digits, without words. It finds a token that was given to the
// wrong variable.
func looksSecret(text string) bool {
	const shortest = 40 // secrets of Entra; tokens of Azure DevOps are longer
	const letters, digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "0123456789"
	return len(text) >= shortest && strings.ContainsAny(text, letters) && strings.ContainsAny(text, digits) &&
		strings.Trim(text, letters+digits+"._~-") == ""
}

// foreignSecrets are the credentials in the environment that are no settings of
// this program: other programs' tokens, and passwords of proxies. They have no
// place in its output either.
func foreignSecrets(environ map[string]string) (out []string) {
	for name, text := range environ {
		// A word such as "disabled" is a switch, and would be masked everywhere.
		if soundsSecret(strings.ToUpper(name)) && strings.ContainsAny(text, "0123456789") && !strings.Contains(text, "://") {
			out = append(out, text)
		}
		if user := userinfo(text); user != nil {
			password, _ := user.Password()
			out = append(out, password)
		}
	}
	return out
}

// userinfo is what stands before the host of an address, nil when there is
// nothing or no address.
func userinfo(text string) *url.Userinfo {
	if !strings.Contains(text, "@") {
		return nil
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil
	}
	return u.User
}

// longEnough leaves out what is too short to be looked for. The result is sorted,
// longest first.
func longEnough(secrets []string) []string {
	out := slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < minSecret })
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	return slices.Compact(out)
}

func containsAny(text string, secrets []string) bool {
	return slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(text, s) })
}

// hideSecrets removes secrets from what a wrong variable would show of them: a
// token as the name of the installation, or quoted in an error.
func hideSecrets(rows []Row, errs []error, secrets []string) {
	for i, r := range rows {
		if r.Origin != FromDefault && containsAny(r.Value, secrets) {
			rows[i].Value = redacted
		}
	}
	for _, err := range errs {
		if e, ok := errors.AsType[*ValueError](err); ok && (containsAny(e.Got, secrets) || looksSecret(e.Got)) {
			e.Got = ""
		}
	}
}
