package queue

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
)

// Prove sends a message through the queue and reads it again. other says that a
// service, which reads the queue just now, was faster. What else is read is hidden for
// a second.
func (q *Queue) Prove(ctx context.Context) (other bool, err error) {
	text, err := json.Marshal(checkMessage{Check: rand.Text()})
	if err != nil {
		return false, err
	}
	content := base64.StdEncoding.EncodeToString(text)
	short := &azqueue.EnqueueMessageOptions{TimeToLive: new(int32(60))}
	sent, err := q.client.EnqueueMessage(ctx, content, short)
	if missing(err) {
		if err := q.create(ctx); err != nil {
			return false, err
		}
		sent, err = q.client.EnqueueMessage(ctx, content, short)
	}
	if err != nil {
		return false, explain(err)
	}
	if len(sent.Messages) == 0 || sent.Messages[0].MessageID == nil || sent.Messages[0].PopReceipt == nil {
		return false, errMalformed
	}
	id, receipt := *sent.Messages[0].MessageID, *sent.Messages[0].PopReceipt
	got, err := q.client.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{NumberOfMessages: new(int32(batch)), VisibilityTimeout: new(int32(1))})
	if err != nil {
		return false, explain(err)
	}
	i := slices.IndexFunc(got.Messages, func(m *azqueue.DequeuedMessage) bool { return m.MessageID != nil && *m.MessageID == id })
	if i >= 0 && got.Messages[i].PopReceipt != nil {
		receipt = *got.Messages[i].PopReceipt
	}
	err = q.erase(ctx, id, receipt)
	if gone(err) || late(err) {
		return true, nil
	}
	return false, explain(err)
}
