package replica

import goredis "github.com/redis/go-redis/v9"

// Each script gets the prefix of all keys as its first argument. A single Redis has
// them all, which is why they need not be declared.

// Small stands at the beginning of scripts that also run while Redis is full: they free
// room, or need next to none, and without them nothing that waits would be handled, so
// that it stayed full.
const Small = "#!lua flags=allow-oom\n"

// tick keeps a member alive, or says that it is none any more. Arguments: member, ms
// until it counts as dead, the epoch it knows, an epoch for a Redis without one.
// Answer: whether it is a member, the epoch, the living members and for how many ms
// each will live, the seats and their owners.
var tick = goredis.NewScript(Small + `
local p, me = ARGV[1], ARGV[2]
redis.call('SET', p..'epoch', ARGV[5], 'NX')
local epoch = redis.call('GET', p..'epoch')
local mine = 0
if (ARGV[4] == '' or ARGV[4] == epoch) and me ~= '' then
  mine = redis.call('PEXPIRE', p..'member:'..me, ARGV[3])
end
local alive = {}
for _, m in ipairs(redis.call('SMEMBERS', p..'members')) do
  local left = redis.call('PTTL', p..'member:'..m)
  if left > 0 then
    alive[#alive+1] = m
    alive[#alive+1] = tostring(left)
  else
    redis.call('SREM', p..'members', m)
  end
end
return {mine, epoch, alive, redis.call('HGETALL', p..'seats')}`)

// join makes a member. Arguments: its name, the one that it had before, ms.
var join = goredis.NewScript(Small + `
local p = ARGV[1]
if ARGV[3] ~= '' then
  redis.call('DEL', p..'member:'..ARGV[3])
  redis.call('SREM', p..'members', ARGV[3])
end
redis.call('SET', p..'member:'..ARGV[2], '1', 'PX', ARGV[4])
redis.call('SADD', p..'members', ARGV[2])
return 1`)

// claim takes seats whose owner is dead, or which have none, or are the member's
// already because an answer to it was lost. Arguments: member, how
// many at most, ms that an owner has to have left, seats. Answer: those that were
// taken.
var claim = goredis.NewScript(Small + `
local p, me, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local got = {}
if redis.call('EXISTS', p..'member:'..me) == 0 then return got end
for i = 5, #ARGV do
  if #got >= most then break end
  local owner = redis.call('HGET', p..'seats', ARGV[i])
  if not owner or owner == me or redis.call('PTTL', p..'member:'..owner) <= tonumber(ARGV[4]) then
    redis.call('HSET', p..'seats', ARGV[i], me)
    got[#got+1] = ARGV[i]
  end
end
return got`)

// release gives seats back. Arguments: member, seats.
var release = goredis.NewScript(Small + `
local p, me = ARGV[1], ARGV[2]
for i = 3, #ARGV do
  if redis.call('HGET', p..'seats', ARGV[i]) == me then redis.call('HDEL', p..'seats', ARGV[i]) end
end
return 1`)

// leave ends a member. Argument: member.
var leave = goredis.NewScript(Small + `
local p, me = ARGV[1], ARGV[2]
redis.call('DEL', p..'member:'..me)
redis.call('SREM', p..'members', me)
return 1`)

// keep sets a value while a seat is held. Arguments: seat, member, name, value.
var keep = goredis.NewScript(Small + `
local p = ARGV[1]
if redis.call('HGET', p..'seats', ARGV[2]) ~= ARGV[3] or redis.call('EXISTS', p..'member:'..ARGV[3]) == 0 then
  return redis.error_reply('FENCED the seat belongs to another process')
end
redis.call('SET', p..'value:'..ARGV[4], ARGV[5])
return 1`)
