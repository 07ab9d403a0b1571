package port

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// The origins of default resources (createPortResourcesOrigin).
const (
	OriginEmpty   = "Empty"
	OriginDefault = "Default"
	OriginOcean   = "Ocean" // an older name of Default
	OriginPort    = "Port"
)

// The built-in default resources.
const (
	ResourcesCompatible = "compatible" // those of Port's own integration
	ResourcesCorrected  = "corrected"  // the same without their known mistakes
	ResourcesOwn        = "own"        // those of SetupConfig.Resources
)

// emptyMapping is what an installation without resources starts from.
const emptyMapping = `{"deleteDependentEntities":true,"createMissingRelatedEntities":true,"enableMergeEntity":true,"entityDeletionThreshold":0.9,"resources":[]}`

// processingMode is what we report whatever the configuration says: records
// are mapped here and not by Port.
const processingMode = "ocean-core"

// SetupConfig says how the installation is made or brought up to date.
type SetupConfig struct {
	// Origin is one of the Origin constants or empty: then Port makes the
	// resources where it can, and this program elsewhere. The origin that Port
	// already has of the installation wins.
	Origin string
	// InitializeResources is false when blueprints, pages and the like are not
	// to be made. A new installation gets the default mapping all the same.
	InitializeResources bool
	// DefaultResources says which of the built-in resources are made: ResourcesCompatible,
	// ResourcesCorrected, or empty: corrected ones for an installation that is made for
	// the first time, and compatible ones where it or its blueprints exist.
	DefaultResources string
	// Resources replaces the built-in ones: a directory with files named
	// blueprints, actions, scorecards, pages and port-app-config, each .json,
	// .yaml or .yml.
	Resources fs.FS
	// ChangelogDestination is {"type":"KAFKA"}, {"type":"WEBHOOK","url":…} or {}, by
	// the event listener. Nil in a process that does not listen for Port, which leaves
	// what another process of the installation has said.
	ChangelogDestination json.RawMessage
	// IncrementalSync and ActionsProcessing are nil in a process that knows nothing
	// about them: Port keeps what it has.
	IncrementalSync, ActionsProcessing *bool
	// CheckMapping refuses a default mapping that the program could not use; optional.
	CheckMapping func(doc []byte) error
	// BeforeCreate is called before anything is made for an installation that Port
	// does not have; optional. Its error is ErrPostponed, and nothing is made.
	BeforeCreate func(context.Context) error
}

// ErrPostponed says that nothing was made in Port because there is no use for it yet.
var ErrPostponed = errors.New("nothing is created in Port before that is mended")

// Setup makes the installation, or brings what Port has of it up to date, and
// makes the default resources once. Resources that cannot be made are rolled
// back and logged, and tried again at the next start; the error is about the
// installation itself.
func (c *Client) Setup(ctx context.Context, cfg SetupConfig) error {
	s := &setup{c: c, cfg: cfg}
	i, err := c.Integration(ctx)
	if runs := cfg.ActionsProcessing; runs != nil && *runs && !c.machine() {
		s.cfg.ActionsProcessing = new(bool) // Port hands out runs to machines only
	}
	switch {
	case errors.Is(err, ErrNotFound):
		i, err = s.create(ctx)
	case err == nil:
		err = s.check(i)
	}
	if err == nil {
		err = c.decideLayout(ctx)
	}
	if err == nil {
		i, err = s.reconcile(ctx, i)
	}
	if err != nil {
		return fmt.Errorf("set up %s: %w", c.cfg.Identifier, err)
	}
	if i.ResourcesInitialized {
		return nil
	}
	if err := s.resources(ctx, i); err != nil {
		if ctx.Err() != nil || errors.Is(err, ErrUnauthorized) {
			return fmt.Errorf("set up %s: %w", c.cfg.Identifier, err)
		}
		c.log.ErrorContext(ctx, "default resources were not made; they are tried again at the next start", "err", err)
	}
	return nil
}

// setupPause is the time between two attempts to set the installation up; after
// ErrPostponed it doubles up to longestPause, because people mend that.
const (
	setupPause   = 5 * time.Second
	longestPause = time.Minute
)

