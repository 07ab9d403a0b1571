package origins

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/replica"
)

// A Book answers which entities came from a part of Azure DevOps, and from where
// an entity came. It reads the file of origins through an index of 16 bytes per
// origin and level of scope. What live events change is held in memory and in a
// journal beside the file, until the next resync. Safe for concurrent use.
type Book struct {
	dir string // empty: live changes are held in memory only
	log *slog.Logger

	mu      sync.Mutex
	file    *os.File // nil: no resync has ended yet, or what it left cannot be used
	text    *text    // of file
	last    cached   // block of text
	index   []entry
	lost    bool                     // what is remembered cannot be used, so that origins are missing
	journal *journal                 // nil: nobody would read it
	live    map[catalog.Key]change   // by line
	found   map[uint64][]catalog.Key // lines of live by their hashes

	// Of a book of several processes. Who holds logMu reads the log; it is taken before mu.
	shared  *replica.Log // nil: it is one process's
	logMu   sync.Mutex
	reading struct {
		mu      sync.Mutex
		next    *reading // that somebody waits for
		running bool
	}
	at     replica.Position
	name   string // of the file, in the log
	broken error  // why what others found before a place of the log cannot be known: their file is damaged
	synced bool   // the log has been read to its end once
	own    bool   // what lies in dir is from a time when this process was alone
}

// An entry leads from a part, or an entity, to an origin in the file.
type entry struct {
	hash   uint64
	offset int64 // in the text
}

// A change is an origin that an event has made or ended.
type change struct {
	Origin
	gone bool
	at   time.Time
	pos  replica.Position // in the log of several processes
}

// errLost says that origins may be missing from what is known.
var errLost = errors.New("the book of origins is not known completely")

// Open reads what is remembered; the log hears of what cannot be.
func Open(dir string, log *slog.Logger) *Book {
	b := &Book{dir: dir, log: log, live: map[catalog.Key]change{}, found: map[uint64][]catalog.Key{}}
	if dir == "" {
		return b
	}
	err := b.load()
	if err == nil {
		err = b.rewriteJournal(b.number())
	}
	if err != nil {
		log.Warn("the memory of origins cannot be used: live events delete nothing before a resync has read everything; "+
			"where something can never be read, remove the files origins* of the state directory", "directory", dir, "err", err)
	}
	return b
}

// load reads the file and the journal. When one of them is damaged, or they do not belong
// together, neither is used, and both stay as they are until a resync has made a new
// file: what is missing may be what keeps an entity.
func (b *Book) load() error {
	on, err := readJournal(b.dir, b.keep)
	if err == nil && b.shared == nil && wasShared(b.dir) {
		err = errShared
	}
	if err != nil {
		err = fmt.Errorf("what live events changed is not remembered completely: %w", err)
	}
	err = errors.Join(err, b.openFile())
	if err == nil && !on.fits(b.number()) {
		err = errOther
	}
	if b.lost = err != nil; b.lost {
		b.closeFile()
	} else if on.torn {
		b.log.Info("half a note at the end of the journal of origins is cut off", "file", filepath.Join(b.dir, journalFile))
	}
	return err
}

