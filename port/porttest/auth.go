package porttest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// accessToken gives a signed token, a JWT as Port's: clients read isMachine from it.
func (c *call) accessToken() reply {
	id, secret := c.doc.Get("clientId"), c.doc.Get("clientSecret")
	if id.Type != gjson.String || secret.Type != gjson.String {
		return invalid("body must have required properties 'clientId' and 'clientSecret'")
	}
	s := c.s
	s.mu.Lock()
	refuse, generation := s.refuse, s.generation
	s.mu.Unlock()
	if refuse || id.Str == "" || secret.Str == "" || s.opt.ClientSecret != "" && secret.Str != s.opt.ClientSecret {
		return fail(http.StatusUnauthorized, "invalid_credentials", "Invalid client id or client secret")
	}
	o := s.For(id.Str)
	personal := strings.Contains(id.Str, "@")
	claims := appendString([]byte(`{"orgId":`), o.id)
	claims = appendString(append(claims, `,"clientId":`...), id.Str)
	claims = fmt.Appendf(claims, `,"isMachine":%t,"personalToken":%t,"iat":%d,"exp":%d,"generation":%d}`,
		!personal, personal, c.now.Unix(), c.now.Add(s.opt.TokenTTL).Unix(), generation)
	b64 := base64.RawURLEncoding.EncodeToString
	token := b64([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b64(claims)
	token += "." + s.sign(token)
	return reply{status: http.StatusOK, body: []byte(`{"ok":true,"accessToken":"` + token +
		`","expiresIn":` + strconv.Itoa(int(s.opt.TokenTTL.Seconds())) + `,"tokenType":"Bearer"}`)}
}

func (s *Server) sign(text string) string {
	m := hmac.New(sha256.New, s.key)
	m.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// authorize finds the organization by the token, or says why there is none.
func (c *call) authorize() (complaint string) {
	token, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return "Missing authorization header"
	}
	end := strings.LastIndexByte(token, '.')
	if end < 0 || !hmac.Equal([]byte(c.s.sign(token[:end])), []byte(token[end+1:])) {
		return "Invalid token"
	}
	_, payload, _ := strings.Cut(token[:end], ".")
	claims, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return "Invalid token"
	}
	doc := gjson.ParseBytes(claims)
	c.s.mu.Lock()
	generation := c.s.generation
	c.s.mu.Unlock()
	if c.now.Unix() >= doc.Get("exp").Int() || int(doc.Get("generation").Int()) < generation {
		return "Token expired"
	}
	c.o = c.s.For(doc.Get("clientId").Str)
	return ""
}
