package azuredevops

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ado-port/ado-port/azuredevops/rest"
)

// Answers of Azure DevOps are kept in the store as they came: the records of a
// listing are made of them again without a call, whatever the mapping makes of the
// records. What is kept of a list is used as a whole or not at all: between two
// pages that were read at different times a record could fall through.

// ErrNotStored is what a snapshot that asks nothing says of an answer that the store
// does not have.
var ErrNotStored = errors.New("not in the record store")

// A Reading says which stored answers a snapshot uses in place of a call. The zero
// Reading uses none; what is asked is stored all the same.
type Reading struct {
	// Since is when the oldest answer was read that is used; zero: none is. What a live
	// event has touched since it was read is asked again.
	Since time.Time
	// Only: nothing is asked. What a live event has touched is used as it was.
	Only bool
}

// use says whether anything stored is of use.
func (r Reading) use() bool { return !r.Since.IsZero() }

// A stored answer is what is kept of one request.
type stored struct {
	read    int64 // when it was asked for, in nanoseconds
	chain   int64 // read of the first page of its list
	status  int
	refused *rest.Error // 400 or 404
	token   string
	body    []byte
}

const answerForm = 1 // the first byte of a stored answer

// head is what is stored before the body.
func (a *stored) head() []byte {
	out := make([]byte, 0, 64+len(a.token))
	out = append(out, answerForm)
	out = binary.AppendVarint(out, a.read)
	out = binary.AppendVarint(out, a.chain)
	out = binary.AppendUvarint(out, uint64(a.status))
	texts := []string{a.token}
	if a.refused != nil {
		texts = append(texts, a.refused.Method, a.refused.URL, a.refused.TypeKey, a.refused.Message)
	}
	out = binary.AppendUvarint(out, uint64(len(texts)))
	for _, s := range texts {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	return out
}

// decodeAnswer reads a head and what is behind it; ok is false for anything else.
func decodeAnswer(b []byte) (a stored, ok bool) {
	if len(b) == 0 || b[0] != answerForm {
		return a, false
	}
	b, ok = b[1:], true
	signed := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			ok = false
			return 0
		}
		b = b[n:]
		return v
	}
	count := func() int {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > uint64(len(b)) {
			ok = false
			return 0
		}
		b = b[n:]
		return int(v)
	}
	a.read, a.chain = signed(), signed()
	status, n := binary.Uvarint(b)
	if n <= 0 || status > 999 {
		return a, false
	}
	a.status, b = int(status), b[n:]
	var texts []string
	for left := count(); ok && left > 0 && len(texts) < 8; left-- {
		size := count()
		if !ok || size > len(b) {
			return a, false
		}
		texts, b = append(texts, string(b[:size])), b[size:]
	}
	switch {
	case ok && len(texts) == 5:
		a.refused = &rest.Error{Method: texts[1], URL: texts[2], TypeKey: texts[3], Message: texts[4], StatusCode: a.status}
	case !ok || len(texts) != 1:
		return a, false
	}
	a.token, a.body = texts[0], b
	return a, true
}

// A chain is one reading of a list with pages.
type chain struct {
	offset bool   // its end is no absence of a token
	first  string // key of the first page
	id     int64
	stored bool // it comes from the store
	pages  int
}

// follow takes over what another reader of the list knows with the same page. It
// reports whether the page goes with those before: none of them comes from the store
// unless all do.
func (ch *chain) follow(other *chain) bool {
	if ch.pages > 0 && (ch.stored || other.stored) && (ch.stored != other.stored || ch.id != other.id) {
		return false
	}
	if ch.pages > 0 && ch.id != other.id {
		other = &chain{first: other.first, pages: ch.pages + 1} // read by several, and not as a whole
	}
	ch.first, ch.id, ch.stored, ch.pages = other.first, other.id, other.stored, other.pages
	return true
}

type chainKey struct{}

func chainOf(ctx context.Context) *chain {
	ch, _ := ctx.Value(chainKey{}).(*chain)
	return ch
}

// chained reads the pages of a list as one whole for the store.
func chained[T any](l *lister, offset bool, pages func(ctx context.Context) iter.Seq2[T, error]) func(ctx context.Context) iter.Seq2[T, error] {
	if l.c.store == nil || l.at != nil || !l.since.IsZero() {
		return pages
	}
	return func(ctx context.Context) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			ch := &chain{offset: offset}
			for p, err := range pages(context.WithValue(ctx, chainKey{}, ch)) {
				if err != nil {
					yield(p, err)
					return
				}
				if !yield(p, nil) {
					break // the reader knows that it has all
				}
			}
			if !ch.stored && ch.first != "" && (ch.offset || ch.pages > 1) && ctx.Err() == nil {
				l.c.store.Put(wholeKey(ch.first), binary.AppendVarint(nil, ch.id))
			}
		}
	}
}

