package porttest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"syscall"
)

// Transport returns a transport to the server without any socket, for use with
// testing/synctest (make the server inside the bubble) and wherever a listener
// is one part too many. Hosts in URLs are ignored.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

// RoundTrip waits for the answer or for the end of the request's context. The
// server may go on handling a request that was given up, as over a network.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	in := r.Clone(ctx)
	if in.RequestURI = r.URL.RequestURI(); in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	} else {
		body, err := io.ReadAll(in.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
		in.Body = io.NopCloser(bytes.NewReader(body))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answered := make(chan *recorder, 1)
	go func() {
		w := &recorder{header: http.Header{}}
		defer func() { answered <- w }()
		defer func() {
			if p := recover(); p != nil {
				if err, isErr := p.(error); !isErr || !errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				w.cut = true
			}
		}()
		t.s.ServeHTTP(w, in)
	}()
	select {
	case w := <-answered:
		return w.response(r)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	cut    bool // the connection, at this place
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }

func (w *recorder) response(r *http.Request) (*http.Response, error) {
	if w.cut && w.status == 0 {
		return nil, syscall.ECONNRESET
	}
	var body io.Reader = &w.body
	size := int64(w.body.Len())
	if w.cut {
		body, size = io.MultiReader(body, brokenReader{}), -1
	}
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(body), ContentLength: size, Request: r,
	}, nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
