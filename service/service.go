// Package service is the integration as it runs: it wires the parts, and orders their
// start and stop. Nothing else knows all of them, and nothing is decided here.
package service

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/azuredevops/hooks"
	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/mapping/resync"
	"github.com/ado-port/ado-port/mapping/resync/leader"
	"github.com/ado-port/ado-port/mapping/resync/live"
	"github.com/ado-port/ado-port/mapping/resync/origins"
	"github.com/ado-port/ado-port/port/actions"
	"github.com/ado-port/ado-port/port/listener"
	"github.com/ado-port/ado-port/port/ocean"
	"github.com/ado-port/ado-port/replica"
	"github.com/ado-port/ado-port/webhook"
	"github.com/ado-port/ado-port/webhook/queue"
)

// A Service is the integration with all its parts.
type Service struct {
	*Clients

	waiting  bool           // for the state directory: nothing but the server is there
	audit    *catalog.Audit // nil when it is off
	book     *origins.Book  // nil where events are not followed
	runner   *resync.Runner
	follow   *live.Follower                                   // nil where events are not followed
	keeper   *hooks.Keeper                                    // nil: there is no way for events to come
	server   *webhook.Server                                  // nil: nobody listens
	queue    *queue.Queue                                     // nil: events are posted
	actions  *actions.Processor                               // nil where actions are not enabled
	deliver  func(ctx context.Context, bodies [][]byte) error // handles deliveries of hooks
	woken    listener.Waker                                   // why a resync is asked for: POST /resync, or lost events
	complete bool                                             // the last resync came to its end
	planned  func(now time.Time) time.Time                    // when the next resync is due; nil: none is planned
	group    *replica.Group                                   // nil: this process is alone
	leader   *leader.Leader
	touches  *leader.Touches // nil: this process is alone
}

// Run makes a service and runs it until ctx is done, or it has done what it was for. One
// that waits for its state directory answers meanwhile that it is not ready.
func Run(ctx context.Context, opt Options) error {
	s, err := New(ctx, opt)
	if errors.Is(err, ocean.ErrState) && opt.Config.Ocean.EventListener.Type != ocean.ListenOnce {
		if err = await(ctx, opt, err); err == nil && ctx.Err() == nil {
			s, err = New(ctx, opt)
		}
	}
	if err != nil || s == nil {
		return err
	}
	return s.Run(ctx)
}

// await answers deliveries with 503, and that it is not ready, until the state
// directory that was named can be used. It returns nil then, and at the end of ctx.
func await(ctx context.Context, opt Options, why error) error {
	s := &Service{Clients: newBare(opt), waiting: true, woken: listener.NewWaker()}
	s.Log, _ = opt.Process.NewLog(opt.Config.Application.Level(), false)
	if err := s.newServer(ctx); err != nil {
		return err
	}
	s.Log.ErrorContext(ctx, "waiting for the state directory", "err", why)
	s.server.RunWhile(ctx, func(ctx context.Context) {
		ocean.AwaitState(ctx, opt.Config.Ocean.StateDirectory, opt.Process.Environ, s.Log)
	})
	return nil
}

