package azuredevopstest

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A route is a row of an area's table.
type route struct {
	method string
	// pattern is the path below the organization. A part in brackets may be
	// missing: "/[{project}/]_apis/git/repositories".
	pattern string
	handler func(*request) *response

	host    string // service host in the cloud; empty is dev.azure.com
	preview bool   // asks for a -preview version
	writes  bool   // the handler locks the world itself
	scope   string // that a personal access token needs; see Server.SetScopes

	segments []string // lower case; {name} for a parameter
}

// A routeKey groups the routes that may match a path.
type routeKey struct {
	method   string
	segments int
}

// routeTable expands the brackets and orders the routes so that literal
// segments win over parameters.
func routeTable(rows []route) map[routeKey][]*route {
	table := map[routeKey][]*route{}
	for _, row := range rows {
		for _, pattern := range expand(row.pattern) {
			r := row
			r.pattern = pattern
			r.segments = split(pattern)
			k := routeKey{r.method, len(r.segments)}
			table[k] = append(table[k], &r)
		}
	}
	for _, list := range table {
		slices.SortStableFunc(list, func(a, b *route) int {
			return cmp.Compare(strings.Count(a.pattern, "{"), strings.Count(b.pattern, "{"))
		})
	}
	return table
}

// expand lists the forms of a pattern: without its bracketed parts, with the
// first, with the first two, and so on.
func expand(pattern string) []string {
	open, end := strings.IndexByte(pattern, '['), strings.IndexByte(pattern, ']')
	if open < 0 {
		return []string{pattern}
	}
	rests := expand(pattern[end+1:])
	out := []string{pattern[:open] + rests[0]}
	for _, rest := range rests {
		out = append(out, pattern[:open]+pattern[open+1:end]+rest)
	}
	return out
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

func (r *route) matches(segments []string) bool {
	for i, want := range r.segments {
		if want[0] == '{' {
			// A project or a team is never an _apis segment.
			if strings.EqualFold(segments[i], "_apis") {
				return false
			}
			continue
		}
		if !strings.EqualFold(want, segments[i]) {
			return false
		}
	}
	return true
}

// canonical makes patterns comparable: lower case, parameters without names.
func canonical(pattern string) string {
	segs := split(pattern)
	for i, s := range segs {
		if s[0] == '{' {
			s = "{}"
		}
		segs[i] = strings.ToLower(s)
	}
	return strings.Join(segs, "/")
}

// A request is an HTTP request with what the routing found out.
type request struct {
	*http.Request
	server       *Server
	world        *World
	organization string
	host         string   // service host when a real host name was used, else "*"
	segments     []string // of the path below the organization, unescaped
	route        *route
	pattern      string // "GET /{project}/_apis/…", or "GET (no route)"
	query        url.Values
	body         []byte
	version      version

	projectName string // for the log
	project     *Project
	team        *Team
	repository  *Repository
}

// parse routes a request; it looks at nothing but the URL.
func (s *Server) parse(r *http.Request) *request {
	q := &request{Request: r, server: s, world: s.world, query: url.Values{}, host: "*", pattern: r.Method + " (no route)"}
	for k, v := range r.URL.Query() {
		q.query[strings.ToLower(k)] = v
	}
	for _, seg := range split(r.URL.EscapedPath()) {
		if text, err := url.PathUnescape(seg); err == nil {
			seg = text
		}
		q.segments = append(q.segments, seg)
	}
	q.cloudHost()
	if q.organization == "" && len(q.segments) > 0 {
		q.organization, q.segments = q.segments[0], q.segments[1:]
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, rt := range s.routes[routeKey{method, len(q.segments)}] {
		if rt.matches(q.segments) && (q.host == "*" || q.host == rt.host) {
			q.route, q.pattern = rt, r.Method+" "+rt.pattern
			break
		}
	}
	if key, ok := q.named("project"); ok {
		s.world.mu.RLock()
		if q.project = s.world.project(key); q.project != nil {
			q.projectName = q.project.Name
		}
		s.world.mu.RUnlock()
	}
	return q
}

// cloudHost reads the service, and in the older form the organization, from the
// real host names.
func (q *request) cloudHost() {
	host, _, _ := strings.Cut(strings.ToLower(q.Host), ":")
	if host == "dev.azure.com" {
		q.host = ""
	} else if sub, ok := strings.CutSuffix(host, ".dev.azure.com"); ok {
		q.host = sub
	} else if sub, ok := strings.CutSuffix(host, ".visualstudio.com"); ok {
		q.organization, q.host, _ = strings.Cut(sub, ".")
	}
}

// named returns the value of a path parameter.
func (q *request) named(name string) (string, bool) {
	if q.route == nil {
		return "", false
	}
	for i, seg := range q.route.segments {
		if seg == "{"+name+"}" {
			return q.segments[i], true
		}
	}
	return "", false
}

// param is a path parameter that the route is known to have.
func (q *request) param(name string) string {
	v, _ := q.named(name)
	return v
}

// number is a numeric path parameter, 0 when it is no number.
func (q *request) number(name string) int {
	n, _ := strconv.Atoi(q.param(name))
	return n
}

// resolve finds the project, team and repository that the path names. The
// caller holds the lock, except before handlers that write.
func (s *Server) resolve(q *request) *response {
	if q.route.writes {
		s.world.mu.RLock()
		defer s.world.mu.RUnlock()
	}
	if key, ok := q.named("project"); ok {
		q.project = s.world.project(key)
		if q.project == nil {
			return noProject(key)
		}
		if q.project.Forbidden && q.segments[0] != "_apis" {
			return failure(http.StatusForbidden, errForbidden, "TF400813: The user is not authorized to access this resource.")
		}
	}
	if key, ok := q.named("team"); ok {
		if q.team = q.project.team(key); q.team == nil {
			return failure(http.StatusNotFound, "Microsoft.TeamFoundation.Core.WebApi.TeamNotFoundException", "The team with id '"+key+"' does not exist.")
		}
	}
	if key, ok := q.named("repository"); ok {
		r := s.world.repository(q.project, key)
		if r == nil || r.Disabled {
			return noRepository(key)
		}
		if r.project.Forbidden {
			return failure(http.StatusForbidden, errForbidden, "TF401027: You need the Git 'GenericRead' permission to perform this action.")
		}
		q.repository = r
	}
	return nil
}

// get returns a query parameter by its name in lower case.
func (q *request) get(name string) string { return q.query.Get(name) }

// flag is a boolean query parameter.
func (q *request) flag(name string) bool { return strings.EqualFold(q.get(name), "true") }

// amount is a numeric query parameter; or when it is missing or no number.
func (q *request) amount(name string, or int) int {
	if n, err := strconv.Atoi(q.get(name)); err == nil && n >= 0 {
		return n
	}
	return or
}

// skipped answers the window of a list that $top and $skip ask for.
func skipped[T any](q *request, list []T, top int, show func(T) object) *response {
	from := min(q.amount("$skip", 0), len(list))
	to := min(from+q.amount("$top", top), len(list))
	return collection(list[from:to], show)
}

// paged answers the page of a list that $top and continuationToken ask for,
// with the next token in the header. The token is opaque and has to be escaped.
func paged[T any](q *request, list []T, top int, show func(T) object) *response {
	from := q.amount("$skip", 0)
	if token := q.get("continuationtoken"); token != "" {
		text, err := base64.StdEncoding.DecodeString(token)
		kind, at, _ := strings.Cut(string(text), "?>")
		n, numErr := strconv.Atoi(at)
		if err != nil || numErr != nil || kind != q.route.pattern {
			return failure(http.StatusBadRequest, errArgument, "The continuation token '"+token+"' is not valid.")
		}
		from = n
	}
	from = min(from, len(list))
	to := min(from+max(1, q.amount("$top", q.amount("top", top))), len(list))
	resp := collection(list[from:to], show)
	if to < len(list) {
		token := base64.StdEncoding.EncodeToString([]byte(q.route.pattern + "?>" + strconv.Itoa(to)))
		resp.header.Set("x-ms-continuationtoken", token)
	}
	return resp
}