// SetupWhenReachable is Setup, and where wait is set Setup again and again while
// Port is away, or the installation is postponed. What waiting does not mend is an
// error. A stop is none.
func (c *Client) SetupWhenReachable(ctx context.Context, cfg SetupConfig, wait bool) error {
	for pause := setupPause; ; {
		err := c.Setup(ctx, cfg)
		if err == nil || ctx.Err() != nil {
			return nil //nolint:nilerr // as said
		}
		c.log.ErrorContext(ctx, "the integration could not be set up", "err", err)
		postponed := errors.Is(err, ErrPostponed)
		if !wait || !postponed && (errors.Is(err, ErrUnauthorized) || !Temporary(err)) {
			return err
		}
		if !postponed {
			pause = setupPause
		}
		if sleep(ctx, pause) != nil {
			return nil //nolint:nilerr // as said
		}
		pause = min(2*pause, longestPause)
	}
}

type setup struct {
	c   *Client
	cfg SetupConfig
}

// check refuses an installation that runs elsewhere.
func (s *setup) check(i *Integration) error {
	if i.InstallationType == "" || i.InstallationType == "OnPrem" {
		return nil
	}
	return fmt.Errorf("this installation is of type %q, which Port runs by itself: choose another OCEAN__INTEGRATION__IDENTIFIER", i.InstallationType)
}

// create makes an installation with the default mapping of its origin.
func (s *setup) create(ctx context.Context) (*Integration, error) {
	if s.cfg.BeforeCreate != nil {
		if err := s.cfg.BeforeCreate(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", err, ErrPostponed)
		}
	}
	origin, err := s.origin(ctx)
	if err != nil {
		return nil, err
	}
	var mapping json.RawMessage
	switch origin {
	case OriginEmpty:
		mapping = json.RawMessage(emptyMapping)
	case OriginDefault:
		r, err := s.load(ctx, nil)
		if err != nil {
			return nil, err
		}
		mapping = r.mapping
	}
	s.c.log.InfoContext(ctx, "integration is created", "identifier", s.c.cfg.Identifier, "origin", origin, "default_resources", s.c.DefaultResources())
	i, err := s.c.createIntegration(ctx, s.cfg, origin, mapping)
	if err != nil {
		return nil, err
	}
	i.ResourcesOrigin = cmp.Or(i.ResourcesOrigin, origin)
	return i, nil
}

// origin decides where the resources of a new installation come from.
func (s *setup) origin(ctx context.Context) (string, error) {
	switch s.cfg.Origin {
	case OriginEmpty, OriginDefault:
		return s.cfg.Origin, nil
	case OriginOcean:
		s.c.log.WarnContext(ctx, "OCEAN__CREATE_PORT_RESOURCES_ORIGIN=Ocean is now called Default")
		return OriginDefault, nil
	case OriginPort, "":
	default:
		return "", errors.New("OCEAN__CREATE_PORT_RESOURCES_ORIGIN: expected Empty, Default or Port")
	}
	types, err := s.c.provisionEnabled(ctx)
	if err != nil {
		return "", err
	}
	if slices.Contains(types, s.c.cfg.IntegrationType) {
		org, err := s.c.organization(ctx)
		if err != nil {
			return "", err
		}
		if slices.Contains(org.FeatureFlags, "USE_PROVISIONED_DEFAULTS") {
			return OriginPort, nil
		}
	}
	if s.cfg.Origin == OriginPort {
		s.c.log.WarnContext(ctx, "Port does not make the resources of this integration: the defaults of this program are used")
	}
	return OriginDefault, nil
}

// reconcile patches what differs between Port and the configuration. Several
// processes may share an installation: each writes only what it decides about.
func (s *setup) reconcile(ctx context.Context, i *Integration) (*Integration, error) {
	c := s.c.cfg
	members := map[string]any{}
	differs := func(name string, value any, is bool) {
		if is {
			members[name] = value
		}
	}
	differs("installationAppType", c.IntegrationType, i.InstallationAppType != c.IntegrationType)
	differs("version", c.Version, i.Version != c.Version)
	differs("processingMode", processingMode, i.ProcessingMode != processingMode)
	differs("changelogDestination", s.cfg.ChangelogDestination,
		s.cfg.ChangelogDestination != nil && !sameDestination(i.ChangelogDestination, s.cfg.ChangelogDestination))
	differs("incrementalSyncEnabled", s.cfg.IncrementalSync, other(s.cfg.IncrementalSync, i.IncrementalSync))
	differs("actionsProcessingEnabled", s.cfg.ActionsProcessing, other(s.cfg.ActionsProcessing, i.ActionsProcessing))
	if len(members) == 0 {
		return i, nil
	}
	origin := i.ResourcesOrigin
	i, err := s.c.updateIntegration(ctx, members)
	if err != nil {
		return nil, err
	}
	i.ResourcesOrigin = cmp.Or(i.ResourcesOrigin, origin)
	return i, nil
}

