package replica

import (
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
)

// A Table is texts by name that all members read and write.
type Table struct {
	g      *Group
	name   string
	leader bool // only the leader writes
}

// Table is the one of a name, nil for a process that is alone. Of one that is the
// leader's only the leader writes.
func (g *Group) Table(name string, leader bool) *Table {
	if g == nil {
		return nil
	}
	return &Table{g: g, name: name, leader: leader}
}

// write changes a table. Arguments: prefix, seat or nothing, member, table, then names
// and texts; an empty text deletes.
var write = goredis.NewScript(Small + `
local p = ARGV[1]
if ARGV[2] ~= '' and (redis.call('HGET', p..'seats', ARGV[2]) ~= ARGV[3] or redis.call('EXISTS', p..'member:'..ARGV[3]) == 0) then
  return redis.error_reply('FENCED the seat belongs to another process')
end
for i = 5, #ARGV, 2 do
  if ARGV[i+1] == '' then redis.call('HDEL', p..'table:'..ARGV[4], ARGV[i]) else redis.call('HSET', p..'table:'..ARGV[4], ARGV[i], ARGV[i+1]) end
end
return 1`)

// All reads the table.
func (t *Table) All(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, valueWait)
	defer cancel()
	all, err := t.g.redis.HGetAll(ctx, t.g.prefix+"table:"+t.name).Result()
	if err != nil {
		return nil, fmt.Errorf("reading %s from Redis: %w", t.name, err)
	}
	return all, nil
}

// Get reads a text; empty when there is none.
func (t *Table) Get(ctx context.Context, id string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, valueWait)
	defer cancel()
	text, err := t.g.redis.HGet(ctx, t.g.prefix+"table:"+t.name, id).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return "", fmt.Errorf("reading %s from Redis: %w", t.name, err)
	}
	return text, nil
}

// Put sets a text.
func (t *Table) Put(ctx context.Context, id, text string) error { return t.set(ctx, id, text) }

// Delete removes texts.
func (t *Table) Delete(ctx context.Context, ids ...string) error {
	var args []any
	for _, id := range ids {
		args = append(args, id, "")
	}
	return t.set(ctx, args...)
}

func (t *Table) set(ctx context.Context, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, valueWait)
	defer cancel()
	seat, name := "", ""
	if t.leader {
		term := t.g.Term()
		if term == nil {
			return fmt.Errorf("keeping %s in Redis: %w", t.name, errEnded)
		}
		seat, name = Seat(Leadership, 0), term.name
	}
	if err := write.Run(ctx, t.g.redis, nil, append([]any{t.g.prefix, seat, name, t.name}, args...)...).Err(); err != nil {
		return fmt.Errorf("keeping %s in Redis: %w", t.name, err)
	}
	return nil
}

// Lock is that of the table's group.
func (t *Table) Lock(ctx context.Context, name string) (end func(), err error) {
	return t.g.Lock(ctx, name)
}
