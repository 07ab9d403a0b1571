package azuredevopstest

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A World is the content of one organization. Its exported fields, and those of
// everything below it, may be set freely before a [Server] serves it; after
// that inside [World.Edit], or by the methods that change it, which also
// announce the change. The methods are safe for concurrent use.
//
// A World is served by one Server.
type World struct {
	// Organization is the name in the URL.
	Organization string
	// Seed decides every identifier and the choices of [World.Step].
	Seed uint64
	// Now is the clock; nil is time.Now.
	Now func() time.Time

	People   []*Person
	Groups   []*Group
	Projects []*Project

	mu     sync.RWMutex
	base   string // scheme and host of all links
	serial map[string]int
	rng    *rand.Rand
	silent bool // no events, while the world is made

	subMu sync.Mutex
	subs  map[int]func(Event)
	subID int
}

// A Person is a user of the organization.
type Person struct {
	ID   string
	Name string
	Mail string

	world *World
}

// NewWorld returns an empty organization with seed 1. Its first person does
// everything that has no other author; one is added when there is none.
func NewWorld(organization string) *World {
	return &World{Organization: organization, Seed: 1, base: cloudURL, serial: map[string]int{}, subs: map[int]func(Event){}}
}

// cloudURL is the base of all links until a listener gives another.
const cloudURL = "https://dev.azure.com"

// Edit runs f while nobody reads the world: the way to set fields of a world
// that is being served. No event is announced. f must not call methods that
// change the world.
func (w *World) Edit(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// AddPerson adds a user.
func (w *World) AddPerson(name, mail string) *Person {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addPerson(name, mail)
}

func (w *World) addPerson(name, mail string) *Person {
	p := &Person{ID: w.newID("person"), Name: name, Mail: mail, world: w}
	w.People = append(w.People, p)
	return p
}

// someone is the person behind a change that names nobody.
func (w *World) someone() *Person {
	if len(w.People) == 0 {
		return w.addPerson("Jordan Rivers", "jordan.rivers@"+strings.ToLower(w.Organization)+".example")
	}
	return w.People[0]
}

// Project finds a project by id or name, as the service does; nil when there
// is none.
func (w *World) Project(idOrName string) *Project {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.project(idOrName)
}

func (w *World) project(key string) *Project {
	for _, p := range w.Projects {
		if strings.EqualFold(p.ID, key) || strings.EqualFold(p.Name, key) {
			return p
		}
	}
	return nil
}

// Repository finds a repository of any project by id; nil when there is none.
func (w *World) Repository(id string) *Repository {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.repository(nil, id)
}

// repository finds by id, and by name when the project is known.
func (w *World) repository(p *Project, key string) *Repository {
	if p != nil {
		for _, r := range p.Repositories {
			if strings.EqualFold(r.ID, key) || strings.EqualFold(r.Name, key) {
				return r
			}
		}
		return nil
	}
	for _, p := range w.Projects {
		for _, r := range p.Repositories {
			if strings.EqualFold(r.ID, key) {
				return r
			}
		}
	}
	return nil
}

// WorkItem finds a work item of any project; nil when there is none.
func (w *World) WorkItem(id int) *WorkItem {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.workItem(nil, id)
}

func (w *World) now() time.Time {
	now := time.Now
	if w.Now != nil {
		now = w.Now
	}
	return now().UTC().Truncate(time.Millisecond)
}

// next counts the ids that are numbers.
func (w *World) next(kind string) int {
	w.serial[kind]++
	return w.serial[kind]
}

// newID makes the next GUID of a kind; the same world makes the same ones.
func (w *World) newID(kind string) string {
	return w.idOf(kind, w.next("guid "+kind))
}

// idOf derives a GUID from what it belongs to.
func (w *World) idOf(parts ...any) string {
	h := sha1.Sum(fmt.Appendln(nil, append([]any{w.Seed, w.Organization}, parts...)...))
	h[6] = h[6]&0x0f | 0x40
	h[8] = h[8]&0x3f | 0x80
	s := hex.EncodeToString(h[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// orgURL is the address of the organization without a trailing slash.
func (w *World) orgURL() string { return w.base + "/" + url.PathEscape(w.Organization) }

// hostURL is the organization's address on a service host: another host in the
// cloud, the same one everywhere else.
func (w *World) hostURL(host string) string {
	if host != "" && w.base == cloudURL {
		return "https://" + host + ".dev.azure.com/" + url.PathEscape(w.Organization)
	}
	return w.orgURL()
}

// ref is the identity object that REST answers carry.
func (p *Person) ref() object {
	w := p.world
	avatar := w.orgURL() + "/_apis/GraphProfile/MemberAvatars/" + p.Descriptor()
	return object{
		"displayName", p.Name,
		"url", w.hostURL("vssps") + "/_apis/Identities/" + p.ID,
		"_links",
		object{"avatar", link(avatar)},
		"id", p.ID,
		"uniqueName", p.Mail,
		"imageUrl", avatar,
		"descriptor", p.Descriptor(),
	}
}

// Descriptor is the subject descriptor of the graph.
func (p *Person) Descriptor() string { return "aad." + strings.ReplaceAll(p.ID, "-", "") }

// text is the identity as events about work items spell it.
func (p *Person) text() string { return p.Name + " <" + p.Mail + ">" }

// signature is the author of a commit.
func (p *Person) signature(t time.Time) object {
	return object{"name", p.Name, "email", p.Mail, "date", t}
}
