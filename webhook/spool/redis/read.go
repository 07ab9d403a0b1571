package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/ado-port/ado-port/webhook/spool"
)

const (
	readWait  = 250 * time.Millisecond // for the next delivery; a new partition waits for it
	readCount = 200                    // deliveries of one partition at once
	readBytes = 4 << 20                // of all at once, about
	pause     = 200 * time.Millisecond // after an error
)

// reads puts what waits in the partitions of this process in line.
func (s *Spool) reads(ctx context.Context) {
	r := newRation(0)
	for ctx.Err() == nil {
		list := s.owned()
		if len(list) == 0 {
			s.idle(ctx, readWait)
			continue
		}
		if len(list) != r.of {
			r = newRation(len(list)) // what waits in others may be large
		}
		list, each, wait := r.share(list)
		streams := make([]string, 0, 2*len(list))
		byName := map[string]*part{}
		for _, p := range list {
			streams = append(streams, s.stream(p.n))
			byName[s.stream(p.n)] = p
		}
		for _, p := range list {
			streams = append(streams, streamID(p.read))
		}
		answer, err := s.group.Redis().XRead(ctx, &goredis.XReadArgs{Streams: streams, Count: each, Block: wait}).Result()
		if err != nil && !errors.Is(err, goredis.Nil) {
			if ctx.Err() == nil {
				s.fail(ctx, err)
			}
			s.idle(ctx, pause)
			continue
		}
		s.works()
		size := 0
		for i := range answer {
			size += s.enter(ctx, byName[answer[i].Stream], answer[i].Messages)
		}
		r.saw(size)
	}
}

// A ration is how many deliveries are read at once. Nobody knows how large they are
// before they are there, and after a long outage there may be a gigabyte of them: there
// are few at first, and more while they take little room.
type ration struct {
	of   int // partitions
	n    int // deliveries of all of them
	turn int // of the partitions, while not all of them have a share
}

func newRation(of int) *ration { return &ration{of: of, n: of} }

// share says which partitions are read next, how many deliveries of each, and how long
// to wait for one: not at all where other partitions may have some.
func (r *ration) share(list []*part) (next []*part, each int64, wait time.Duration) {
	if r.n >= len(list) {
		return list, int64(min(r.n/len(list), readCount)), readWait
	}
	for range r.n {
		next = append(next, list[r.turn%len(list)])
		r.turn++
	}
	return next, 1, -1
}

// saw learns from the size of what came.
func (r *ration) saw(size int) {
	switch {
	case size > readBytes:
		r.n = max(1, r.n/2)
	case size == 0 && r.n >= r.of: // nothing waits, which says nothing of what comes
	case size <= readBytes/2:
		r.n = min(2*r.n, partitions*readCount)
	}
}

// idle waits for partitions.
func (s *Spool) idle(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.changed:
	case <-ctx.Done():
	}
}

// enter puts messages of a partition in line, unless it is somebody else's by now. It
// returns the size of their records.
func (s *Spool) enter(ctx context.Context, p *part, list []goredis.XMessage) (size int) {
	for i := range list {
		id, rec := idOf(list[i].ID), recordOf(&list[i])
		size += len(rec)
		e, err := spool.ReadEntry(id, rec)
		s.mu.Lock()
		if s.parts[p.n] != p || p.leaving || id <= p.read {
			s.mu.Unlock()
			continue
		}
		p.read = id
		if err == nil {
			if s.cached+len(rec) <= cacheBytes {
				p.cache[id], s.cached = rec, s.cached+len(rec)
			}
			s.line.Add(hash(e.Key), e)
		}
		s.mu.Unlock()
		if err != nil {
			s.cfg.Log.ErrorContext(ctx, "a damaged delivery becomes a dead letter", "err", err)
			s.bury(p, id, len(rec), err)
		}
	}
	return size
}

// uncache forgets records.
func (s *Spool) uncache(p *part, list []item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		s.cached -= len(p.cache[list[i].id])
		delete(p.cache, list[i].id)
	}
}

func (s *Spool) stream(n int) string { return s.group.Prefix() + "part:" + strconv.Itoa(n) }

func streamID(id uint64) string { return strconv.FormatUint(id, 10) + "-0" }

func idOf(text string) uint64 {
	text, _, _ = strings.Cut(text, "-")
	id, _ := strconv.ParseUint(text, 10, 64) // ours
	return id
}

func recordOf(m *goredis.XMessage) []byte {
	text, _ := m.Values["r"].(string)
	return []byte(text)
}