// other reports whether a decision differs from what Port has.
func other(decided *bool, has bool) bool { return decided != nil && *decided != has }

// sameDestination compares two documents; none, null and {} are the same.
func sameDestination(a, b json.RawMessage) bool { return reflect.DeepEqual(content(a), content(b)) }

// resources makes the default resources of the installation's origin.
func (s *setup) resources(ctx context.Context, i *Integration) error {
	switch i.ResourcesOrigin {
	case OriginEmpty:
		return s.empty(ctx, i)
	case OriginPort:
		return s.awaitProvisioning(ctx)
	}
	if !s.cfg.InitializeResources {
		s.c.log.InfoContext(ctx, "default resources are not made: OCEAN__INITIALIZE_PORT_RESOURCES is false")
		return nil
	}
	r, err := s.load(ctx, i)
	if err != nil {
		return err
	}
	if !i.HasConfig() {
		if _, err := s.c.updateMapping(ctx, r.mapping); err != nil {
			return err
		}
	}
	if err := s.makeDefaults(ctx, r); err != nil {
		return err
	}
	_, err = s.c.updateIntegration(ctx, map[string]any{"arePortResourcesInitialized": true})
	return err
}

// empty marks an installation that wants no resources. A mapping that a user
// has written stays.
func (s *setup) empty(ctx context.Context, i *Integration) error {
	members := map[string]any{"arePortResourcesInitialized": true}
	if !i.HasConfig() {
		members["config"] = json.RawMessage(emptyMapping)
	}
	_, err := s.c.updateIntegration(ctx, members)
	return err
}

// provisionWait bounds the wait for resources that Port makes.
const provisionWait = 10 * time.Minute