// answered is a request that the store answers, or Azure DevOps; what that says is
// stored. Requests of live events are always asked.
func (l *lister) answered(ctx context.Context, rq *request) (*page, error) {
	by := rest.Caller{Kind: l.kind, Budget: l.budget}
	if l.unstored(rq) {
		return l.c.Send(ctx, rq, by)
	}
	key, ch := l.answerKey(rq), chainOf(ctx)
	if l.c.store != nil && (l.reading.use() || l.proven > 0) {
		if a, ok := l.known(key, rq, ch); ok {
			if a.refused != nil {
				return nil, rest.Kept(*a.refused)
			}
			return &page{Body: a.body, Token: a.token, Status: a.status}, nil
		}
	}
	if l.reading.Only {
		return nil, fmt.Errorf("%s: %w", rq.Route, ErrNotStored)
	}
	switch {
	case ch == nil || !ch.stored:
	case l.proven > 0:
		ch.stored = false // nothing has changed in between: the rest fits
	default:
		// The rest of a list that was read at another time would not fit.
		l.c.store.Drop(wholeKey(ch.first))
		return nil, fmt.Errorf("%s: %w: a page of the list", rq.Route, ErrNotStored)
	}
	asked := time.Now()
	l.c.touches.reads(asked.UnixNano()) // before it is asked: what is touched from now on is noted
	p, err := l.c.Send(ctx, rq, by)
	l.keepAnswer(key, ch, asked, p, err)
	return p, err
}

// unstored says that a request is always asked and its answer not kept: a live event's,
// one of a listing of changes, whose reader may stop before the end of a list, and the
// content of a file, which is kept by its hash.
func (l *lister) unstored(rq *request) bool {
	if l.reading.Only {
		return false
	}
	return l.c.store == nil || l.at != nil || !l.since.IsZero() || rq.Content || rq.Write
}

// known looks a request up; ok is false when it has to be asked.
func (l *lister) known(key string, rq *request, ch *chain) (a stored, ok bool) {
	// Before the answer: a store that is damaged in between has lost both.
	var touched int64
	if !l.reading.Only && (ch == nil || ch.pages == 0) {
		touched = l.touched(rq)
	}
	value, ok := l.c.store.Get(key)
	if !ok {
		return a, false
	}
	since := l.proven
	if l.reading.use() {
		at := l.reading.Since
		if rq.Project == "" && (rq.Route == routeProjects || rq.Route == routeTags) {
			at = at.Add(-askedFor) // a resync begins with the list of projects that ask has brought
		}
		if since == 0 || at.UnixNano() < since {
			since = at.UnixNano()
		}
	}
	// What was read in the future was read before the clock was set back.
	if a, ok = decodeAnswer(value); !ok || a.read < since || a.read <= touched || a.read > time.Now().UnixNano() {
		return a, false
	}
	switch {
	case ch == nil:
	case ch.pages > 0:
		if !ch.stored || a.chain != ch.id {
			return a, false
		}
	default:
		if a.chain != a.read || (ch.offset || a.token != "") && !l.whole(key, a.chain) {
			return a, false
		}
	}
	if ch != nil {
		if ch.pages == 0 {
			ch.id, ch.stored, ch.first = a.chain, true, key
		}
		ch.pages++
	}
	return a, true
}

// wholeKey is under what the end of a list is noted, by the key of its first page.
func wholeKey(first string) string { return first + "\x00whole" }

// whole says whether all pages of a list were stored by the same reading.
func (l *lister) whole(first string, chain int64) bool {
	value, ok := l.c.store.Get(wholeKey(first))
	if !ok {
		return false
	}
	id, n := binary.Varint(value)
	return n > 0 && id == chain
}

// keepAnswer stores what Azure DevOps said.
func (l *lister) keepAnswer(key string, ch *chain, asked time.Time, p *page, err error) {
	a := stored{read: asked.UnixNano()}
	a.chain = a.read
	if ch != nil {
		if ch.pages == 0 {
			ch.first, ch.id = key, a.read
		}
		ch.pages++
		a.chain = ch.id
	}
	switch e, is := errors.AsType[*rest.Error](err); {
	case err == nil:
		a.status, a.token, a.body = p.Status, p.Token, p.Body
	case is && (e.StatusCode == http.StatusBadRequest && e.Unwrap() == nil || errors.Is(err, ErrNotFound)):
		a.status, a.refused = e.StatusCode, e
	default:
		return
	}
	l.c.store.Put(key, a.head(), a.body)
}

func (l *lister) answerKey(rq *request) string {
	return strings.Join([]string{"answer", l.c.reader, rq.Method, string(rq.Host), rq.Version, rq.URL(""), string(rq.Body)}, "\x00")
}

