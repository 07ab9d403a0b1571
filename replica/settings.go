package replica

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/ado-port/ado-port/port"
)

// Settings are what the environment says, below OCEAN__SHARED_QUEUE_.
type Settings struct {
	// URL is empty where there is one process.
	URL port.Secret `env:"URL" doc:"Redis that several processes with the same settings share, as redis://user:password@host:port/db or rediss://…; unset, this process is the only one. See SCALING.md."`
	// MinReplicas is what WAIT is asked for.
	MinReplicas int `env:"MIN_REPLICAS" envDefault:"0" min:"0" max:"10" doc:"Replicas of Redis that have to hold a delivery before it is acknowledged to Azure DevOps; 0: Redis itself is enough."`
}

const variable = "OCEAN__SHARED_QUEUE_URL"

// Enabled says whether there is a Redis.
func (s *Settings) Enabled() bool { return s.URL != "" }

// Validate refuses an address that leads to no single Redis. The address is not
// repeated: it holds a password.
func (s *Settings) Validate() error {
	if !s.Enabled() {
		return nil
	}
	_, err := s.options()
	return err
}

// options reads the address.
func (s *Settings) options() (*goredis.Options, error) {
	text := strings.TrimSpace(s.URL.Reveal())
	scheme, rest, _ := strings.Cut(text, "://")
	switch scheme = strings.ToLower(scheme); {
	case strings.Contains(scheme, "sentinel"):
		return nil, errors.New(variable + ": Sentinel is not supported; name the Redis itself, or an address that follows the current primary")
	case strings.Contains(scheme, "cluster") || strings.Contains(hosts(rest), ","):
		return nil, errors.New(variable + ": a Redis Cluster is not supported; name a single Redis, which is enough for any load that Azure DevOps makes")
	case scheme != "redis" && scheme != "rediss":
		return nil, errors.New(variable + ": want redis://host:port/db, or rediss:// for TLS; user and password, as user:password@, stand before the host")
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New(variable + ": not an address; characters such as @ / : # ? in the password have to be written as %40 %2F %3A %23 %3F")
	}
	for name := range u.Query() {
		if strings.Contains(strings.ToLower(name), "master") || name == "addr" {
			return nil, errors.New(variable + ": neither Sentinel nor Redis Cluster is supported; name a single Redis")
		}
	}
	opt, err := goredis.ParseURL(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", variable, reason(err))
	}
	return opt, nil
}

// hosts is the part of an address behind a password.
func hosts(rest string) string {
	rest, _, _ = strings.Cut(rest, "/")
	return rest[strings.LastIndexByte(rest, '@')+1:]
}

// reason is what may be said of an error about an address.
func reason(err error) string {
	known := []string{"invalid database number", "invalid URL path"}
	if i := slices.IndexFunc(known, func(k string) bool { return strings.Contains(err.Error(), k) }); i >= 0 {
		return known[i]
	}
	return "not an address of a Redis"
}
