package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxRefusals bounds what one request may learn: highest version, preview,
	// its revision, and once more for a server that is being updated.
	maxRefusals = 5
	// askAgain is how long a route that a Server lacks is not asked for.
	askAgain = 15 * time.Minute
	// routeProjects begins what every collection has.
	routeProjects = "_apis/projects"
)

// versions is what has been learned of the interface of a service: which
// api-versions it refused and what it takes instead, and which routes it lacks.
// Nothing is asked beforehand: Services takes every version that this package
// asks for and has every route, and a Server says in its refusal what it has.
type versions struct {
	log    *slog.Logger
	server bool // Azure DevOps Server

	mu        sync.Mutex
	most      map[string]string        // by area, such as "/wit": highest version
	preview   map[string]bool          // by route: only as a preview
	unnumber  map[string]bool          // by route: without the revision of the preview
	given     map[string]string        // by route that is asked for without a version: the one it needs
	first     map[string]chan struct{} // by area: closed when the first request of a route, under way, has ended
	settled   map[string]bool          // by route and version: the first request has ended
	answered  map[string]bool          // by route
	lacking   map[string]lack          // by route
	complains map[string]bool          // by area: people know that something is lacking
}

// A lack is a route that a Server does not have.
type lack struct {
	err   error
	until time.Time
}

func newVersions(server bool, log *slog.Logger) *versions {
	return &versions{
		log: log, server: server,
		most: map[string]string{}, preview: map[string]bool{}, unnumber: map[string]bool{}, given: map[string]string{},
		first: map[string]chan struct{}{}, settled: map[string]bool{},
		answered: map[string]bool{}, lacking: map[string]lack{}, complains: map[string]bool{},
	}
}

var latestSupported = regexp.MustCompile(`supports is (\d+\.\d+)`)

// areaOf is the host and the first segment behind _apis.
func areaOf(rq *Request) string {
	area, _, _ := strings.Cut(strings.TrimPrefix(rq.Route, "_apis/"), "/")
	return string(rq.Host) + "/" + area
}

// routeOf is the host and the route.
func routeOf(rq *Request) string { return string(rq.Host) + "/" + rq.Route }

// negotiate sends rq in a version that the service takes.
func (v *versions) negotiate(ctx context.Context, rq *Request, once func(version string) (*Page, error)) (*Page, error) {
	leave, err := v.enter(ctx, rq)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := v.lacks(rq); err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		version := v.ask(rq)
		p, err := once(version)
		if err == nil || n == maxRefusals || !v.learn(rq, version, err) {
			return p, v.note(ctx, rq, err)
		}
		v.log.InfoContext(ctx, "api-version refused", "route", rq.Route, "version", version, "instead", v.ask(rq))
	}
}

