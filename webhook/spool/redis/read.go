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
	pause     = 200 * time.Millisecond // after an error
)

// reads puts what waits in the partitions of this process in line.
func (s *Spool) reads(ctx context.Context) {
	for ctx.Err() == nil {
		list := s.owned()
		if len(list) == 0 {
			s.idle(ctx, readWait)
			continue
		}
		streams := make([]string, 0, 2*len(list))
		byName := map[string]*part{}
		for _, p := range list {
			streams = append(streams, s.stream(p.n))
			byName[s.stream(p.n)] = p
		}
		for _, p := range list {
			streams = append(streams, streamID(p.read))
		}
		answer, err := s.group.Redis().XRead(ctx, &goredis.XReadArgs{Streams: streams, Count: readCount, Block: readWait}).Result()
		switch {
		case errors.Is(err, goredis.Nil):
			s.works()
			continue
		case err != nil:
			if ctx.Err() == nil {
				s.fail(ctx, err)
			}
			s.idle(ctx, pause)
			continue
		}
		s.works()
		for i := range answer {
			s.enter(ctx, byName[answer[i].Stream], answer[i].Messages)
		}
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

// enter puts messages of a partition in line, unless it is somebody else's by now.
func (s *Spool) enter(ctx context.Context, p *part, list []goredis.XMessage) {
	for i := range list {
		id, rec := idOf(list[i].ID), recordOf(&list[i])
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
