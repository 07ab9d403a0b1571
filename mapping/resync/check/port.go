package check

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// The regions of Port: https://docs.port.io/api-reference/port-api
const (
	regionEU = "https://api.getport.io"
	regionUS = "https://api.us.getport.io"
)

// otherRegion is advice about OCEAN__PORT__BASE_URL.
func otherRegion(address string) string {
	switch strings.TrimRight(address, "/") {
	case "", regionEU:
		return "OCEAN__PORT__BASE_URL, which is that of Europe: an account of the United States has " + regionUS
	case regionUS, "https://api.us.port.io":
		return "OCEAN__PORT__BASE_URL, which is that of the United States: an account of Europe has " + regionEU
	}
	return "OCEAN__PORT__BASE_URL: an account of Europe has " + regionEU + ", one of the United States " + regionUS
}

// port signs in to Port and reads the mapping.
func (c *check) port(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	address := c.cfg.PortURL
	_, ahead, known, err := reach(ctx, c.cfg.PortSide, address)
	if err != nil {
		c.fail("port", "", fmt.Sprintf("%s cannot be reached: %v", address, err),
			"check the name, the firewall, the proxy (HTTPS_PROXY) and its certificate (SSL_CERT_FILE), and "+otherRegion(address))
		c.ownMapping(nil)
		return
	}
	c.clock("port", ahead, known)
	i, err := c.cfg.Port.Integration(ctx)
	switch {
	case err == nil:
		c.installed = true
		c.ok("port", "", "signed in to %s; it has the installation %q", address, c.cfg.Settings.Integration.Identifier)
		c.ownMapping(i)
	case errors.Is(err, port.ErrNotFound):
		c.ok("port", "", "signed in to %s; the first start makes the installation %q", address, c.cfg.Settings.Integration.Identifier)
		c.plan(ctx)
	case errors.Is(err, port.ErrUnauthorized):
		c.fail("port", "", err.Error(), "copy client id and secret from Port (Credentials) into OCEAN__PORT__CLIENT_ID and OCEAN__PORT__CLIENT_SECRET, and check "+otherRegion(address))
		c.ownMapping(nil)
	default:
		c.fail("port", "", err.Error(), "check "+otherRegion(address))
		c.ownMapping(nil)
	}
}

// ownMapping takes the mapping of a file, or that of the installation; nil: it is
// not known.
func (c *check) ownMapping(i *port.Integration) {
	switch {
	case c.opt.Mapping != "":
		file := c.opt.Mapping
		if !filepath.IsAbs(file) {
			file = filepath.Join(c.opt.Directory, file)
		}
		m, err := c.cfg.Source.ReadFile(file)
		if err != nil {
			c.fail("mapping", "", err.Error(), "name a file with a mapping in YAML or JSON")
			return
		}
		c.use(m)
	case i == nil:
		c.warn("mapping", "", "not checked: it is in Port, which could not be asked", "mend that, or name a file with --mapping")
	case !i.HasConfig():
		c.warn("mapping", "", "Port has none for this installation", "write one in Port, in the settings of the data source")
	default:
		c.takeMapping(c.cfg.Source.Parse(i.Config))
	}
}

// plan takes the mapping of an installation that does not exist yet.
func (c *check) plan(ctx context.Context) {
	doc, blueprints, err := c.cfg.Port.Planned(ctx, c.cfg.Settings.Setup(c.cfg.Source.Check, nil))
	switch {
	case err != nil:
		c.fail("mapping", "", "the default resources cannot be made: "+err.Error(), "mend them, or set OCEAN__INITIALIZE_PORT_RESOURCES=false")
	case c.opt.Mapping != "":
		c.planned = blueprints
		c.ownMapping(nil)
	case doc == nil:
		c.warn("mapping", "", "not checked: Port makes it at the first start", "")
	default:
		c.planned = blueprints
		c.takeMapping(c.cfg.Source.Parse(doc))
	}
}

// takeMapping takes a mapping, unless it could not be understood.
func (c *check) takeMapping(m *mapping.Mapping, err error) {
	if err != nil {
		c.fail("mapping", "", err.Error(), "correct the mapping: a resync would fail")
		return
	}
	c.use(m)
}

// use says what of a mapping is not used.
func (c *check) use(m *mapping.Mapping) {
	c.mapping = m
	for _, p := range m.Problems {
		c.fail("mapping", "", p.String(), "correct that path; until then the block does not run, and nothing of its blueprint is deleted")
	}
	for _, p := range m.LeftOut {
		c.warn("mapping", "", "left out: "+p.String(), "correct the expression; until then Port keeps what it holds")
	}
	for _, w := range m.Warnings {
		c.warn("mapping", "", w, "")
	}
	switch n := len(m.Resources); {
	case n == 0 && len(m.Problems) == 0:
		c.warn("mapping", "", "it has no blocks: nothing is read", "add blocks to its resources")
	case n > 0:
		c.ok("mapping", "", "%s can run", count(n, "block"))
	}
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
