package replica

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Family is seats that members divide evenly. Its functions are called one at a
// time, and must not wait.
type Family struct {
	Name  string
	Count int
	// Life is how long after its last sign of life a member is dead for this family;
	// at most, and by default, [lifetime]. Short where others shall go on soon, long
	// where it costs much to begin again.
	Life time.Duration
	// Gained says that a seat is this process's.
	Gained func(seat int, t *Term)
	// Lost says that it is not any more.
	Lost func(seat int)
	// Yield asks for a seat to be given back with Release when nothing is under way.
	Yield func(seat int)
}

type family struct {
	Family
	own     map[int]bool
	leaving map[int]bool
}

// divide takes free seats up to a fair share, and gives back what is more.
func (g *Group) divide(ctx context.Context, t *Term, v *view) error {
	g.mu.Lock()
	families := slices.Clone(g.families)
	g.mu.Unlock()
	for _, f := range families {
		yield, free, most := g.plan(f, v, t.name)
		for _, seat := range yield {
			f.Yield(seat)
		}
		if len(free) == 0 || most == 0 {
			continue
		}
		got, err := claim.Run(ctx, g.redis, nil, append([]any{g.prefix, t.name, most, (lifetime - f.Life).Milliseconds()}, free...)...).StringSlice()
		if err != nil {
			return err
		}
		for _, name := range got {
			seat, _ := strconv.Atoi(name[strings.LastIndexByte(name, ':')+1:])
			g.mu.Lock()
			f.own[seat] = true
			g.mu.Unlock()
			f.Gained(seat, t)
		}
	}
	return nil
}

// plan says which seats of a family are to be given back, and which to be taken, most
// at most.
func (g *Group) plan(f *family, v *view, me string) (yield []int, free []any, most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	alive := v.alive(f.Life)
	share := (f.Count + alive - 1) / max(1, alive)
	most = share - len(f.own) + len(f.leaving)
	for seat := range f.own {
		if most < 0 && !f.leaving[seat] {
			f.leaving[seat] = true
			yield = append(yield, seat)
			most++
		}
	}
	for seat := range f.Count {
		owner := v.owners[f.seat(seat)]
		// One that is this member's, and it does not know: the answer to its claim was lost.
		if !f.own[seat] && (owner == me || v.members[owner] <= lifetime-f.Life) {
			free = append(free, f.seat(seat))
		}
	}
	return yield, free, max(0, most)
}

func (f *family) seat(n int) string { return f.Name + ":" + strconv.Itoa(n) }

// Seat is the name of a seat in Redis, where scripts find its owner.
func Seat(family string, seat int) string { return family + ":" + strconv.Itoa(seat) }

// Release gives a seat back that Yield has asked for. An error is worth another try.
func (g *Group) Release(ctx context.Context, family string, seat int, t *Term) error {
	if err := release.Run(ctx, g.redis, nil, g.prefix, t.name, Seat(family, seat)).Err(); err != nil {
		return fmt.Errorf("giving %s %d back: %w", family, seat, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.families {
		if f.Name == family && g.term == t {
			delete(f.own, seat)
			delete(f.leaving, seat)
		}
	}
	return nil
}

// expire gives up the seats that others may have by now. It reports whether there were
// any.
func (g *Group) expire(t *Term) bool {
	return g.loseThose(func(f *family, _ int) bool { return t.check(f.Life) != nil })
}

// lose gives up all seats without asking anybody, and the name.
func (g *Group) lose() {
	g.mu.Lock()
	if g.term != nil {
		g.term.stop()
		g.term = nil
	}
	g.mu.Unlock()
	g.loseThose(func(*family, int) bool { return true })
}

// loseThose gives up some seats without asking anybody. It reports whether there were
// any.
func (g *Group) loseThose(which func(f *family, seat int) bool) bool {
	type lost struct {
		f    *family
		seat int
	}
	var all []lost
	g.mu.Lock()
	for _, f := range g.families {
		for seat := range f.own {
			if which(f, seat) {
				all = append(all, lost{f, seat})
				delete(f.own, seat)
				delete(f.leaving, seat)
			}
		}
	}
	g.mu.Unlock()
	for _, l := range all {
		l.f.Lost(l.seat)
	}
	return len(all) > 0
}
