package azuredevopstest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	hookTries    = 9 // the first one included
	hookTimeout  = 30 * time.Second
	hookLongest  = time.Minute // between two tries
	hookDisabled = 5           // failures in a row after which a subscription is switched off
)

// work delivers what waits for a subscription, one after the other.
func (h *hooks) work(x *hook) {
	for {
		h.mu.Lock()
		if h.ctx.Err() != nil || x.gone || !x.delivers() {
			h.answered(len(x.queue))
			x.queue = nil
		}
		if len(x.queue) == 0 {
			x.working = false
			h.mu.Unlock()
			return
		}
		n := x.queue[0]
		x.queue = x.queue[1:]
		decide := h.decide
		h.mu.Unlock()

		fate := Sent
		if decide != nil {
			fate = decide(h.ctx, n.Delivery)
		}
		good := true
		switch fate {
		case Failed:
			n.Problem, good = "The consumer could not be reached.", false
		case Twice:
			h.deliver(x, n)
			fallthrough
		case Sent:
			good = h.deliver(x, n)
		case Lost:
		}

		h.mu.Lock()
		if fate != Lost {
			h.note(x, n, good)
		}
		h.answered(1)
		h.mu.Unlock()
	}
}

// note keeps the outcome of a delivery, and what follows from it for the
// subscription. The caller holds the lock.
//
// https://learn.microsoft.com/azure/devops/service-hooks/troubleshoot
func (h *hooks) note(x *hook, n *Notification, good bool) {
	n.Modified, n.Result = h.world.now(), "succeeded"
	if !good {
		n.Result = "failed"
	}
	if len(x.history) == hookHistory {
		x.history = slices.Delete(x.history, 0, hookHistory/10)
	}
	x.history = append(x.history, n)
	if x.Status == statusProbation {
		x.Probed = n.Modified
	}
	switch {
	case !x.delivers():
	case good:
		x.failures, x.Status = 0, statusEnabled
	default:
		x.Status = statusProbation
		if x.failures++; x.failures >= hookDisabled || n.Status == http.StatusGone {
			x.Status = statusDisabled
		}
	}
}

// deliver posts a delivery until it is taken or there is no hope: a consumer that
// is busy or away is asked again for a while, but not on probation.
func (h *hooks) deliver(x *hook, n *Notification) bool {
	pause := h.retry
	for try := 1; ; try++ {
		h.mu.Lock()
		to := x.Subscription // its inputs are replaced, never changed
		h.mu.Unlock()
		status, err := h.post(to, n)
		n.Attempts++
		n.Status, n.Problem = status, ""
		again := true
		switch {
		case err != nil:
			n.Problem = err.Error()
		case status/100 == 2:
			return true
		default:
			n.Problem = fmt.Sprintf("The consumer answered %d (%s).", status, http.StatusText(status))
			again = slices.Contains([]int{http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, status)
		}
		if !again || try == hookTries || h.retry < 0 || to.Status == statusProbation || wait(h.ctx, pause) != nil {
			return false
		}
		pause = min(2*pause, hookLongest)
	}
}

// post makes one request as the subscription wants it.
func (h *hooks) post(to Subscription, n *Notification) (status int, err error) {
	ctx, cancel := context.WithTimeout(h.ctx, hookTimeout)
	defer cancel()
	in := to.ConsumerInputs
	if to.Consumer == queueConsumer {
		h.enqueue(in["accountName"], in["queueName"], to.payload(n))
		return http.StatusCreated, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, in["url"], bytes.NewReader(to.payload(n)))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", jsonType)
	req.Header.Set("User-Agent", "VSServices/19.0 (azuredevopstest)")
	for line := range strings.Lines(in["httpHeaders"]) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			req.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	if user, password := in["basicAuthUsername"], in["basicAuthPassword"]; user != "" || password != "" {
		req.SetBasicAuth(user, password)
	}
	res, err := h.client.Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) // the answer's text does not matter
	_ = res.Body.Close()
	return res.StatusCode, nil
}

// payload is the body of a delivery.
func (s Subscription) payload(n *Notification) []byte {
	return n.Event.payload(
		object{"subscriptionId", s.ID, "notificationId", n.ID},
		s.ConsumerInputs["resourceDetailsToSend"] != "none",
		s.ConsumerInputs["messagesToSend"] != "none",
		s.ConsumerInputs["detailedMessagesToSend"] != "none",
	)
}