// New wires the parts and binds the listener. It dials nothing.
func New(ctx context.Context, opt Options) (*Service, error) {
	c, err := newClients(ctx, opt, Uses{State: true, records: true})
	if err != nil {
		return nil, err
	}
	cfg, p := opt.Config, opt.Process
	s := &Service{Clients: c, woken: listener.NewWaker()}
	ocean.SweepState(s.state, s.Log)
	if s.group, err = s.newGroup(); err != nil {
		return nil, err
	}
	s.touches = leader.NewTouches(s.group, s.Records, s.Organizations, s.component("leader"))
	s.leader = leader.New(leader.Config{Group: s.group, Wake: s.woken.Ask, Log: s.component("leader")})
	s.planned = cfg.Ocean.Schedule(time.Now())
	if cfg.Ocean.Audit.Enabled {
		s.audit = catalog.NewAudit(catalog.AuditConfig{PerResync: cfg.Ocean.Audit.MaxLines, PerMinute: catalog.LivePerMinute, Tell: s.demoTold, Log: s.component("audit")})
	}
	into := catalog.New(catalog.Config{Port: s.Port, TempDirectory: s.state, Audit: s.audit, Registry: s.metrics, Log: s.component("catalog")})
	pipelines := azuredevops.NewPipelines(s.Organizations, func(id string) *azuredevops.Client { return s.keeper.Registered(id) })
	if err := s.newActions(pipelines); err != nil {
		return nil, err
	}
	if cfg.Ocean.FollowsEvents() {
		s.book = origins.OpenOrShare(s.state, s.group, s.component("resync"))
		fc := live.Config{
			Organizations: s.Organizations, Catalog: into, Mapping: s.Source.Current, Book: s.book, StateDirectory: s.state,
			Registered: func(id string) *azuredevops.Client { return s.keeper.Registered(id) }, Touched: s.touches.Note, Log: s.component("live"),
		}
		if s.group != nil {
			fc.GitOps = s.group.Table("gitops", false)
		}
		s.follow = live.New(fc)
		s.deliver = s.actions.Hooked(triggerPipeline, pipelines.Ended, s.follow.Handle)
		if s.keeper, err = s.newKeeper(); errors.Is(err, hooks.ErrCredential) {
			s.Log.ErrorContext(ctx, "service hooks are neither made nor repaired", "err", err)
		} else if err != nil {
			return nil, err
		}
		s.Source.OnChange(s.keeper.Soon) // another mapping may need other events
	}
	s.runner, err = resync.New(resync.Config{
		Organizations: s.Organizations, Port: s.Port, Catalog: into, Mapping: s.Source.Fresh, Book: s.book,
		StateDirectory: s.state, TempDirectory: s.state, SendExamples: cfg.Ocean.SendRawDataExamples,
		Schedule: s.planned, Interval: cfg.Ocean.Distance(), Heartbeat: cfg.Ocean.HeartbeatInterval, Grace: cfg.Ocean.ShutdownWait,
		DeletionBrake: float64(cfg.Ocean.DeletionBrake),
		Observer: resync.NewObserver(p.Out, resync.NewScreen(p.Terminal, p.Masker.Line, p.Environ["NO_COLOR"] == ""),
			opt.ShowTable || cfg.Ocean.EventListener.Type == ocean.ListenOnce, cfg.Ocean.Verbose), Ended: s.resynced, Log: s.component("resync"),
		Records: s.Records, Touched: s.touches.TakeOver,
		ResumeWithin: s.storedWithin(cfg.Ocean.ResumeWithin), ReplayWithin: s.storedWithin(cfg.Ocean.ReplayWithin),
		Replays: []string{listener.CauseAsked, listener.CauseMapping}, Reads: []string{listener.CauseMissed, listener.CausePosted},
		Causes: listener.Causes(), Registry: s.metrics,
	})
	if err != nil {
		return nil, err
	}
	if err := s.newServer(ctx); err != nil {
		return nil, err
	}
	if s.follow != nil {
		s.queue, err = s.openQueue(s.server)
	}
	return s, err
}

// storedWithin is how old records may be that are used: 0 where another process may
// follow the events of this installation, because what it has written is newer than
// what is stored here.
func (s *Service) storedWithin(age time.Duration) time.Duration {
	if s.group == nil && s.Config.Shared.Enabled() || s.follow == nil && (s.Config.Ocean.PublicURL(hooks.Route) != "" || s.Config.Ocean.StorageQueue.URL != "") {
		return 0
	}
	return age
}

// newGroup makes what several processes share; nil for one that is alone, or ends.
func (s *Service) newGroup() (*replica.Group, error) {
	rc := s.replicaConfig()
	rc.Lost, rc.Directory, rc.Log, rc.Registry = func() { s.leader.AskLost(listener.CauseMissed) }, s.state, s.component("replica"), s.metrics
	return replica.New(rc)
}

// triggerPipeline is the type of the only action of this integration.
const triggerPipeline = "trigger_pipeline"

// newActions makes what runs self-service actions, or hears of their end only.
func (s *Service) newActions(pipelines *azuredevops.Pipelines) (err error) {
	if !s.Config.Ocean.HasActions() {
		return nil
	}
	set := &s.Config.Ocean.ActionsProcessor
	ac := actions.Config{
		Port: s.Port, Installation: s.Config.Ocean.Integration.Identifier, Executors: map[string]actions.Executor{triggerPipeline: pipelines},
		Directory: s.state, HighWatermark: set.HighWatermark, MaxShare: set.MaxShare, Lease: set.VisibilityTimeout, Interval: set.PollInterval, Workers: set.Workers,
		Grace: s.Config.Ocean.ShutdownWait, Log: s.component("actions"), Registry: s.metrics,
	}
	if s.group != nil {
		ac.Store = s.group.Table("actions", true)
	}
	s.actions, err = actions.New(ac)
	return err
}

// resynced is called at the end of every full resync.
func (s *Service) resynced(sum *resync.Summary) {
	s.complete = sum.State == resync.StateCompleted
	s.keeper.Soon() // there may be new projects
}

// missed asks whoever leads for a resync, because deliveries did not arrive.
func (s *Service) missed() { s.leader.Ask(listener.CauseMissed) }

