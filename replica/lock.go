package replica

import (
	"context"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"
)

const (
	lockLife = time.Minute
	lockLook = 50 * time.Millisecond
)

var unlock = goredis.NewScript(`
if redis.call('GET', ARGV[1]) == ARGV[2] then return redis.call('DEL', ARGV[1]) end
return 0`)

// Lock waits until no process has the lock of a name, and has it then for a minute at
// most. While Redis is away it waits.
func (g *Group) Lock(ctx context.Context, name string) (end func(), err error) {
	key, mine := g.prefix+"lock:"+name, uuid.NewString()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if ok, err := g.redis.SetNX(ctx, key, mine, lockLife).Result(); err == nil && ok {
			return func() {
				_ = unlock.Run(context.WithoutCancel(ctx), g.redis, nil, key, mine).Err() // else it ends by itself
			}, nil
		}
		timer.Reset(lockLook)
	}
}

// Alone runs f while no other process runs what has the same name. A process that is
// alone just runs it.
func (g *Group) Alone(ctx context.Context, name string, f func() error) error {
	if g == nil {
		return f()
	}
	end, err := g.Lock(ctx, name)
	if err != nil {
		return err
	}
	defer end()
	return f()
}
