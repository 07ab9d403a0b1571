package redis

import (
	goredis "github.com/redis/go-redis/v9"

	"github.com/ado-port/ado-port/replica"
)

// Keys, behind the prefix of the group:
//
//	id            the last id that was given to a delivery, see nextID
//	load          hash: count, bytes, strangers, strangerbytes, deadbytes
//	part:N        stream: the deliveries that wait in partition N, field r, id ID-0
//	dup:i:…       deliveries of late, by the event's id
//	dup:c:…       set: the subscriptions that brought a content lately
//	dead          hash: dead letters by id
//	dead:order    sorted set: their ids
//	did:…         calls that have changed dead letters lately

// nextID gives a delivery an id that is larger than those of before. It is the time in
// tenths of milliseconds, or the last one and one: so none is given twice when Redis has
// lost its last writes, after a power cut with appendfsync everysec or a change of the
// primary. It has 14 digits, as many as Lua writes of a number by itself.
const nextID = `
local function nextid(p)
  local id, now = redis.call('INCR', p..'id'), redis.call('TIME')
  local time = now[1] * 10000 + math.floor(now[2] / 100)
  if time > id then
    id = time
    redis.call('SET', p..'id', string.format('%.0f', id))
  end
  return string.format('%.0f', id)
end
`

// accept stores deliveries. Arguments: prefix, limits of deliveries, bytes, strangers
// and their bytes, ms for which ids and contents are remembered, whether nothing is
// stored behind one that has no room; then for each delivery partition, record, whether
// it is a stranger, id, content, subscription. Answer: for each 1 stored, 2 a
// duplicate, 0 no room.
//
// A duplicate writes too, so that WAIT covers what it is a duplicate of.
var accept = goredis.NewScript(nextID + `
local p = ARGV[1]
local most, mostbytes, sm, smb = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local load = redis.call('HMGET', p..'load', 'count', 'bytes', 'strangers', 'strangerbytes', 'deadbytes')
for i = 1, 5 do load[i] = tonumber(load[i] or '0') end
local out, full = {}, false
for i = 9, #ARGV, 6 do
  local part, rec, stranger, id, content, sub = ARGV[i], ARGV[i+1], ARGV[i+2] == '1', ARGV[i+3], ARGV[i+4], ARGV[i+5]
  local c = p..'dup:c:'..content
  local dup = id ~= '' and redis.call('EXISTS', p..'dup:i:'..id) == 1
  if not dup and content ~= '' and redis.call('EXISTS', c) == 1 and redis.call('SISMEMBER', c, sub) == 0 then
    redis.call('SADD', c, sub)
    if id ~= '' then redis.call('SET', p..'dup:i:'..id, '1', 'PX', ARGV[6]) end
    dup = true
  end
  local n = #rec
  if dup then
    redis.call('HINCRBY', p..'load', 'duplicates', 1)
    out[#out+1] = 2
  elseif full or load[1] >= most or load[2] + load[5] + n > mostbytes or (stranger and (load[3] >= sm or load[4] + n > smb)) then
    full = ARGV[8] == '1'
    out[#out+1] = 0
  else
    redis.call('XADD', p..'part:'..part, nextid(p)..'-0', 'r', rec)
    load[1] = redis.call('HINCRBY', p..'load', 'count', 1)
    load[2] = redis.call('HINCRBY', p..'load', 'bytes', n)
    if stranger then
      load[3] = redis.call('HINCRBY', p..'load', 'strangers', 1)
      load[4] = redis.call('HINCRBY', p..'load', 'strangerbytes', n)
    end
    if id ~= '' then redis.call('SET', p..'dup:i:'..id, '1', 'PX', ARGV[6]) end
    if content ~= '' then
      redis.call('DEL', c)
      redis.call('SADD', c, sub)
      redis.call('PEXPIRE', c, ARGV[7])
    end
    out[#out+1] = 1
  end
end
return out`)