// Turn takes over the file that commit makes current, which is a resync's. Of what live
// events have changed only what happened since the resync began stays.
func (b *Book) Turn(ctx context.Context, since time.Time, commit func() error) error {
	if b.shared != nil {
		return b.turnShared(ctx, since, commit)
	}
	if err := commit(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(func(c *change) bool { return !c.at.Before(since) })
	if b.dir == "" {
		return nil
	}
	// The journal first: the index takes its time, and a process that is killed
	// meanwhile would leave a journal that is not of this file.
	number, err := numberIn(b.dir)
	if err == nil {
		err = b.rewriteJournal(number)
	}
	if err := b.openFile(); err != nil {
		b.lost = true
		return err
	}
	_ = os.Remove(mark(b.dir)) // all of it is known here now
	return err
}

// turn drops the file, and the changes that do not stay.
func (b *Book) turn(stays func(*change) bool) {
	b.closeFile()
	b.lost = false
	old := b.live
	b.live, b.found = map[catalog.Key]change{}, map[uint64][]catalog.Key{}
	for _, o := range old {
		if stays(&o) {
			b.keep(o)
		}
	}
}

func (b *Book) closeFile() {
	if b.file != nil {
		_ = b.file.Close()
	}
	b.file, b.text, b.index, b.last = nil, nil, nil, cached{}
}

// number is that of the file.
func (b *Book) number() uint64 {
	if b.text == nil {
		return 0
	}
	return b.text.file
}

func (b *Book) openFile() error {
	f, err := os.Open(filepath.Join(b.dir, fileName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var index []entry
	t, err := textOf(f)
	if err == nil {
		err = parseAt(t, func(o *Origin, offset int64) {
			for _, h := range o.hashes() {
				index = append(index, entry{h, offset})
			}
		})
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	slices.SortFunc(index, func(x, y entry) int {
		return cmp.Or(cmp.Compare(x.hash, y.hash), cmp.Compare(x.offset, y.offset))
	})
	b.file, b.text, b.index = f, t, slices.Clip(index)
	return nil
}

// Known says whether a resync has left its origins.
func (b *Book) Known() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.file != nil
}

// keep holds a change, in place of an earlier one of the same origin.
func (b *Book) keep(o change) {
	line := o.Line()
	if _, again := b.live[line]; !again {
		for _, h := range o.hashes() {
			b.found[h] = append(b.found[h], line)
		}
	}
	b.live[line] = o
}

// Note records what a live event has found: origins that make entities now, and
// origins that do not any more. An error says that other processes do not know of it:
// then nothing may be written.
func (b *Book) Note(ctx context.Context, made, gone []Origin) error {
	if b.shared != nil {
		return b.tell(ctx, made, gone)
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	var changes []change
	for i, list := range [][]Origin{made, gone} {
		for _, o := range list {
			l := change{Origin: o, gone: i == 1, at: now}
			known, ok := b.live[o.Line()]
			if ok && known.gone == l.gone {
				known.at = now // the journal has it
				b.live[o.Line()] = known
				continue
			}
			changes = append(changes, l)
		}
	}
	for _, c := range changes {
		b.keep(c)
	}
	if b.journal == nil || len(changes) == 0 {
		return nil
	}
	if err := b.journal.add(slices.Values(changes)); err != nil {
		b.log.WarnContext(ctx, "what live events change is not remembered beyond this process", "err", err)
		b.spoilJournal()
	}
	return nil
}

// hashes are those under which an origin is found: its entity, and its project,
// repository and record.
func (o *Origin) hashes() []uint64 {
	out := []uint64{short(o.Entity())}
	s := o.Scope
	for _, part := range []azuredevops.Scope{
		{Organization: s.Organization},
		{Organization: s.Organization, Project: s.Project},
		{Organization: s.Organization, Project: s.Project, Repository: s.Repository},
		{Organization: s.Organization, Project: s.Project, Repository: s.Repository, ID: s.ID},
		{Organization: s.Organization, Project: s.Project, ID: s.ID},
	} {
		if h := partHash(o.Kind, part); !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

func partHash(kind string, s azuredevops.Scope) uint64 {
	return short(catalog.KeyOf(kind, s.Organization, s.Project, s.Repository, s.ID))
}

func short(k catalog.Key) uint64 {
	var h uint64
	for _, c := range k[:8] {
		h = h<<8 | uint64(c)
	}
	return h
}

// Of returns the origins of a kind inside a scope.
func (b *Book) Of(kind string, scope azuredevops.Scope) ([]Origin, error) {
	return b.find(partHash(kind, scope), func(o *Origin) bool { return o.Kind == kind && Covers(scope, o.Scope) })
}

// Has says whether something of a kind was found inside a scope, by the last
// resync or an event since. It reads no file.
func (b *Book) Has(kind string, scope azuredevops.Scope) bool {
	hash := partHash(kind, scope)
	b.mu.Lock()
	defer b.mu.Unlock()
	_, found := slices.BinarySearchFunc(b.index, hash, func(e entry, h uint64) int { return cmp.Compare(e.hash, h) })
	return found || len(b.found[hash]) > 0
}

// OfEntity returns the origins of an entity: an error where some may be missing, as
// before the first resync has ended.
func (b *Book) OfEntity(k catalog.Key) ([]Origin, error) {
	b.mu.Lock()
	lost := b.lost || b.file == nil
	b.mu.Unlock()
	if lost {
		return nil, errLost
	}
	return b.find(short(k), func(o *Origin) bool { return o.Entity() == k })
}

func (b *Book) find(hash uint64, fits func(*Origin) bool) ([]Origin, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Origin
	i, _ := slices.BinarySearchFunc(b.index, hash, func(e entry, h uint64) int { return cmp.Compare(e.hash, h) })
	for ; i < len(b.index) && b.index[i].hash == hash; i++ {
		o, err := b.readAt(b.index[i].offset)
		if err != nil {
			return nil, err
		}
		if _, changed := b.live[o.Line()]; !changed && fits(o) {
			out = append(out, *o)
		}
	}
	for _, line := range b.found[hash] {
		if o := b.live[line]; !o.gone && fits(&o.Origin) {
			out = append(out, o.Origin)
		}
	}
	return out, nil
}

// readAt reads the origin at a place of the text.
func (b *Book) readAt(offset int64) (*Origin, error) {
	r, err := b.text.from(offset, &b.last)
	if err != nil {
		return nil, fmt.Errorf("origins: %w", err)
	}
	o, err := read(bufio.NewReaderSize(r, 512), &lastKey{})
	if err != nil {
		return nil, fmt.Errorf("origins: damaged: %w", err)
	}
	return o, nil
}
