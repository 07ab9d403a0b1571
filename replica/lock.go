package replica

import (
	"context"
	"maps"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"
)

const (
	// lockLife is how long after its last sign of life a member holds no lock any more.
	// What it does under one stops at its fence before.
	lockLife = 4 * time.Second
	lockLook = 50 * time.Millisecond
	// lockMost is how long a lock lasts that its owner, who is alive, does not know of:
	// a call that was given up may arrive late. Nobody needs one for so long.
	lockMost = time.Hour
	// aloneMost is how long others wait for somebody who is Alone.
	aloneMost = 2 * time.Minute
	aloneSaid = 5 * time.Second
)

// lock takes a lock that nobody has, or only somebody who is dead, or could not say
// that it gave it back, or the same one whose answer was lost. Arguments: prefix, lock,
// member, ms that an owner has to have left, what tells this one from others of the
// member, ms after which it ends all the same.
var lock = goredis.NewScript(Small + `
local p, key = ARGV[1], ARGV[1]..'lock:'..ARGV[2]
if redis.call('EXISTS', p..'member:'..ARGV[3]) == 0 then return 0 end
local owner = redis.call('HGET', key, 'member')
if owner and redis.call('HGET', key, 'by') ~= ARGV[5] and redis.call('PTTL', p..'member:'..owner) > tonumber(ARGV[4]) then return 0 end
redis.call('HSET', key, 'member', ARGV[3], 'by', ARGV[5])
redis.call('PEXPIRE', key, ARGV[6])
return 1`)

var unlock = goredis.NewScript(Small + `
if redis.call('HGET', ARGV[1], 'by') == ARGV[2] then return redis.call('DEL', ARGV[1]) end
return 0`)

// Lock waits until no process has the lock of a name. While Redis is away it waits.
func (g *Group) Lock(ctx context.Context, name string) (end func(), err error) {
	return g.lock(ctx, name, lockMost)
}

func (g *Group) lock(ctx context.Context, name string, most time.Duration) (end func(), err error) {
	mine := uuid.NewString()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			g.unlockLater(name, mine) // an answer may have been lost
			return nil, context.Cause(ctx)
		}
		if g.locks(ctx, name, mine, most) {
			return func() {
				if g.unlock(context.WithoutCancel(ctx), name, mine) != nil {
					g.unlockLater(name, mine)
				}
			}, nil
		}
		timer.Reset(lockLook)
	}
}

func (g *Group) unlock(ctx context.Context, name, mine string) error {
	return unlock.Run(ctx, g.redis, nil, g.prefix+"lock:"+name, mine).Err()
}

// unlockLater has a lock given back as soon as Redis can be asked, or it ends with this
// member.
func (g *Group) unlockLater(name, mine string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unlocks[mine] = name
}

// unlockLeft gives back what could not be given back before.
func (g *Group) unlockLeft(ctx context.Context) error {
	g.mu.Lock()
	left := maps.Clone(g.unlocks)
	g.mu.Unlock()
	for mine, name := range left {
		if err := g.unlock(ctx, name, mine); err != nil {
			return err
		}
		g.mu.Lock()
		delete(g.unlocks, mine)
		g.mu.Unlock()
	}
	return nil
}

// locks tries to have a lock.
func (g *Group) locks(ctx context.Context, name, mine string, most time.Duration) bool {
	t := g.Term()
	if t == nil {
		return false
	}
	got, err := lock.Run(ctx, g.redis, nil, g.prefix, name, t.name, (lifetime - lockLife).Milliseconds(), mine, most.Milliseconds()).Int()
	return err == nil && got == 1
}

// Alone runs f while no other process runs what has the same name, or has begun with it
// only two minutes ago: one that does not come to its end must not stop the others. A
// process that is alone just runs it.
func (g *Group) Alone(ctx context.Context, name string, f func() error) error {
	if g == nil {
		return f()
	}
	waits := time.AfterFunc(aloneSaid, func() {
		g.cfg.Log.InfoContext(ctx, "waiting for another process, or for Redis", "before", name, "most", aloneMost)
	})
	end, err := g.lock(ctx, name, aloneMost)
	waits.Stop()
	if err != nil {
		return err
	}
	defer end()
	return f()
}
