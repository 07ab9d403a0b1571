package queue

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"github.com/ado-port/ado-port/webhook"
)

// What becomes of a message; a label of the metric.
const (
	resultStored = "stored"
	resultDead   = "dead"
	resultCheck  = "check"
)

// mostReads of one message: it is never stored and nobody knows why, as when each try
// ends the process. Answers that are lost on their way count too, so it is an hour's
// worth. While deliveries cannot be stored nothing is read, and so nothing is counted.
const mostReads = 240

// store makes a message durable.
func (q *Queue) store(ctx context.Context, m *azqueue.DequeuedMessage) (result string, err error) {
	text := *m.MessageText
	body, err := decode(text)
	switch {
	case err != nil:
		return q.bury(ctx, m, err, []byte(text))
	case isCheck(body):
		return resultCheck, nil
	case m.DequeueCount != nil && *m.DequeueCount > mostReads:
		return q.bury(ctx, m, fmt.Errorf("read %d times and never stored", *m.DequeueCount), body)
	}
	err = q.cfg.Into.Accept(ctx, body)
	if errors.Is(err, webhook.ErrNoDelivery) {
		return q.bury(ctx, m, err, body)
	}
	return resultStored, err
}

// bury keeps a message as a dead letter.
func (q *Queue) bury(ctx context.Context, m *azqueue.DequeuedMessage, reason error, body []byte) (string, error) {
	return resultDead, q.cfg.Into.Bury(ctx, *m.MessageID, "message of the storage queue: "+reason.Error(), body)
}

var errEncoding = errors.New("neither base64 nor JSON")

// decode reads the text of a message. Azure DevOps writes base64; what somebody puts
// there by hand may be plain JSON.
func decode(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		return []byte(text), nil
	}
	body, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errEncoding
	}
	return bytes.TrimPrefix(body, []byte("\ufeff")), nil
}

// A checkMessage is what ado-port check sends. A service that reads it throws it away.
type checkMessage struct {
	Check string `json:"adoPortCheck"`
}

// isCheck tells whether a body is a checkMessage, whoever has sent it.
func isCheck(body []byte) bool {
	const enough = 256 // to be read as a whole
	var c checkMessage
	return len(body) < enough && json.Unmarshal(body, &c) == nil && c.Check != ""
}