// awaitProvisioning waits until Port has made the mapping.
func (s *setup) awaitProvisioning(ctx context.Context) error {
	s.c.log.InfoContext(ctx, "waiting for Port to make the default resources", "at_most", provisionWait)
	deadline := time.Now().Add(provisionWait)
	for wait := 3 * time.Second; ; wait = min(wait*3/2, time.Minute) {
		i, err := s.c.Integration(ctx)
		if err != nil {
			return err
		}
		if i.HasConfig() {
			return nil
		}
		if time.Now().Add(wait).After(deadline) {
			return fmt.Errorf("Port has not made the mapping within %s", provisionWait) //nolint:staticcheck // a name
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// makeDefaults makes blueprints, actions, scorecards and pages, unless one of
// the blueprints exists: then a user has already decided about them.
func (s *setup) makeDefaults(ctx context.Context, r *resources) error {
	for _, b := range r.blueprints {
		_, err := s.c.getBlueprint(ctx, b.id)
		if err == nil {
			s.c.log.InfoContext(ctx, "default resources are not made: a default blueprint exists", "blueprint", b.id)
			return nil
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	made, err := s.makeBlueprints(ctx, r.blueprints)
	if err != nil {
		s.rollBack(context.WithoutCancel(ctx), made)
		return err
	}
	s.makeRest(ctx, r)
	s.c.log.InfoContext(ctx, "default resources are made", "default_resources", s.c.DefaultResources(), "blueprints", len(made))
	return nil
}

// makeBlueprints works in three stages, because a blueprint can refer to one
// that comes later: bare, with relations, with what is computed along them. It
// returns what it created, also with an error.
func (s *setup) makeBlueprints(ctx context.Context, blueprints []defaultBlueprint) (made []string, err error) {
	for _, b := range blueprints {
		err := s.post(ctx, "/blueprints", b.stages[0], true)
		if err != nil && statusOf(err) != http.StatusConflict {
			return made, err
		}
		made = append(made, b.id)
	}
	for stage := 1; stage <= 2; stage++ {
		for _, b := range blueprints {
			body := b.stages[stage]
			if bytes.Equal(body, b.stages[stage-1]) {
				continue
			}
			k := &call{method: http.MethodPatch, path: "/blueprints/" + url.PathEscape(b.id), body: body, entities: true, opaque: true}
			if _, err := s.c.do(ctx, k); err != nil {
				return made, err
			}
		}
	}
	return made, nil
}

// post creates something. A conflict after a lost answer is success.
func (s *setup) post(ctx context.Context, path string, body []byte, entities bool) error {
	_, err := s.c.do(ctx, &call{method: http.MethodPost, path: path, body: body, entities: entities, repeatable: true, opaque: true})
	return err
}

// rollBack deletes blueprints. One that another still refers to is tried again
// after the other.
func (s *setup) rollBack(ctx context.Context, made []string) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	slices.Reverse(made)
	for range made {
		var left []string
		for _, id := range made {
			k := &call{method: http.MethodDelete, path: "/blueprints/" + url.PathEscape(id), entities: true, opaque: true}
			if _, err := s.c.do(ctx, k); err != nil && !errors.Is(err, ErrNotFound) {
				left = append(left, id)
			}
		}
		if len(left) == 0 || len(left) == len(made) {
			made = left
			break
		}
		made = left
	}
	if len(made) > 0 {
		s.c.log.WarnContext(ctx, "blueprints were not rolled back", "blueprints", strings.Join(made, ","))
	}
}

// makeRest makes what a catalog can do without: failures are warnings.
func (s *setup) makeRest(ctx context.Context, r *resources) {
	each := func(what, path string, docs []json.RawMessage) {
		for _, doc := range docs {
			if err := s.post(ctx, path, doc, false); err != nil && statusOf(err) != http.StatusConflict {
				s.c.log.WarnContext(ctx, "a default resource was not made", "resource", what, "err", err)
			}
		}
	}
	each("action", "/actions", r.actions)
	for _, blueprint := range slices.Sorted(maps.Keys(r.scorecards)) {
		each("scorecard", "/blueprints/"+url.PathEscape(blueprint)+"/scorecards", r.scorecards[blueprint])
	}
	each("page", "/pages", r.pages)
}

// load reads the default resources and checks the mapping. i is nil for an
// installation that is not made yet.
func (s *setup) load(ctx context.Context, i *Integration) (*resources, error) {
	from := map[string]fs.FS{ResourcesCompatible: Defaults(), ResourcesCorrected: CorrectedDefaults(), ResourcesOwn: s.cfg.Resources}
	which := s.cfg.DefaultResources
	if s.cfg.Resources != nil {
		which = ResourcesOwn
	}
	if which == "" {
		corrected, err := loadResources(CorrectedDefaults())
		if err != nil {
			return nil, err
		}
		if which, err = s.choose(ctx, i, corrected); err != nil {
			return nil, err
		}
	}
	r, err := loadResources(from[which])
	if err != nil {
		return nil, err
	}
	if s.cfg.CheckMapping != nil {
		if err := s.cfg.CheckMapping(r.mapping); err != nil {
			return nil, fmt.Errorf("default mapping: %w", err)
		}
	}
	s.c.resources.Store(&which)
	return r, nil
}

// choose picks corrected resources for an installation that is new and whose
// blueprints are, and for one that was made like that and not completed: its mapping
// and its blueprints belong together.
func (s *setup) choose(ctx context.Context, i *Integration, corrected *resources) (string, error) {
	if i != nil {
		is, want := gjson.GetBytes(i.Config, "resources"), gjson.GetBytes(corrected.mapping, "resources")
		if reflect.DeepEqual(is.Value(), want.Value()) {
			return ResourcesCorrected, nil
		}
		return ResourcesCompatible, nil
	}
	for _, b := range corrected.blueprints {
		if _, err := s.c.getBlueprint(ctx, b.id); err == nil {
			return ResourcesCompatible, nil
		} else if !errors.Is(err, ErrNotFound) {
			return "", err
		}
	}
	return ResourcesCorrected, nil
}

// DefaultResources says which default resources Setup has used: one of the Resources
// constants, or empty when there was nothing to make.
func (c *Client) DefaultResources() string {
	if which := c.resources.Load(); which != nil {
		return *which
	}
	return ""
}
