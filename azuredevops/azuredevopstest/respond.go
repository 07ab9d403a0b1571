package azuredevopstest

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// A response is an answer before it is written.
type response struct {
	status int
	header http.Header
	body   []byte
	cut    int           // bytes that Content-Length promises and that never come
	pause  time.Duration // in the middle of the body
}

// write writes the body, with its pause.
func (r *response) write(ctx context.Context, w io.Writer, flush func() error) error {
	half := 0
	if r.pause > 0 {
		half = len(r.body) / 2
		if _, err := w.Write(r.body[:half]); err != nil {
			return err
		}
		_ = flush() // an error shows itself at the next write
		if err := wait(ctx, r.pause); err != nil {
			return err
		}
	}
	_, err := w.Write(r.body[half:])
	return err
}

// compress is worth it from about one packet on.
func (r *response) compress() {
	const packet = 1400
	if len(r.body) < packet {
		return
	}
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is a valid one
	_, _ = w.Write(r.body)                          // a buffer takes everything
	_ = w.Close()
	r.body = b.Bytes()
	r.header.Set("Content-Encoding", "gzip")
}

const jsonType = "application/json; charset=utf-8"

func answerBytes(status int, contentType string, body []byte) *response {
	r := &response{status: status, header: http.Header{}, body: body}
	if contentType != "" {
		r.header.Set("Content-Type", contentType)
	}
	return r
}

func ok(v any) *response { return answerBytes(http.StatusOK, jsonType, encode(v)) }

// collection is {"count": n, "value": […]}.
func collection[T any](list []T, show func(T) object) *response {
	out := make([]object, 0, len(list))
	for _, v := range list {
		out = append(out, show(v))
	}
	return ok(object{"count", len(out), "value", out})
}

// page is an HTML answer.
func page(status int, title string) *response {
	return answerBytes(status, "text/html; charset=utf-8",
		[]byte("<!DOCTYPE html>\r\n<html lang=\"en\"><head><title>"+title+"</title></head><body><h1>"+title+"</h1></body></html>\r\n"))
}

// Exception types that several areas use.
const (
	errArgument   = "System.ArgumentException"
	errBadRequest = "Microsoft.VisualStudio.Services.Common.VssPropertyValidationException"
	errForbidden  = "Microsoft.TeamFoundation.Framework.Server.AccessCheckException"
)

// failure is the error object of the service. typ is the full name of the
// exception; its last part is the typeKey.
func failure(status int, typ, message string) *response {
	at := strings.LastIndexByte(typ, '.')
	event := 3000
	if strings.Contains(typ, "WorkItemTracking") {
		event = 3200
	}
	return answerBytes(status, jsonType, encode(object{
		"$id", "1",
		"innerException", nil,
		"message", message,
		"typeName", typ + ", " + typ[:at],
		"typeKey", typ[at+1:],
		"errorCode", 0,
		"eventId", event,
	}))
}

func noController(q *request) *response {
	return failure(http.StatusNotFound, "System.Web.HttpException",
		"The controller for path '"+q.URL.Path+"' was not found or does not implement IController.")
}

func noProject(key string) *response {
	typ := "ProjectDoesNotExistWithNameException"
	if len(key) == 36 && strings.Count(key, "-") == 4 {
		typ = "ProjectDoesNotExistException"
	}
	return failure(http.StatusNotFound, "Microsoft.TeamFoundation.Core.WebApi."+typ, "TF200016: The following project does not exist: "+key+
		". Verify that the name of the project is correct and that the project exists on the specified Azure DevOps Server.")
}

func noRepository(key string) *response {
	return failure(http.StatusNotFound, "Microsoft.TeamFoundation.Git.Server.GitRepositoryNotFoundException",
		"TF401019: The Git repository with name or identifier "+key+" does not exist or you do not have permissions for the operation you are attempting.")
}

func notFound(typ, message string) *response { return failure(http.StatusNotFound, typ, message) }
