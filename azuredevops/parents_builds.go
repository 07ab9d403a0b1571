package azuredevops

import (
	"context"
	"crypto/sha256"
	"hash"
	"hash/fnv"
	"strings"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

const (
	// A build takes 3 to 5 kB in the list and an organization may have 100,000
	// of them: these bound the part of the list that is held at once to a few MB.
	buildsTop  = "500"
	wideBuilds = 3

	wideCalls = 16 // calls per build or run: as many as may be in flight
)

const routeBuilds = "_apis/build/builds"

// buildsOf asks for all builds of a project that are still retained.
//
// https://learn.microsoft.com/rest/api/azure/devops/build/builds/list
func buildsOf(p *project) *request {
	return &request{
		Project: p.ID, Route: routeBuilds, Shared: true,
		Query: []string{"queryOrder", "queueTimeDescending", "$top", buildsTop},
	}
}

// buildMembers are the keys that a build gets.
func buildMembers(p *project) rawjson.Members {
	return rawjson.Members{}.Text("__projectId", p.ID).Raw("__project", p.JSON)
}

// buildRevision tells versions of a finished build apart; "" means that the
// build may still change. What belongs to a finished build, its timeline and its
// changes, depends on its id and revision only: a stage that runs again makes it
// unfinished first.
func buildRevision(build []byte) string {
	changed := rawjson.Text(build, "lastChangedDate")
	if rawjson.Text(build, "status") != "completed" || changed == "" {
		return ""
	}
	return changed + " " + rawjson.Text(build, "finishTime") + " " + rawjson.Text(build, "result")
}

// started tells whether the build itself says that it has begun. Before that it has
// no timeline.
func started(build []byte) bool {
	at := rawjson.Text(build, "startTime")
	return at != "" && !strings.HasPrefix(at, "0001-01-01")
}

// buildsSettle is how long a build has to be over before it is taken for unchanging:
// what follows from its end may be seen a little later elsewhere.
const buildsSettle = 6 * time.Hour

// buildsSeen is what a project's list of builds says about each definition.
type buildsSeen struct{ definitions map[string]*definitionBuilds }

type definitionBuilds struct {
	text hash.Hash // of all builds, as they are listed
	ids  idSum
	open bool // one of them may change
}

// An idSum tells sets of ids apart, in whatever order they come.
type idSum struct{ n, sum uint64 }

func (s *idSum) add(id string) {
	h := fnv.New64a()
	h.Write([]byte(id))
	s.n, s.sum = s.n+1, s.sum+h.Sum64()
}

// of says in a word how the builds of a pipeline look, "" when they may change or are
// not known, and which they are.
func (s *buildsSeen) of(pipeline *parent) (look string, ids idSum) {
	if s == nil {
		return "", ids
	}
	d := s.definitions[pipeline.ID]
	switch {
	case d == nil:
		return hexDigest(string(pipeline.JSON)), ids
	case d.open:
		return "", d.ids
	}
	return hexDigest(string(pipeline.JSON), string(d.text.Sum(nil))), d.ids
}

// seenBuilds reads what the list of builds says; nil when that is not known, or would
// take calls that nobody else makes.
func (l *lister) seenBuilds(ctx context.Context, p *project) *buildsSeen {
	if !l.noting() || !l.reads.has(routeBuilds) {
		return nil
	}
	seen, err := l.seen.get(ctx, p.ID, func(ctx context.Context) (*buildsSeen, error) {
		if l.shared.halfFull() {
			return nil, nil //nolint:nilnil // what is read now may be gone when others want it
		}
		out := &buildsSeen{definitions: map[string]*definitionBuilds{}}
		for pg, err := range l.pages(ctx, buildsOf(p), "value") {
			if err != nil {
				return nil, err
			}
			for obj := range pg.Objects() {
				out.add(obj)
			}
			pg.Free()
		}
		return out, nil
	})
	if err != nil {
		return nil
	}
	return seen
}

func (s *buildsSeen) add(build []byte) {
	id := rawjson.Get(build, "definition.id").String()
	d := s.definitions[id]
	if d == nil {
		d = &definitionBuilds{text: sha256.New()}
		s.definitions[strings.Clone(id)] = d
	}
	d.text.Write(build)
	d.ids.add(rawjson.Text(build, "id"))
	ended, ok := timestamp(rawjson.Text(build, "finishTime"))
	d.open = d.open || !ok || buildRevision(build) == "" || time.Since(ended) < buildsSettle
}