// enter lets the first request of a route of a Server go alone, one in an area at
// a time: the others wait for what it learns instead of being refused as well.
// However it ends, they go on then.
func (v *versions) enter(ctx context.Context, rq *Request) (leave func(), err error) {
	key, area := routeOf(rq)+" "+rq.Version, areaOf(rq)
	for {
		v.mu.Lock()
		if !v.server || rq.Version == "" || v.settled[key] {
			v.mu.Unlock()
			return func() {}, nil
		}
		wait := v.first[area]
		if wait == nil {
			done := make(chan struct{})
			v.first[area] = done
			v.mu.Unlock()
			return func() {
				v.mu.Lock()
				defer v.mu.Unlock()
				v.settled[key] = true
				delete(v.first, area)
				close(done)
			}, nil
		}
		v.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ask is the version to ask for: what rq wants, as far as the server has it.
func (v *versions) ask(rq *Request) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	route := routeOf(rq)
	if rq.Version == "" {
		return v.given[route]
	}
	want := rq.Version
	if most := v.most[areaOf(rq)]; most != "" && less(most, want) {
		want = most
	}
	number, suffix, isPreview := strings.Cut(want, "-")
	if v.unnumber[route] && isPreview {
		suffix = "preview"
	}
	if v.preview[route] && !isPreview {
		suffix, isPreview = "preview", true
	}
	if isPreview {
		return number + "-" + suffix
	}
	return number
}

// learn takes in an error and reports whether asking again makes sense.
func (v *versions) learn(rq *Request, asked string, err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.StatusCode != http.StatusBadRequest {
		return false
	}
	v.refused(rq, asked, e)
	return v.ask(rq) != asked
}

// released is what to name where a service wants a version and none was asked for.
const released = "7.1"

func (v *versions) refused(rq *Request, asked string, e *Error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	route, area := routeOf(rq), areaOf(rq)
	switch e.TypeKey {
	case "VssVersionNotSpecifiedException":
		if asked == "" {
			v.given[route] = v.highest(area)
		}
	case "VssVersionOutOfRangeException":
		m := latestSupported.FindStringSubmatch(e.Message)
		switch {
		case m == nil || !less(m[1], asked):
			v.unnumber[route] = true
		case v.most[area] == "" || less(m[1], v.most[area]):
			v.most[area] = m[1]
		}
		if _, suffix, ok := strings.Cut(v.given[route], "-"); ok {
			v.given[route] = v.highest(area) + "-" + suffix
		} else if v.given[route] != "" {
			v.given[route] = v.highest(area)
		}
	case "VssInvalidPreviewVersionException":
		if rq.Version == "" {
			v.given[route] = v.highest(area) + "-preview"
		} else {
			v.preview[route] = true
		}
	}
}

// highest is the version that an area is known to have, or the usual one.
func (v *versions) highest(area string) string {
	if most := v.most[area]; most != "" {
		return most
	}
	return released
}

// lacks is the error of a route that the Server is known not to have.
func (v *versions) lacks(rq *Request) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if l, ok := v.lacking[routeOf(rq)]; ok && time.Now().Before(l.until) {
		return l.err
	}
	return nil
}

// note takes in how a request ended and returns its error. A route that has never
// answered and that a Server does not know is lacking: the first such answer of
// an area is told, and the route is not asked for again soon. On Services, and
// for a route that has answered, the same answer is a fault of the moment.
func (v *versions) note(ctx context.Context, rq *Request, err error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	route := routeOf(rq)
	if err == nil {
		if v.server && !v.answered[route] {
			v.answered[route] = true
			delete(v.lacking, route)
		}
		return nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || !v.server || v.answered[route] || !errors.Is(err, errNoRoute) {
		v.answered[route] = v.answered[route] || ok && e.TypeKey != "" && !errors.Is(err, errNoRoute)
		return err
	}
	lacking := *e
	if strings.HasPrefix(rq.Route, routeProjects) {
		lacking.Message = "there is no collection at this URL: check the organization's, such as https://server/tfs/DefaultCollection"
		return &lacking
	}
	lacking.err, lacking.Message = ErrNotOffered, "this version of Azure DevOps Server does not have it"
	v.lacking[route] = lack{&lacking, time.Now().Add(askAgain)}
	if area := areaOf(rq); !v.complains[area] {
		v.complains[area] = true
		v.log.WarnContext(ctx, "the server does not have this part of Azure DevOps: what would come from it is unknown, and kept",
			"area", strings.TrimPrefix(area, "/"), "route", rq.Route)
	}
	return &lacking
}

// less compares the numbers of two versions; previews do not matter.
func less(a, b string) bool {
	a1, a2 := numbers(a)
	b1, b2 := numbers(b)
	return a1 < b1 || a1 == b1 && a2 < b2
}

func numbers(v string) (major, minor int) {
	v, _, _ = strings.Cut(v, "-")
	a, b, _ := strings.Cut(v, ".")
	major, _ = strconv.Atoi(a)
	minor, _ = strconv.Atoi(b)
	return major, minor
}
