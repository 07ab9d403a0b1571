package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// verdict is what authentication says about a request.
type verdict int

const (
	granted verdict = iota
	missing         // no Authorization although there is a secret
	denied
)

// digest makes secrets of one length, so that comparing them takes one time.
func digest(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// authenticate judges an Authorization header. Only the password counts, which is
// what follows the first colon. Without a secret every well-formed Basic header is
// good: the hooks of a time when there was one go on. Other schemes and broken
// headers are never good.
func (s *Server) authenticate(headers []string) verdict {
	if len(headers) == 0 {
		if s.cfg.Secret == "" {
			return granted
		}
		return missing
	}
	if len(headers) > 1 {
		return denied
	}
	password, ok := basicPassword(headers[0])
	if !ok {
		return denied
	}
	if s.cfg.Secret == "" {
		return granted
	}
	if sum := digest(password); subtle.ConstantTimeCompare(sum[:], s.secret[:]) != 1 {
		return denied
	}
	return granted
}

func basicPassword(header string) (string, bool) {
	scheme, rest, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return "", false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if err != nil || !utf8.Valid(raw) {
		return "", false
	}
	_, password, ok := strings.Cut(string(raw), ":")
	return password, ok
}
