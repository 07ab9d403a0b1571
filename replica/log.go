package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/google/uuid"
	"github.com/klauspost/compress/s2"
	goredis "github.com/redis/go-redis/v9"
)

// A Log is what all members write to and read in one order: entries, and now and then
// a file of the leader's that stands for the entries before it. It is a stream, and
// the file lies beside it in pieces.
type Log struct {
	g     *Group
	name  string
	epoch string // of what was read; Read comes one at a time
}

// Log is the one of a name.
func (g *Group) Log(name string) *Log { return &Log{g: g, name: g.prefix + "log:" + name} }

// Epoch is that of what was read last.
func (l *Log) Epoch() string { return l.epoch }

// Expect says of which epoch what the caller knows is: Read finds a loss since then.
func (l *Log) Expect(epoch string) { l.epoch = epoch }

// A Position is a place in a Log; the zero one is before everything.
type Position struct{ ms, seq uint64 }

func (p Position) String() string {
	return strconv.FormatUint(p.ms, 10) + "-" + strconv.FormatUint(p.seq, 10)
}

// After says whether a place comes behind another one.
func (p Position) After(q Position) bool { return p.ms > q.ms || p.ms == q.ms && p.seq > q.seq }

// Before is the place just before one.
func (p Position) Before() Position {
	if p.seq > 0 {
		return Position{p.ms, p.seq - 1}
	}
	if p.ms == 0 {
		return p
	}
	return Position{p.ms - 1, 1<<64 - 1}
}

// ParsePosition reads what String returns.
func ParsePosition(text string) (Position, error) {
	var p Position
	_, err := fmt.Sscanf(text, "%d-%d", &p.ms, &p.seq)
	return p, err
}

// An Entry of a Log has data, or names a file that begins to count there.
type Entry struct {
	At   Position
	Data []byte
	File string
}

// piece is how much of a file, before compression, lies in one key.
const piece = 1 << 20

// LogPage is how many entries are read at once.
const LogPage = 500

// ErrLostData says that Redis has another epoch than at the last reading, or none yet.
var ErrLostData = errors.New("redis has lost its data")

// ErrDamaged is a file of the leader that nobody can read any more. The next one takes
// its place.
var ErrDamaged = errors.New("a file of the leader is damaged in Redis")

// add adds an entry. Arguments: the log, the data.
var add = goredis.NewScript(Small + `
return redis.call('XADD', ARGV[1], '*', 'd', ARGV[2])`)

// Append adds an entry. It is there when it returns nil.
func (l *Log) Append(ctx context.Context, data []byte) error {
	if err := add.Run(ctx, l.g.redis, nil, l.name, data).Err(); err != nil {
		return fmt.Errorf("telling other processes: %w", err)
	}
	return nil
}

// Read returns entries behind a place, in order; less than LogPage means that there
// are no more.
func (l *Log) Read(ctx context.Context, after Position) ([]Entry, error) {
	pipe := l.g.redis.Pipeline()
	epoch := pipe.Get(ctx, l.g.prefix+"epoch")
	list := pipe.XRangeN(ctx, l.name, "("+after.String(), "+", LogPage)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, goredis.Nil) {
		return nil, fmt.Errorf("reading what other processes say: %w", err)
	}
	known := l.epoch
	if l.epoch = epoch.Val(); known != "" && l.epoch != known || l.epoch == "" {
		return nil, ErrLostData
	}
	out := make([]Entry, 0, len(list.Val()))
	for _, m := range list.Val() {
		at, err := ParsePosition(m.ID)
		if err != nil {
			return nil, err
		}
		data, _ := m.Values["d"].(string)
		file, _ := m.Values["f"].(string)
		out = append(out, Entry{At: at, Data: []byte(data), File: file})
	}
	return out, nil
}

