package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
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

// authenticate judges the Authorization header of a request. Only the password counts, which is
// what follows the first colon. Without a secret every well-formed Basic header is
// good: the hooks of a time when there was one go on. Other schemes and broken
// headers are never good.
func (s *Server) authenticate(r *http.Request) verdict {
	headers := r.Header.Values(echo.HeaderAuthorization)
	if len(headers) == 0 {
		if s.cfg.Secret == "" {
			return granted
		}
		return missing
	}
	_, password, ok := r.BasicAuth()
	if len(headers) > 1 || !ok || !utf8.ValidString(password) {
		return denied
	}
	if sum := digest(password); s.cfg.Secret != "" && subtle.ConstantTimeCompare(sum[:], s.secret[:]) != 1 {
		return denied
	}
	return granted
}
