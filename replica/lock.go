package replica

import (
	"context"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"
)

const (
	lockLife = time.Minute
	lockLook = 200 * time.Millisecond
)

var unlock = goredis.NewScript(`
if redis.call('GET', ARGV[1]) == ARGV[2] then return redis.call('DEL', ARGV[1]) end
return 0`)

// Alone runs f while no other process runs what has the same name, within a minute. A
// process that is alone just runs it. While Redis is away it waits.
func (g *Group) Alone(ctx context.Context, name string, f func() error) error {
	if g == nil {
		return f()
	}
	key, mine := g.prefix+"lock:"+name, uuid.NewString()
	for {
		ok, err := g.redis.SetNX(ctx, key, mine, lockLife).Result()
		if err == nil && ok {
			break
		}
		timer := time.NewTimer(lockLook)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
	defer func() {
		_ = unlock.Run(context.WithoutCancel(ctx), g.redis, nil, key, mine).Err() // else it ends by itself
	}()
	return f()
}