// once ends after one resync, or after what waits in the storage queue.
func (s *Service) once(ctx context.Context) error {
	set := &s.Config.Ocean
	if !set.EventsOnly() {
		return s.runner.Once(ctx, set.Integration.Lookback(), set.StrictExit)
	}
	o := queue.Once{
		Queue: s.queue, Subscriptions: s.keeper.Once, Note: s.keeper.Note, Known: s.book.Known(), Handle: s.server.Start, Waiting: s.server.Unhandled,
		Asked: s.woken, Strict: set.StrictExit, Log: s.component("queue"),
	}
	o.Resync = func(ctx context.Context) (bool, error) {
		err := s.runner.Once(ctx, 0, set.StrictExit)
		return s.complete, err
	}
	return o.Run(ctx)
}

// Run sets the installation up and serves until ctx is done. The order of the
// end is that of the work: resyncs and deliveries, then the log.
func (s *Service) Run(ctx context.Context) error {
	defer s.Records.Close()
	defer s.shipper.Start(ctx, s.Port)()
	defer s.audit.Close(context.WithoutCancel(ctx))
	s.Config.Ocean.Announce(ctx, s.Log, ocean.Start{
		Build: s.Build, Organizations: azuredevops.Addresses(s.Organizations), Credential: s.Config.AzureDevOps.SignIn(), State: s.state, Address: s.server.Address(),
		Redis: s.group.Address(),
	})
	listen := &s.Config.Ocean.EventListener
	once := listen.Type == ocean.ListenOnce
	if !once {
		defer s.group.Start(ctx)() // after the server, which gives back what it has
	}
	serving, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	parts.Go(func() {
		if <-serving.Done(); ctx.Err() != nil {
			s.Config.Ocean.Stopping(ctx, s.Log, s.runner.UnderWay(), s.server.UnderWay(), s.actions.UnderWay())
		}
	})
	parts.Go(func() { s.server.Serve(serving) })
	parts.Go(func() { s.group.Watch(serving, func(n int) { azuredevops.Share(s.Organizations, n) }) })
	setup := s.Config.Ocean.Setup(s.Source.Check, func(ctx context.Context) error { return azuredevops.Ask(ctx, s.Organizations) })
	err := s.group.Alone(ctx, "setup", func() error { return s.Port.SetupWhenReachable(ctx, setup, !once) })
	if ctx.Err() != nil {
		return nil // a stop is none
	}
	if err != nil {
		return err
	}
	s.Source.Use(ctx, s.Port.Installed().Config)
	if once {
		return s.once(ctx)
	}
	if s.follow != nil {
		parts.Go(func() { s.keeper.Follow(serving) })
		parts.Go(func() {
			if s.leader.AwaitOpen(serving) {
				s.server.Start()
			}
		})
	}
	return s.leader.Run(ctx, s.lead)
}

// lead does what one process does, until ctx is done.
func (s *Service) lead(ctx context.Context, turn leader.Turn) error {
	serving, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	if s.Config.Ocean.RunsActions() {
		parts.Go(func() { s.actions.Run(serving) })
	}
	listen := &s.Config.Ocean.EventListener
	begins, since := listen.After(s.Port.Installed().Resynced())
	begins, since = turn.Begins(begins) || turn.Asked, turn.Since(since)
	if s.follow != nil {
		parts.Go(func() {
			s.runner.Prepare(serving, begins)
			s.leader.Open(serving)
			s.keeper.Run(serving)
		})
	}
	parts.Go(func() { s.book.Tend(serving) })
	parts.Go(func() { s.touches.Tend(serving) })
	full := func(ctx context.Context, cause string) error { _, err := s.runner.Full(ctx, cause); return err }
	parts.Go(func() { s.queue.Run(serving) })
	lc := listener.Config{
		Resync: s.leader.Noted(full), Asked: s.runner.Reconsider,
		Wake: s.woken, Interval: listen.Interval, OnStart: begins && !turn.Asked, Since: since, Schedule: s.planned, Log: s.component("listener"),
	}
	if listen.Listens() {
		lc.Requested = s.Port.ResyncRequest
	}
	if listen.ReadsKafka() {
		lc.Kafka = listener.NewKafka(listener.KafkaConfig{
			Brokers: listen.Brokers, Mechanism: listen.KafkaMechanism(), Dial: s.Network.DialPort(listen.KafkaEncrypted()),
			Topic: s.Port.KafkaTopic, Credentials: s.Port.KafkaCredentials,
			Type: s.Config.Ocean.Integration.Type, Identifier: s.Config.Ocean.Integration.Identifier, Log: s.component("listener"),
		})
	}
	if err := listener.Run(ctx, lc); ctx.Err() == nil {
		return err
	}
	return nil
}