// finish removes deliveries that are done, or makes dead letters of them, while the
// partition is the member's. Arguments: prefix, seat, member, partition, most dead
// letters, most bytes of them; then for each id, bytes of the record, whether it was
// a stranger, what stands before a dead letter or nothing. Answer: how many dead
// letters had to make room.
var finish = goredis.NewScript(replica.Small + `
local p, part = ARGV[1], ARGV[1]..'part:'..ARGV[4]
if redis.call('HGET', p..'seats', ARGV[2]) ~= ARGV[3] then
  return redis.error_reply('FENCED the partition belongs to another process')
end
for i = 7, #ARGV, 4 do
  local id, n, stranger, head = ARGV[i], ARGV[i+1], ARGV[i+2] == '1', ARGV[i+3]
  if head ~= '' then
    local rec = redis.call('XRANGE', part, id..'-0', id..'-0')
    if rec[1] then
      local letter = head..rec[1][2][2]
      redis.call('HSET', p..'dead', id, letter)
      redis.call('ZADD', p..'dead:order', id, id)
      redis.call('HINCRBY', p..'load', 'deadbytes', #letter)
    end
  end
  if redis.call('XDEL', part, id..'-0') == 1 then
    redis.call('HINCRBY', p..'load', 'count', -1)
    redis.call('HINCRBY', p..'load', 'bytes', -n)
    if stranger then
      redis.call('HINCRBY', p..'load', 'strangers', -1)
      redis.call('HINCRBY', p..'load', 'strangerbytes', -n)
    end
  end
end
local dropped = 0
while redis.call('ZCARD', p..'dead:order') > tonumber(ARGV[5]) or tonumber(redis.call('HGET', p..'load', 'deadbytes') or '0') > tonumber(ARGV[6]) do
  local old = redis.call('ZPOPMIN', p..'dead:order')
  if not old[1] then break end
  redis.call('HINCRBY', p..'load', 'deadbytes', -redis.call('HSTRLEN', p..'dead', old[1]))
  redis.call('HDEL', p..'dead', old[1])
  dropped = dropped + 1
end
return dropped`)

// exhume takes a dead letter out, and has a record wait again. Arguments: prefix, id,
// partition, record or nothing, what tells this call from others. Answer: 1, also when
// this call has done so already; 0 when there is none.
var exhume = goredis.NewScript(replica.Small + nextID + `
local p, id = ARGV[1], ARGV[2]
if redis.call('EXISTS', p..'did:'..ARGV[5]) == 1 then return 1 end
local n = redis.call('HSTRLEN', p..'dead', id)
redis.call('ZREM', p..'dead:order', id)
if redis.call('HDEL', p..'dead', id) == 0 then return 0 end
redis.call('SET', p..'did:'..ARGV[5], '1', 'PX', 60000)
redis.call('HINCRBY', p..'load', 'deadbytes', -n)
if ARGV[4] ~= '' then
  redis.call('XADD', p..'part:'..ARGV[3], nextid(p)..'-0', 'r', ARGV[4])
  redis.call('HINCRBY', p..'load', 'count', 1)
  redis.call('HINCRBY', p..'load', 'bytes', #ARGV[4])
end
return 1`)

// inter stores dead letters of another spool, oldest first. Those that are there already
// do not make room for them: whoever looks at dead letters would not know what is gone.
// Arguments: prefix, most bytes of all, most dead letters, most bytes of them, ms for
// which they are remembered; then for each what tells it from others, and its text.
// Answer: for each 1 stored, 2 it was already, 0 no room for it and those behind it.
var inter = goredis.NewScript(nextID + `
local p = ARGV[1]
local load = redis.call('HMGET', p..'load', 'bytes', 'deadbytes')
local bytes, deadbytes = tonumber(load[1] or '0'), tonumber(load[2] or '0')
local count = redis.call('ZCARD', p..'dead:order')
local out, full = {}, false
for i = 6, #ARGV, 2 do
  local mark, letter = p..'dup:i:'..ARGV[i], ARGV[i+1]
  local n = #letter
  if redis.call('EXISTS', mark) == 1 then
    redis.call('HINCRBY', p..'load', 'duplicates', 1)
    out[#out+1] = 2
  elseif full or count >= tonumber(ARGV[3]) or deadbytes + n > tonumber(ARGV[4]) or bytes + deadbytes + n > tonumber(ARGV[2]) then
    full = true
    out[#out+1] = 0
  else
    local id = nextid(p)
    redis.call('HSET', p..'dead', id, letter)
    redis.call('ZADD', p..'dead:order', id, id)
    deadbytes = redis.call('HINCRBY', p..'load', 'deadbytes', n)
    count = count + 1
    redis.call('SET', mark, '1', 'PX', ARGV[5])
    out[#out+1] = 1
  end
end
return out`)
