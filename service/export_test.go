package service

import "net/http"

// Server is what answers requests.
func (s *Service) Server() http.Handler { return s.server }
