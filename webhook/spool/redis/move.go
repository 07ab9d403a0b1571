package redis

import (
	"context"
	"errors"
	"time"

	"github.com/ado-port/ado-port/webhook/spool"
)

const (
	moveWait   = 10 * time.Second // the longest pause after something has failed
	moveReport = 10 * time.Second // between two lines about how far it is
)

// A move brings what waits in a directory, from a time when its process was alone, into
// Redis. Something is deleted there when Redis has it, so what a killed process had in
// hand is sent again by the next one. For half an hour it is recognized, by the event's
// id, as a resend of Azure DevOps would be, or by its text; later it is handled once
// more, which changes nothing.
//
// Deliveries that come meanwhile are stored as ever, and may overtake what is moved.
// Handling lists things again as they are, so that leads to the same.
type move struct {
	into *Spool
	from leftovers

	deliveries, letters, known int // that were moved; known: of both, were in Redis already
	left                       spool.Left
	begun                      bool
	reported                   time.Time
	wait                       time.Duration
	said                       string
}

// leftovers are what a [spool.Held] has.
type leftovers interface {
	Open(ctx context.Context) (waiting, dead int, err error)
	Next() ([]spool.Leftover, error)
	Delete(list []spool.Leftover) error
	Close()
}

// run moves everything, or as much as it can until ctx is done.
func (m *move) run(ctx context.Context) {
	defer m.from.Close()
	for {
		if err := m.all(ctx); err == nil || !m.again(ctx, err) {
			return
		}
	}
}

// all opens the file and moves what is in it. The error is that of the file, which has to
// be opened again, or ctx's.
func (m *move) all(ctx context.Context) error {
	deliveries, letters, err := m.from.Open(ctx)
	if err != nil {
		return err
	}
	m.leaves(spool.Left{Deliveries: deliveries, DeadLetters: letters})
	if deliveries+letters == 0 {
		return nil
	}
	log := m.into.cfg.Log.With("directory", m.into.cfg.Directory)
	if !m.begun {
		m.begun, m.reported = true, time.Now()
		log.InfoContext(ctx, "deliveries of an earlier process wait in the state directory: they are moved to the shared queue",
			"deliveries", deliveries, "dead_letters", letters)
	}
	for ctx.Err() == nil {
		if m.into.group.Failing() != nil { // also before it was asked for the first time
			m.pause(ctx)
			continue
		}
		page, err := m.from.Next()
		if err != nil {
			return err
		}
		if len(page) == 0 {
			m.leaves(spool.Left{})
			log.InfoContext(ctx, "what waited in the state directory was moved to the shared queue",
				"deliveries", m.deliveries, "dead_letters", m.letters, "known", m.known)
			return nil
		}
		err = m.some(ctx, page)
		if errors.Is(err, spool.ErrDamaged) {
			return err
		}
		if err != nil {
			m.again(ctx, err)
		}
		if time.Since(m.reported) >= moveReport {
			m.reported = time.Now()
			log.InfoContext(ctx, "deliveries are being moved to the shared queue", "moved", m.deliveries+m.letters+m.known,
				"left_deliveries", m.left.Deliveries, "left_dead_letters", m.left.DeadLetters)
		}
	}
	return context.Cause(ctx)
}

// some moves the first of a page, as far as there is room. It ends between two steps
// only: what Redis has is deleted here, too.
func (m *move) some(ctx context.Context, page []spool.Leftover) error {
	results, err := m.into.adopt(context.WithoutCancel(ctx), page)
	if err != nil {
		return err
	}
	n := 0
	for n < len(page) && results[n] != 0 {
		n++
	}
	if n < len(page) {
		err = spool.ErrFull
	}
	for {
		gone := m.from.Delete(page[:n])
		if gone == nil {
			break
		}
		// To send it again instead would have it handled again every half an hour while
		// the disk is full.
		if errors.Is(gone, spool.ErrDamaged) || !m.again(ctx, gone) {
			return gone
		}
	}
	left := m.left
	for i := range n {
		switch {
		case results[i] == 2:
			m.known++
		case page[i].Dead:
			m.letters++
		default:
			m.deliveries++
		}
		if page[i].Buried() {
			left.DeadLetters--
		} else {
			left.Deliveries--
		}
	}
	m.leaves(left)
	if n > 0 {
		m.wait = 0
	}
	return err
}

// leaves tells what is left, for those who look.
func (m *move) leaves(left spool.Left) {
	m.left = left
	m.into.mu.Lock()
	defer m.into.mu.Unlock()
	m.into.left = left
}

// again waits before another try; false at the end of ctx. Why is logged once.
func (m *move) again(ctx context.Context, why error) bool {
	if text := why.Error(); text != m.said && ctx.Err() == nil {
		m.said = text
		m.into.cfg.Log.WarnContext(ctx, "what waits in the state directory cannot be moved to the shared queue now; it is tried again",
			"directory", m.into.cfg.Directory, "deliveries", m.left.Deliveries, "dead_letters", m.left.DeadLetters, "err", why)
	}
	return m.pause(ctx)
}

// pause waits, longer each time until something was moved; false at the end of ctx.
func (m *move) pause(ctx context.Context) bool {
	m.wait = min(max(pause, 2*m.wait), moveWait)
	timer := time.NewTimer(m.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// adopt stores deliveries, or dead letters, of another spool in their order. The answer is
// for each what the scripts say; nothing is stored behind one that has no room.
func (s *Spool) adopt(ctx context.Context, page []spool.Leftover) ([]int64, error) {
	if page[0].Dead {
		args := []any{s.group.Prefix(), s.cfg.MaxBytes, spool.MaxDead, s.cfg.MaxBytes / 4, spool.RememberID.Milliseconds()}
		for i := range page {
			args = append(args, page[i].Same, page[i].Text)
		}
		return s.run(ctx, inter, args, len(page))
	}
	puts := make([]*put, len(page))
	for i := range page {
		l := &page[i]
		puts[i] = &put{part: int(hash(l.Key) % partitions), record: l.Text, stranger: l.Stranger, same: spool.Same{ID: l.Same}}
	}
	return s.send(ctx, puts, true)
}
