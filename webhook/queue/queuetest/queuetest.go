// Package queuetest imitates the queues of an Azure Storage account in the process, as
// far as reading, writing and deleting messages goes. Signatures are not verified.
//
// https://learn.microsoft.com/rest/api/storageservices/queue-service-rest-api
package queuetest

import (
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Server holds queues by their path, /ACCOUNT/QUEUE. The zero value has none.
type Server struct {
	mu     sync.Mutex
	queues map[string][]*message
}

type message struct {
	id, receipt, text string
	visible           time.Time
	reads             int
}

// Len is the number of messages of a queue, those included that somebody has in hand;
// less than 0 when there is no such queue.
func (s *Server) Len(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[path]
	if !ok {
		return -1
	}
	return len(q)
}

// Put adds a message, and makes its queue if need be. reads is how often it has been
// read before.
func (s *Server) Put(path, text string, reads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(path, &message{id: rand.Text(), text: text, reads: reads})
}

func (s *Server) add(path string, m ...*message) {
	if s.queues == nil {
		s.queues = map[string][]*message{}
	}
	s.queues[path] = append(s.queues[path], m...)
}

// ServeHTTP answers as the service does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("x-ms-request-id", rand.Text())
	w.Header().Set("x-ms-version", r.Header.Get("x-ms-version"))
	w.Header().Set("Content-Type", "application/xml")
	queue, id, isMessages := strings.Cut(r.URL.Path, "/messages")
	_, exists := s.queues[queue]
	switch {
	case r.Header.Get("Authorization") == "":
		refuse(w, http.StatusForbidden, "AuthenticationFailed")
	case !isMessages && r.Method == http.MethodPut:
		s.add(queue)
		w.WriteHeader(http.StatusCreated)
	case !exists:
		refuse(w, http.StatusNotFound, "QueueNotFound")
	case r.Method == http.MethodPost:
		s.post(w, r, queue)
	case r.Method == http.MethodGet && isMessages:
		s.read(w, r, queue)
	case r.Method == http.MethodDelete && isMessages:
		s.delete(w, queue, strings.TrimPrefix(id, "/"), r.URL.Query().Get("popreceipt"))
	default:
		refuse(w, http.StatusBadRequest, "UnsupportedHttpVerb")
	}
}

func (s *Server) post(w http.ResponseWriter, r *http.Request, queue string) {
	var in struct{ MessageText string }
	if xml.NewDecoder(r.Body).Decode(&in) != nil {
		refuse(w, http.StatusBadRequest, "InvalidXmlDocument")
		return
	}
	m := &message{id: rand.Text(), receipt: rand.Text(), text: in.MessageText}
	s.add(queue, m)
	w.WriteHeader(http.StatusCreated)
	answer(w, []*message{m})
}

func (s *Server) read(w http.ResponseWriter, r *http.Request, queue string) {
	number := func(name string) int {
		n, _ := strconv.Atoi(r.URL.Query().Get(name))
		return n
	}
	now, most := time.Now(), max(1, number("numofmessages"))
	var out []*message
	for _, m := range s.queues[queue] {
		if len(out) < most && !m.visible.After(now) {
			m.visible, m.receipt, m.reads = now.Add(time.Duration(number("visibilitytimeout"))*time.Second), rand.Text(), m.reads+1
			out = append(out, m)
		}
	}
	answer(w, out)
}

func (s *Server) delete(w http.ResponseWriter, queue, id, receipt string) {
	for i, m := range s.queues[queue] {
		switch {
		case m.id != id:
		case m.receipt != receipt:
			refuse(w, http.StatusBadRequest, "PopReceiptMismatch")
			return
		default:
			s.queues[queue] = append(s.queues[queue][:i:i], s.queues[queue][i+1:]...)
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	refuse(w, http.StatusNotFound, "MessageNotFound")
}

func answer(w http.ResponseWriter, messages []*message) {
	type entry struct {
		MessageID       string `xml:"MessageId"`
		InsertionTime   string
		ExpirationTime  string
		PopReceipt      string
		TimeNextVisible string
		DequeueCount    int
		MessageText     string
	}
	out := struct {
		XMLName xml.Name `xml:"QueueMessagesList"`
		List    []entry  `xml:"QueueMessage"`
	}{}
	now := time.Now().UTC()
	for _, m := range messages {
		out.List = append(out.List, entry{
			m.id, now.Format(http.TimeFormat), now.Add(time.Hour).Format(http.TimeFormat), m.receipt,
			m.visible.UTC().Format(http.TimeFormat), m.reads, m.text,
		})
	}
	_ = xml.NewEncoder(w).Encode(out)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("x-ms-error-code", code)
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>no</Message></Error>", code)
}