// touches remembers what live events have touched, so that answers from before are
// not used.
type touches struct {
	mu   sync.Mutex
	last int64            // when the latest answer was asked for
	seen map[string]int64 // what was noted, and when
}

// reads notes that an answer is asked for.
func (t *touches) reads(at int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = max(t.last, at)
}

// needs says whether a touch has to be noted: answers were asked for since it last was.
func (t *touches) needs(key string, at int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before, ok := t.seen[key]; ok && before > t.last {
		return false
	}
	if t.seen == nil || len(t.seen) > maxTouches {
		t.seen = map[string]int64{}
	}
	t.seen[key] = at
	return true
}

const maxTouches = 50_000

// Touch notes that parts are not any more what was stored of them. It comes before
// they are listed again: whoever is killed in between must not trust the store.
func (c *Client) Touch(changes []Change) {
	if c.store == nil {
		return
	}
	now := time.Now().UnixNano()
	value := binary.AppendVarint(nil, now)
	noted := false
	for i := range changes {
		for _, key := range c.touchKeys(changes[i].Kind, changes[i].Scope) {
			if !c.touches.needs(key, now) {
				continue
			}
			if noted = true; !c.store.Put(key, value) {
				c.store.Clear() // nothing can be trusted without it
				return
			}
		}
	}
	if noted {
		c.store.Sync() // before anything is written to Port
	}
}

// touchKeys are under what a change is noted: for lists of the kind that are of the
// whole organization or project, for what is read of its repository, and for lists
// that other kinds use too.
func (c *Client) touchKeys(kind string, s Scope) []string {
	if s.Project == "" { // an event that has only the name of the project
		return []string{c.touchKey(kind, "", ""), c.touchKey(kind, "*", "")}
	}
	keys := []string{c.touchKey(kind, "", ""), c.touchKey(kind, s.Project, ""), c.touchKey("", s.Project, "")}
	if s.Repository == "" {
		return append(keys, c.touchKey(kind, s.Project, "*"))
	}
	return append(keys, c.touchKey("", s.Project, s.Repository))
}

func (c *Client) touchKey(kind, project, repository string) string {
	return strings.Join([]string{"touched", c.reader, kind, strings.ToLower(project), strings.ToLower(repository)}, "\x00")
}

// touched is when a live event was last about what a request asks for; 0 for never.
func (l *lister) touched(rq *request) (at int64) {
	repository := repositoryOf(rq)
	if rq.Project == "" && strings.HasPrefix(rq.Route, routeProjects) {
		return 0 // no event tells of projects
	}
	var keys []string
	switch {
	case rq.Project == "":
		keys = []string{l.c.touchKey(l.kind, "", "")}
	case repository != "":
		keys = []string{l.c.touchKey(l.kind, rq.Project, "*"), l.c.touchKey(l.kind, "*", ""), l.c.touchKey("", rq.Project, repository)}
	case rq.Shared || rq.Route == routeRepositories:
		keys = []string{l.c.touchKey("", rq.Project, "")}
	default:
		keys = []string{l.c.touchKey(l.kind, rq.Project, ""), l.c.touchKey(l.kind, "*", "")}
	}
	for _, key := range keys {
		value, ok := l.c.store.Get(key)
		if !ok {
			continue
		}
		t, n := binary.Varint(value)
		if n <= 0 {
			return math.MaxInt64
		}
		at = max(at, t)
	}
	return at
}

// repositoryOf is the repository in the path of a request.
func repositoryOf(rq *request) string {
	arg := 0
	for route := rq.Route; ; arg++ {
		_, rest, found := strings.Cut(route, "{")
		if !found {
			return ""
		}
		name, after, _ := strings.Cut(rest, "}")
		if name == "repositoryId" && arg < len(rq.Args) {
			return rq.Args[arg]
		}
		route = after
	}
}

// Stored says when the resync began whose answers the store has of listings, by
// [Listing.StoredAs].
func (c *Client) Stored() map[string]time.Time {
	if c.store == nil {
		return nil
	}
	value, _ := c.store.Get(c.storedKey())
	var out map[string]time.Time
	if json.Unmarshal(value, &out) != nil {
		return nil
	}
	return out
}

// SetStored notes what Stored returns.
func (c *Client) SetStored(listings map[string]time.Time) {
	if c.store == nil {
		return
	}
	if value, err := json.Marshal(listings); err == nil {
		c.store.Put(c.storedKey(), value)
	}
}

func (c *Client) storedKey() string { return "stored\x00" + c.reader }

// StoredAs names a listing with the files of its records.
func (l *Listing) StoredAs(files []string) string {
	return strings.Join(append([]string{l.Key}, slices.Sorted(slices.Values(files))...), "\x00")
}
