package azuredevopstest

import (
	"net/http"
	"net/url"
	"slices"
)

// logLimit bounds the request log; the oldest entries go first.
const logLimit = 100_000

// A Request is an entry of the request log.
type Request struct {
	Method  string
	Route   string // "GET /{project}/_apis/git/repositories", "GET (no route)"
	Path    string
	Query   url.Values
	Header  http.Header // credentials included
	Project string      // name, when the path names an existing one
	Status  int         // 0 when the connection was reset
	Fault   string      // name of the fault that was applied
}

type requestLog struct {
	entries  []Request
	calls    map[string]int // by canonical route
	total    int
	inFlight int
	most     int
}

// Requests are the answered requests, the oldest first; of a very long run the
// last 100,000.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log.entries)
}

// Calls counts the answered requests of a route, such as
// "GET /{project}/_apis/git/repositories". The names of parameters and the case
// do not matter. An empty route counts all.
func (s *Server) Calls(route string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if route == "" {
		return s.log.total
	}
	return s.log.calls[canonical(route)]
}

// MaxInFlight is the largest number of requests that were open at once.
func (s *Server) MaxInFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.most
}

// ClearRequests empties the log and the counts.
func (s *Server) ClearRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = requestLog{calls: map[string]int{}, inFlight: s.log.inFlight}
}

func (s *Server) began() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.inFlight++
	s.log.most = max(s.log.most, s.log.inFlight)
}

func (s *Server) ended(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.inFlight--
	s.log.total++
	s.log.calls[canonical(r.Route)]++
	if len(s.log.entries) >= logLimit {
		s.log.entries = slices.Delete(s.log.entries, 0, logLimit/10)
	}
	s.log.entries = append(s.log.entries, r)
}
