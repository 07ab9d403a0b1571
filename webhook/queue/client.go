package queue

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"
)

// Names of the settings, for what people read.
const (
	urlVariable = "OCEAN__HOOKS__STORAGE_QUEUE_URL"
	keyVariable = "OCEAN__HOOKS__STORAGE_ACCOUNT_KEY"
)

// newClient signs in with the key, or with the identity of the process.
func newClient(cfg *Config) (*azqueue.QueueClient, error) {
	opt := &azqueue.ClientOptions{ClientOptions: policy.ClientOptions{
		// What lasts is retried by Run, which says so.
		Retry: policy.RetryOptions{
			MaxRetries: 2, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second, TryTimeout: 20 * time.Second,
		},
		Telemetry:        policy.TelemetryOptions{Disabled: true},
		PerRetryPolicies: []policy.Policy{storageOnly{}},
	}}
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport
	}
	opt.Transport = through(bounded{cfg.Transport})
	if cfg.Key != "" {
		key, err := azqueue.NewSharedKeyCredential(cfg.Account, cfg.Key)
		if err != nil {
			return nil, errors.New(keyVariable + ": want the key of the storage account as the portal shows it, in base64")
		}
		return azqueue.NewQueueClientWithSharedKeyCredential(cfg.URL, key, opt)
	}
	if strings.HasPrefix(cfg.URL, "http:") {
		return nil, errors.New(urlVariable + ": want https:// where the identity of the process signs in, or set " + keyVariable)
	}
	signIn := &azidentity.DefaultAzureCredentialOptions{}
	signIn.Transport = through(outside{cfg.Transport, &http.Transport{}})
	identity, err := azidentity.NewDefaultAzureCredential(signIn)
	if err != nil {
		return nil, fmt.Errorf("the identity of the process cannot sign in to the storage account, and %s is not set: %w", keyVariable, err)
	}
	return azqueue.NewQueueClient(cfg.URL, identity, opt)
}

func through(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // to a page for people
	}}
}

// largestAnswer is more than the largest there is: a batch of messages, each with a text
// of 64 KiB at most.
const largestAnswer = 4 << 20

var errTooLarge = errors.New("the answer is larger than any that a storage account gives")

// bounded ends answers that have no end: the library reads them into memory.
type bounded struct{ t http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.t.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{resp.Body, largestAnswer}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser

	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	return n, err
}

// outside is the way to Entra, which is https, and to the machine that has an identity,
// which no proxy can reach:
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
type outside struct{ entra, machine http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (o outside) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return o.entra.RoundTrip(r)
	}
	return o.machine.RoundTrip(r)
}

// storageOnly refuses answers that no storage account gives: the page of a proxy would
// be read as an empty queue.
type storageOnly struct{}

var errForeign = errors.New("the answer is not that of a storage account: look at proxies on the way, and at " + urlVariable)

// Do implements policy.Policy.
func (storageOnly) Do(r *policy.Request) (*http.Response, error) {
	resp, err := r.Next()
	if err == nil && resp.StatusCode < http.StatusMultipleChoices && resp.Header.Get("x-ms-request-id") == "" {
		_ = resp.Body.Close()
		return nil, errForeign
	}
	return resp, err
}

var errMalformed = errors.New("the storage account has sent a message without its parts")

// missing tells whether there is no such queue.
func missing(err error) bool { return queueerror.HasCode(err, queueerror.QueueNotFound) }

// gone tells whether a message is not in the queue any more.
func gone(err error) bool {
	return queueerror.HasCode(err, queueerror.MessageNotFound, queueerror.QueueNotFound)
}

// late tells whether a message came back before it was deleted: somebody has read it
// since, or will.
func late(err error) bool { return queueerror.HasCode(err, queueerror.PopReceiptMismatch) }

// explain makes a short error of the library's long one, and says what to do about it
// where that is known.
func explain(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok { // with the receipt of a message
		return &url.Error{Op: failed.Op, URL: shown(failed.URL), Err: failed.Err}
	}
	failed, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return err
	}
	text := fmt.Sprintf("status %d %s", failed.StatusCode, failed.ErrorCode)
	switch queueerror.Code(failed.ErrorCode) {
	case queueerror.AuthenticationFailed, queueerror.InvalidAuthenticationInfo:
		text += ": check " + keyVariable + ", and the clock of this machine"
	case queueerror.AuthorizationPermissionMismatch:
		text += ": give the identity the role Storage Queue Data Contributor on the queue or the account"
	case queueerror.AuthorizationFailure:
		text += ": the network rules of the storage account, or its settings for access by key, keep us out"
	default:
	}
	return errors.New(strings.TrimSpace(text))
}
