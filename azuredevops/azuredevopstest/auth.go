package azuredevopstest

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A SignIn is a way to answer bad credentials.
type SignIn int

// The service answers nobody or an unknown token with a sign-in page, a browser
// with a redirect to it, a suppressed redirect and a revoked token with an
// empty 401, and a refused bearer token with an error object.
const (
	SignInAuto     SignIn = iota
	SignInPage            // 203 and HTML
	SignInRedirect        // 302
	SignInRefused         // 401
)

// SetPAT changes the personal access token that is let in. The token before it
// is answered like a revoked one.
func (s *Server) SetPAT(pat string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pat = pat
}

// AllowToken lets a Bearer token in, or no longer.
func (s *Server) AllowToken(token string, allow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = allow
}

// everyScope marks the routes that any scope opens.
const everyScope = "any"

// SetScopes limits the personal access token to scopes, such as "Code" or
// "Project and Team". The service answers beyond them as it does a revoked token.
func (s *Server) SetScopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = scopes
}

func (s *Server) inScope(q *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scopes == nil || q.route.scope == everyScope || slices.Contains(s.scopes, q.route.scope)
}

// authorize is nil for a caller that is let in.
func (s *Server) authorize(q *request) *response {
	scheme, value, _ := strings.Cut(q.Header.Get("Authorization"), " ")
	value = strings.TrimSpace(value)
	bearer := strings.EqualFold(scheme, "Bearer")
	secret := value
	if strings.EqualFold(scheme, "Basic") {
		text, _ := base64.StdEncoding.DecodeString(value)
		_, secret, _ = strings.Cut(string(text), ":")
	}
	s.mu.Lock()
	open := s.pat == "" && len(s.tokens) == 0 && s.options.ClientID == ""
	known := open || secret != "" && (s.tokens[secret] || secret == s.pat)
	revoked := secret != "" && !bearer && secret == s.options.PAT
	s.mu.Unlock()
	if known {
		return nil
	}
	return refuse(q, s.how(q, scheme, revoked), bearer)
}

func (s *Server) how(q *request, scheme string, revoked bool) SignIn {
	switch {
	case s.options.SignIn != SignInAuto:
		return s.options.SignIn
	case revoked, strings.EqualFold(scheme, "Bearer"), strings.EqualFold(q.Header.Get("X-TFS-FedAuthRedirect"), "Suppress"):
		return SignInRefused
	case scheme == "" && strings.Contains(q.Header.Get("Accept"), "text/html"):
		return SignInRedirect
	default:
		return SignInPage
	}
}

func refuse(q *request, how SignIn, bearer bool) *response {
	switch how {
	case SignInRedirect:
		r := page(http.StatusFound, "Object moved")
		r.header.Set("Location", q.server.URL+"/_signin?realm=dev.azure.com&reply_to="+url.QueryEscape(q.server.URL+q.URL.RequestURI()))
		return r
	case SignInRefused:
		if bearer {
			r := failure(http.StatusUnauthorized, "Microsoft.TeamFoundation.Framework.Server.InvalidIdentityException",
				"TF400813: The user is not authorized to access this resource.")
			r.body = append([]byte("\ufeff"), r.body...)
			r.header.Set("WWW-Authenticate", "Bearer authorization_uri=https://login.microsoftonline.com/common")
			r.header.Set("X-TFS-ServiceError", "TF400813")
			return r
		}
		r := answerBytes(http.StatusUnauthorized, "", nil)
		r.header.Set("WWW-Authenticate", `Basic realm="`+q.server.URL+`/"`)
		return r
	default:
		return signInPage()
	}
}

func signInPage() *response {
	r := page(http.StatusNonAuthoritativeInfo, "Azure DevOps Services | Sign In")
	r.body = append(r.body, strings.Repeat("<!-- sign in -->\r\n", 800)...) // about the size of the real page
	return r
}

// token is the client credentials grant of Entra ID.
func (s *Server) token(q *request) *response {
	if err := q.ParseForm(); err != nil || q.PostForm.Get("grant_type") != "client_credentials" {
		return answerBytes(http.StatusBadRequest, jsonType, encode(object{
			"error", "unsupported_grant_type", "error_description", "AADSTS70003: The app requested an unsupported grant type.",
		}))
	}
	if q.PostForm.Get("client_id") != s.options.ClientID || q.PostForm.Get("client_secret") != s.options.ClientSecret {
		return answerBytes(http.StatusUnauthorized, jsonType, encode(object{
			"error", "invalid_client", "error_description", "AADSTS7000215: Invalid client secret provided.",
		}))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := "access." + strconv.Itoa(len(s.tokens)+1) + "." + s.world.idOf("token", len(s.tokens))
	s.tokens[token] = true
	return ok(object{"token_type", "Bearer", "expires_in", 3599, "ext_expires_in", 3599, "access_token", token})
}

// A version is an api-version such as 7.1-preview.3.
type version struct {
	text         string
	major, minor int
	preview      bool
}

func parseVersion(text string) (version, bool) {
	v := version{text: text}
	number, rest, preview := strings.Cut(strings.ToLower(text), "-")
	major, minor, _ := strings.Cut(number, ".")
	var err error
	if v.major, err = strconv.Atoi(major); err != nil {
		return v, false
	}
	if minor != "" {
		if v.minor, err = strconv.Atoi(minor); err != nil {
			return v, false
		}
	}
	v.preview = preview
	return v, !preview || rest == "preview" || strings.HasPrefix(rest, "preview.")
}

// number is the version without its preview part.
func (v version) number() string { return strconv.Itoa(v.major) + "." + strconv.Itoa(v.minor) }

// checkVersion applies the rules of api-version: writes need one, none may be
// above the latest, resources in preview need the suffix.
func (s *Server) checkVersion(q *request) *response {
	const space = "Microsoft.VisualStudio.Services.WebApi."
	text := q.get("api-version")
	if text == "" {
		_, rest, _ := strings.Cut(q.Header.Get("Accept"), "api-version=")
		text, _, _ = strings.Cut(rest, ",")
		text, _, _ = strings.Cut(text, ";")
		text = strings.TrimSpace(text)
	}
	if text == "" {
		if q.Method == http.MethodGet || q.Method == http.MethodHead {
			return nil
		}
		return failure(http.StatusBadRequest, space+"VssVersionNotSpecifiedException", "No api-version was supplied for the \""+q.Method+
			"\" request. The version must be supplied either as part of the Accept header (e.g. \"application/json; api-version=1.0\") or as a query parameter (e.g. \"?api-version=1.0\").")
	}
	v, valid := parseVersion(text)
	latest := s.versions
	switch {
	case !valid:
		return failure(http.StatusBadRequest, space+"VssInvalidApiVersionException", "The api-version '"+text+"' is not valid.")
	case v.major > latest.major || v.major == latest.major && v.minor > latest.minor:
		return failure(http.StatusBadRequest, space+"VssVersionOutOfRangeException", "The requested REST API version of "+v.number()+
			" is out of range for this server. The latest REST API version this server supports is "+latest.number()+".")
	case !v.preview && (q.route.preview || v.major == 7 && v.minor == 2):
		return failure(http.StatusBadRequest, space+"VssInvalidPreviewVersionException", "The requested version \""+v.number()+
			"\" of the resource is under preview. The -preview flag must be supplied in the api-version for such requests. For example: \""+v.number()+"-preview\"")
	}
	q.version = v
	return nil
}
