package origins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ado-port/ado-port/azuredevops/statefile"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/replica"
)

// A shared book is one that several processes write. What a live event has found goes
// into a log that all of them read in one order, before anything is written to Port;
// the file of a resync, or of a learning pass, goes to the others through the log, too.
// Each process holds all of it as a book of its own, and reads the log to its end
// before it asks what is gone: so it knows of every entity that any process had begun
// to write when this one had finished listing. What it cannot read it does not know,
// and then nothing is deleted.

// OpenOrShare is Open for a process that is alone, and Share for one of several.
func OpenOrShare(dir string, group *replica.Group, log *slog.Logger) *Book {
	if group == nil {
		return Open(dir, log)
	}
	return Share(dir, group.Log("origins"), log)
}

// Share makes a book of several processes. What lies in the directory is only taken
// over where no other process has ever been: later it may be older than it looks.
func Share(dir string, shared *replica.Log, log *slog.Logger) *Book {
	b := &Book{dir: dir, log: log, live: map[catalog.Key]change{}, found: map[uint64][]catalog.Key{}, shared: shared}
	if dir == "" {
		log.Error("no state directory can be used: live events delete nothing in this process")
		return b
	}
	b.own = !wasShared(dir)
	return b
}

// mark is a file that says that what lies beside it may be older than it looks.
func mark(dir string) string { return filepath.Join(dir, "origins-shared") }

func wasShared(dir string) bool {
	_, err := os.Stat(mark(dir))
	return !errors.Is(err, os.ErrNotExist)
}

// errShared is a book that several processes shared: what live events have found since its
// file was made is not here.
var errShared = errors.New("the book of origins was shared with other processes")

// begin notes that this process is one of several.
func (b *Book) begin() error {
	b.synced = true
	if b.dir == "" {
		return nil
	}
	return os.WriteFile(mark(b.dir), nil, 0o600)
}

// Sync reads what other processes have found until now. A book of one process has
// nothing to read. Callers that come while one reads share the next reading: what they
// have to know was told before they came.
func (b *Book) Sync(ctx context.Context) error {
	if b.shared == nil {
		return nil
	}
	b.reading.mu.Lock()
	f := b.reading.next
	if f == nil {
		f = &reading{done: make(chan struct{})}
		b.reading.next = f
	}
	if !b.reading.running {
		b.reading.running = true
		go b.readings(context.WithoutCancel(ctx))
	}
	b.reading.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A reading is one that several wait for.
type reading struct {
	done chan struct{}
	err  error
}

// readings reads until nobody waits.
func (b *Book) readings(ctx context.Context) {
	for {
		b.reading.mu.Lock()
		f := b.reading.next
		b.reading.next = nil
		b.reading.running = f != nil
		b.reading.mu.Unlock()
		if f == nil {
			return
		}
		f.err = b.syncNow(ctx)
		close(f.done)
	}
}

// syncWait bounds a reading, which may have to take over a large file.
const syncWait = time.Minute

func (b *Book) syncNow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, syncWait)
	defer cancel()
	b.logMu.Lock()
	defer b.logMu.Unlock()
	return b.sync(ctx)
}

// sync reads the log to its end, also behind a file that is damaged, which is an error
// until there is another one. The caller holds logMu.
func (b *Book) sync(ctx context.Context) error {
	if b.fresh() {
		if err := b.take(ctx); err != nil {
			return fmt.Errorf("book of origins: %w", err)
		}
	}
	for {
		list, err := b.shared.Read(ctx, b.at)
		if errors.Is(err, replica.ErrLostData) {
			b.forget()
		}
		if err != nil {
			return fmt.Errorf("book of origins: %w", err)
		}
		for i := range list {
			if err := b.apply(ctx, &list[i]); err != nil {
				return fmt.Errorf("book of origins: %w", err)
			}
		}
		if len(list) < replica.LogPage {
			if !b.synced {
				if err := b.begin(); err != nil {
					return err
				}
			}
			return b.broken
		}
	}
}

