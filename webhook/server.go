package webhook

import (
	"context"
	"iter"
	"net"
	"time"

	"github.com/ado-port/ado-port/webhook/spool"
)

// A Server receives hooks and works on them. Its methods are safe for
// concurrent use.
type Server struct {
	cfg      Config
	listener net.Listener
	spool    *spool.Spool
}

// New binds the listener and opens the spool; nothing is served before Run.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg}, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Start lets workers begin. Until then deliveries are accepted and wait.
func (s *Server) Start() {}

// Run serves until ctx is done, then stops in the order of the work.
func (s *Server) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Stats is a picture of what the server does.
type Stats struct {
	spool.Stats
	Uptime time.Duration
}

// Stats reports what the server does.
func (s *Server) Stats() Stats { return Stats{} }

// Dead lists the dead letters, oldest first, with their bodies.
func (s *Server) Dead() iter.Seq2[DeadLetter, error] { return nil }

// Redrive gives the dead letters of these ids, or all when none is named,
// another life, and reports how many.
func (s *Server) Redrive(ctx context.Context, ids ...uint64) (int, error) { return 0, nil }

// Drop deletes a dead letter.
func (s *Server) Drop(ctx context.Context, id uint64) error { return nil }
