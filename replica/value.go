package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// orphaned is how long pieces of a file stay that nobody has named.
const orphaned = time.Hour

// valueWait bounds a question whose caller has no context.
const valueWait = 5 * time.Second

// A Value is what the leader keeps, for the one that comes after it and for everybody
// to read.
type Value struct {
	g      *Group
	name   string
	common bool // everybody may set it
}

// Value is the one of a name; nil for a process that is alone.
func (g *Group) Value(name string) *Value {
	if g == nil {
		return nil
	}
	return &Value{g: g, name: name}
}

// Common is a Value that every process may set, also one that is no member: a command
// that somebody runs beside them.
func (g *Group) Common(name string) *Value {
	if g == nil {
		return nil
	}
	return &Value{g: g, name: name, common: true}
}

// Get reads it; nil when there is none.
func (v *Value) Get(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, valueWait)
	defer cancel()
	b, err := v.g.redis.Get(ctx, v.g.prefix+"value:"+v.name).Bytes()
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s from Redis: %w", v.name, err)
	}
	return b, nil
}

// Set replaces it, if this process may.
func (v *Value) Set(ctx context.Context, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, valueWait)
	defer cancel()
	if v.common {
		if err := v.g.redis.Set(ctx, v.g.prefix+"value:"+v.name, b, 0).Err(); err != nil {
			return fmt.Errorf("keeping %s in Redis: %w", v.name, err)
		}
		return nil
	}
	t := v.g.Term()
	if t == nil {
		return fmt.Errorf("keeping %s in Redis: %w", v.name, errEnded)
	}
	if err := keep.Run(ctx, v.g.redis, nil, v.g.prefix, Seat(Leadership, 0), t.name, v.name, b).Err(); err != nil {
		return fmt.Errorf("keeping %s in Redis: %w", v.name, err)
	}
	return nil
}