// tell is Note for several processes: what is found is read again like that of others,
// in the order of all. What is known already is told again, because another process may
// have said otherwise by now.
func (b *Book) tell(ctx context.Context, made, gone []Origin) error {
	var out []byte
	for i, list := range [][]Origin{made, gone} {
		for _, o := range list {
			l := change{Origin: o, gone: i == 1}
			out = l.appendJournal(out)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return b.shared.Append(ctx, out)
}

// fresh says that nothing has been read yet.
func (b *Book) fresh() bool { return !b.synced && b.at == replica.Position{} }

// forget drops everything: the log has lost its data.
func (b *Book) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closeFile()
	b.name, b.broken, b.synced, b.at = "", nil, false, replica.Position{}
	b.live, b.found = map[catalog.Key]change{}, map[uint64][]catalog.Key{}
}

// apply takes over an entry of the log.
func (b *Book) apply(ctx context.Context, e *replica.Entry) error {
	if e.File != "" {
		if e.File != b.name {
			if err := b.take(ctx); err != nil {
				return err
			}
			if b.name == "" && b.dir != "" && b.broken == nil {
				b.breaks(fmt.Errorf("%w: %s is not named any more", replica.ErrDamaged, e.File))
			}
		}
		b.at = later(b.at, e.At)
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	err := parseChanges(bytes.NewReader(e.Data), func(c change) {
		c.pos = e.At
		b.keep(c)
	})
	b.at = later(b.at, e.At)
	return err
}

func later(a, b replica.Position) replica.Position {
	if b.After(a) {
		return b
	}
	return a
}

// take is fetch, and where the file is damaged nothing is known from then on.
func (b *Book) take(ctx context.Context) error {
	err := b.fetch(ctx)
	if errors.Is(err, replica.ErrDamaged) {
		b.breaks(err)
		return nil
	}
	if err == nil {
		b.broken = nil
	}
	return err
}

// breaks notes that origins are missing until a resync that reads everything has left
// another file. What live events have found stays.
func (b *Book) breaks(why error) {
	b.broken = fmt.Errorf("book of origins: %w; live events wait for the next resync that reads everything", why)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closeFile()
	b.name, b.lost = "", true
}

// fetch takes over the file that counts now, and drops the changes it stands for.
func (b *Book) fetch(ctx context.Context) error {
	if b.dir == "" {
		return nil
	}
	f, err := statefile.Create(filepath.Join(b.dir, fileName))
	if err != nil {
		return err
	}
	s, err := seal(f)
	var name string
	var upTo replica.Position
	if err == nil {
		name, upTo, err = b.shared.File(ctx, s)
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil || name == "" {
		f.Discard()
		return err
	}
	if err := f.Commit(); err != nil {
		return err
	}
	b.dropOld()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(func(c *change) bool { return c.pos.After(upTo) })
	if err := b.openFile(); err != nil {
		b.lost = true
		return err
	}
	b.name, b.at = name, later(b.at, upTo)
	return nil
}

// turnShared is Turn for several processes. Nothing else makes a file meanwhile, which
// would be taken for that of the resync. Where the file before is damaged commit refuses,
// unless everything was read.
func (b *Book) turnShared(ctx context.Context, since time.Time, commit func() error) error {
	b.logMu.Lock()
	defer b.logMu.Unlock()
	if err := b.sync(ctx); err != nil && !errors.Is(err, replica.ErrDamaged) {
		return err
	}
	if err := commit(); err != nil {
		return err
	}
	return b.publish(ctx, since)
}

// publish gives the file that has just been made current to all processes. Changes
// since then stay. The caller holds logMu, and has read the log before the file was made.
func (b *Book) publish(ctx context.Context, since time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	upTo := b.at
	for _, c := range b.live {
		if !c.at.Before(since) && upTo.After(c.pos.Before()) {
			upTo = c.pos.Before()
		}
	}
	f, err := os.Open(filepath.Join(b.dir, fileName))
	if err != nil {
		return err
	}
	defer f.Close()
	t, err := textOf(f)
	if err != nil {
		return err
	}
	name, err := b.shared.Publish(ctx, t, upTo) // the text, which processes of earlier versions read, too
	if err != nil {
		return err
	}
	b.dropOld()
	b.turn(func(c *change) bool { return c.pos.After(upTo) })
	b.name, b.broken = name, nil
	if err := b.openFile(); err != nil {
		b.lost = true
		return err
	}
	return nil
}

// Prepare makes the book of a process ready that begins to lead: it reads what others
// have found, and gives them what it has from a time when it was alone, if they have
// nothing. A book of one process is ready.
func (b *Book) Prepare(ctx context.Context) {
	if b == nil || b.shared == nil {
		return
	}
	b.logMu.Lock()
	defer b.logMu.Unlock()
	err := b.sync(ctx)
	if err == nil && !b.Known() && b.own {
		err = b.offer(ctx)
	}
	if err != nil {
		b.log.WarnContext(ctx, "what other processes found is not known yet", "err", err)
	}
}

func (b *Book) offer(ctx context.Context) error {
	b.own = false
	b.mu.Lock()
	err := b.load()
	known := b.file != nil
	b.mu.Unlock()
	if err != nil || !known {
		return err
	}
	return b.merge(ctx)
}

const (
	shrinkEvery = time.Minute
	// shrinkAt is how many entries the log may have beside the file.
	shrinkAt = 20_000
)

// Tend keeps the log of several processes short until ctx is done: one that never
// resyncs would have ever more changes. It is for the one that leads.
func (b *Book) Tend(ctx context.Context) {
	if b == nil || b.shared == nil {
		return
	}
	tick := time.NewTicker(shrinkEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := b.shrink(ctx, shrinkAt); err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "what live events change could not be put together", "err", err)
		}
	}
}

// shrink makes one file of the old one and the changes, when there are many.
func (b *Book) shrink(ctx context.Context, most int64) error {
	b.logMu.Lock()
	defer b.logMu.Unlock()
	if err := b.sync(ctx); err != nil || !b.Known() {
		return err
	}
	if n, err := b.shared.Len(ctx); err != nil || n < most {
		return err
	}
	return b.merge(ctx)
}

// merge makes one file of all that is known and publishes it. The caller holds logMu, and
// has read the log.
func (b *Book) merge(ctx context.Context) error {
	w, err := create(b.dir)
	if err != nil {
		return err
	}
	if err := b.all(func(o *Origin) { w.Add(*o) }); err != nil {
		w.Discard()
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	return b.publish(ctx, time.Now())
}

// all visits every origin that is known.
func (b *Book) all(visit func(*Origin)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, err := textOf(b.file)
	if err != nil {
		return err
	}
	err = parse(t, func(o *Origin) {
		if _, changed := b.live[o.Line()]; !changed {
			visit(o)
		}
	})
	for _, c := range b.live {
		if !c.gone {
			visit(&c.Origin)
		}
	}
	return err
}
