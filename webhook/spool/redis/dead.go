package redis

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"github.com/ado-port/ado-port/webhook/spool"
)

// deadPage is how many dead letters are read at once.
const deadPage = 32

// Dead lists the dead letters of all processes, oldest first.
func (s *Spool) Dead() iter.Seq2[spool.DeadLetter, error] {
	return func(yield func(spool.DeadLetter, error) bool) {
		if err := s.group.Failing(); err != nil {
			yield(spool.DeadLetter{}, err) // to ask would only take longer to say so
			return
		}
		for from := uint64(0); ; {
			ids, texts, err := s.deadFrom(from)
			if err != nil {
				yield(spool.DeadLetter{}, err)
				return
			}
			for i, id := range ids {
				if from = id + 1; texts[i] != "" && !yield(spool.ReadDead(id, []byte(texts[i])), nil) {
					return
				}
			}
			if len(ids) < deadPage {
				return
			}
		}
	}
}

// deadFrom reads some dead letters; the text of one that has gone meanwhile is empty. Each
// call has its time: whoever lists them may be slow.
func (s *Spool) deadFrom(from uint64) (ids []uint64, texts []string, err error) {
	ctx, cancel := context.WithTimeout(s.asks, storeWait)
	defer cancel()
	r, p := s.group.Redis(), s.group.Prefix()
	names, err := r.ZRangeArgs(ctx, goredis.ZRangeArgs{Key: p + "dead:order", ByScore: true, Start: from, Stop: "+inf", Count: deadPage}).Result()
	if err != nil || len(names) == 0 {
		return nil, nil, err
	}
	values, err := r.HMGet(ctx, p+"dead", names...).Result()
	if err != nil {
		return nil, nil, err
	}
	for i, name := range names {
		id, _ := strconv.ParseUint(name, 10, 64) // ours
		text, _ := values[i].(string)
		ids, texts = append(ids, id), append(texts, text)
	}
	return ids, texts, nil
}

// Redrive has dead letters wait again, as that of the local spool does.
func (s *Spool) Redrive(ctx context.Context, ids ...uint64) (total int, err error) {
	if err := s.group.Failing(); err != nil {
		return 0, err
	}
	all := len(ids) == 0
	if all {
		for l, err := range s.Dead() { //nolint:contextcheck // it asks in its own time
			if err != nil {
				return 0, fmt.Errorf("reading dead letters: %w", err)
			}
			ids = append(ids, l.ID)
		}
	}
	for _, id := range ids {
		done, err := s.redrive(ctx, id)
		if err != nil {
			return total, fmt.Errorf("changing dead letters: %w", err)
		}
		if done {
			total++
		}
	}
	if total == 0 && !all {
		return 0, spool.ErrNotFound
	}
	return total, nil
}

// redrive is Redrive of one; false when there is none, or it is damaged.
func (s *Spool) redrive(ctx context.Context, id uint64) (bool, error) {
	text, err := s.group.Redis().HGet(ctx, s.group.Prefix()+"dead", strconv.FormatUint(id, 10)).Result()
	if errors.Is(err, goredis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d, ok := spool.Revive([]byte(text))
	if !ok {
		return false, nil
	}
	rec, err := spool.Encode(d)
	if err != nil {
		return false, err
	}
	return s.exhume(ctx, id, hash(d.Key)%partitions, rec)
}

// exhume takes a dead letter out; false when there is none. A call whose answer is lost
// is repeated by the client, and finds what it has done.
func (s *Spool) exhume(ctx context.Context, id, part uint64, rec []byte) (bool, error) {
	n, err := exhume.Run(ctx, s.group.Redis(), nil, s.group.Prefix(), id, part, rec, uuid.NewString()).Int()
	return n == 1, err
}

// Drop deletes a dead letter; spool.ErrNotFound when there is none of that id.
func (s *Spool) Drop(ctx context.Context, id uint64) error {
	if err := s.group.Failing(); err != nil {
		return err
	}
	done, err := s.exhume(ctx, id, 0, nil)
	if err != nil {
		return fmt.Errorf("changing dead letters: %w", err)
	}
	if !done {
		return spool.ErrNotFound
	}
	return nil
}
