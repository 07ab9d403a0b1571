package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"
)

// A Proof is what a Redis says of itself to one that may use it.
type Proof struct {
	Version string // such as 7.0.15; empty: it does not say
	Losses  []Loss
	Silent  bool // it does not let this user ask for losses
}

// A Loss is a setting with which Redis loses deliveries that were acknowledged, and what
// to do about it.
type Loss struct{ Text, Remedy string }

// Prove signs in, and has Redis do what several processes need of it, below a prefix of
// its own that is removed again. The error says what the user may not do, or what is not
// a single Redis.
func Prove(ctx context.Context, cfg Config) (*Proof, error) {
	cfg.Directory, cfg.Registry = "", nil
	g, err := New(cfg)
	if err != nil || g == nil {
		return nil, err
	}
	defer func() { _ = g.redis.Close() }()
	g.prefix += "check:" + uuid.NewString() + ":"
	p := &Proof{}
	if p.Version, err = g.single(ctx); err != nil {
		return nil, err
	}
	if err := g.rehearse(ctx); err != nil {
		return nil, explain(err)
	}
	i, err := g.info(ctx)
	if err != nil {
		p.Silent = true
		return p, nil
	}
	p.Losses = i.losses()
	if least := cfg.Settings.MinReplicas; i.hasReplicas && i.replicas < least {
		return nil, fmt.Errorf("OCEAN__SHARED_QUEUE_MIN_REPLICAS is %d, and this Redis has %d replicas: no delivery would be acknowledged", least, i.replicas)
	}
	return p, nil
}

// rehearse does what members do.
func (g *Group) rehearse(ctx context.Context) (err error) {
	stream := g.prefix + "stream"
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		gone := g.redis.Unlink(ctx, stream, g.prefix+"epoch", g.prefix+"seats", g.prefix+"members").Err()
		if err == nil {
			err = gone
		}
	}()
	t, err := g.join(ctx)
	if err != nil {
		return err
	}
	if _, err := g.tick(ctx, t, ""); err != nil {
		return err
	}
	if err := leave.Run(ctx, g.redis, nil, g.prefix, t.name).Err(); err != nil {
		return err
	}
	return g.redis.XAdd(ctx, &goredis.XAddArgs{Stream: stream, Values: []string{"a", "b"}}).Err()
}

// info is what Redis says about how it keeps its data.
type info struct {
	noFile      bool   // no append-only file is written
	evicts      string // maxmemory-policy with which keys are thrown away; empty: none are
	replicas    int
	hasReplicas bool // replicas is known
}

// info asks; the user need not be allowed to.
func (g *Group) info(ctx context.Context) (i info, err error) {
	text, err := g.redis.Info(ctx).Result()
	if err != nil {
		return i, err
	}
	says := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			says[name] = value
		}
	}
	i.noFile = says["aof_enabled"] == "0"
	if policy := says["maxmemory_policy"]; policy != "noeviction" && says["maxmemory"] != "0" {
		i.evicts = policy
	}
	i.replicas, err = strconv.Atoi(says["connected_slaves"])
	i.hasReplicas = err == nil
	return i, nil
}

func (i *info) losses() (out []Loss) {
	if i.noFile {
		out = append(out, Loss{"it writes no append-only file: what was acknowledged is gone when it restarts", "set appendonly yes, best with appendfsync always"})
	}
	if i.evicts != "" {
		out = append(out, Loss{"it throws away keys when its memory is full (maxmemory-policy " + i.evicts + ")", "set maxmemory-policy noeviction"})
	}
	return out
}

// warn says once what Redis would lose.
func (g *Group) warn(ctx context.Context) {
	i, err := g.info(ctx)
	if err != nil {
		return // it need not be allowed
	}
	for _, l := range i.losses() {
		if !g.warned[l] {
			g.warned[l] = true
			g.cfg.Log.WarnContext(ctx, "redis can lose deliveries that were acknowledged", "why", l.Text, "do", l.Remedy)
		}
	}
}

// explain keeps what an error of the client may quote out of what people see, and says
// what to do where that is known.
func explain(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "WRONGPASS") || strings.Contains(text, "NOAUTH"):
		return errors.New(variable + ": Redis refuses the user or the password")
	case strings.Contains(text, "NOPERM") || strings.Contains(text, "user executing the script"): // the latter within a script
		return fmt.Errorf("%w: give the user ~ado-port:* +@all -@admin -@dangerous +info", err)
	case strings.Contains(text, "OOM"):
		return fmt.Errorf("%w: Redis has no memory left: raise its maxmemory", err)
	case strings.Contains(text, "READONLY"):
		return fmt.Errorf("%w: %s leads to a replica; name the primary", err, variable)
	case strings.Contains(text, "certificate"):
		return fmt.Errorf("%w: mount the certificate of its authority, or name it with SSL_CERT_FILE", err)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: no answer from the address in %s; rediss:// is for a port with TLS, redis:// for one without", err, variable)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: the connection is closed without an answer; a port with TLS needs rediss:// in %s", err, variable)
	}
	return err
}