// publish names a file. Arguments: prefix, seat, member, log, name of the file,
// pieces, the place up to which it stands for the entries.
var publish = goredis.NewScript(Small + `
local p, log = ARGV[1], ARGV[4]
if redis.call('HGET', p..'seats', ARGV[2]) ~= ARGV[3] or redis.call('EXISTS', p..'member:'..ARGV[3]) == 0 then
  return redis.error_reply('FENCED the seat belongs to another process')
end
local old = redis.call('HMGET', log..':file', 'name', 'pieces')
redis.call('HSET', log..':file', 'name', ARGV[5], 'pieces', ARGV[6], 'after', ARGV[7])
redis.call('XADD', log, '*', 'f', ARGV[5])
redis.call('XTRIM', log, 'MINID', ARGV[7])
if old[1] and old[1] ~= ARGV[5] then
  for i = 0, tonumber(old[2]) - 1 do redis.call('UNLINK', log..':file:'..old[1]..':'..i) end
end
for i = 0, tonumber(ARGV[6]) - 1 do redis.call('PERSIST', log..':file:'..ARGV[5]..':'..i) end
return 1`)

// Publish puts a file in place of all entries up to a place. Only the leader may. It
// returns the file's name.
func (l *Log) Publish(ctx context.Context, file io.Reader, upTo Position) (string, error) {
	t := l.g.Term()
	if t == nil {
		return "", errEnded
	}
	name, pieces := uuid.NewString(), 0
	buf := make([]byte, piece)
	for {
		n, err := io.ReadFull(file, buf)
		if n > 0 {
			key := l.piece(name, pieces)
			if err := l.g.redis.Set(ctx, key, s2.Encode(nil, buf[:n]), orphaned).Err(); err != nil {
				return "", fmt.Errorf("giving a file to other processes: %w", err)
			}
			pieces++
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	err := publish.Run(ctx, l.g.redis, nil, l.g.prefix, Seat(Leadership, 0), t.name, l.name, name, pieces, upTo.String()).Err()
	if err != nil {
		return "", fmt.Errorf("giving a file to other processes: %w", err)
	}
	return name, nil
}

func (l *Log) piece(name string, n int) string {
	return l.name + ":file:" + name + ":" + strconv.Itoa(n)
}

// File writes the file that counts now and says for which entries it stands; its name
// is empty when there is none.
func (l *Log) File(ctx context.Context, w io.Writer) (name string, upTo Position, err error) {
	is, err := l.g.redis.HMGet(ctx, l.name+":file", "name", "pieces", "after").Result()
	if err != nil || len(is) != 3 || is[0] == nil {
		return "", upTo, err
	}
	text := func(i int) string { s, _ := is[i].(string); return s }
	pieces, err := strconv.Atoi(text(1))
	if err == nil {
		upTo, err = ParsePosition(text(2))
	}
	if err != nil {
		return "", upTo, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	for i := range pieces {
		packed, err := l.g.redis.Get(ctx, l.piece(text(0), i)).Bytes()
		if errors.Is(err, goredis.Nil) {
			return "", upTo, l.missing(ctx, text(0), i, pieces)
		}
		if err != nil {
			return "", upTo, fmt.Errorf("a file of the leader: %w", err)
		}
		raw, err := s2.Decode(nil, packed)
		if err != nil {
			return "", upTo, fmt.Errorf("%w: piece %d of %d: %w", ErrDamaged, i+1, pieces, err)
		}
		if _, err := w.Write(raw); err != nil {
			return "", upTo, err
		}
	}
	return text(0), upTo, nil
}

// missing says why a piece of a file is not there.
func (l *Log) missing(ctx context.Context, name string, i, pieces int) error {
	now, err := l.g.redis.HGet(ctx, l.name+":file", "name").Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return fmt.Errorf("a file of the leader: %w", err)
	}
	if now != name {
		return errors.New("a file of the leader was replaced while it was read")
	}
	return fmt.Errorf("%w: piece %d of %d is missing", ErrDamaged, i+1, pieces)
}

// Len is how many entries there are.
func (l *Log) Len(ctx context.Context) (int64, error) { return l.g.redis.XLen(ctx, l.name).Result() }
