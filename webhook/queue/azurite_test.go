package queue_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"github.com/ado-port/ado-port/port/network/networktest"
	"github.com/ado-port/ado-port/webhook/queue"
)

// The account that Azurite has, as its documentation shows it; it opens nothing else.
//
// https://learn.microsoft.com/azure/storage/common/storage-use-azurite
const (
	azuriteAccount = "devstoreaccount1"
	azuriteKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// azurite starts the queue service of Azurite, whose executable AZURITE names, and
// returns its address.
func azurite(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("AZURITE")
	if bin == "" {
		t.Skip("AZURITE is not set: want the executable azurite-queue; .ci/run installs it")
	}
	port := networktest.FreePort(t)
	var out bytes.Buffer
	cmd := exec.Command(bin, "--queueHost", "127.0.0.1", "--queuePort", strconv.Itoa(port), "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), &out, &out
	if err := cmd.Start(); err != nil {
		t.Skipf("Azurite cannot be started: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address := "http://" + networktest.Address(port)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := http.Get(address); err == nil {
			_ = resp.Body.Close()
			return address
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Skipf("Azurite does not answer: %s", out.String())
		}
	}
}

// The client and Azurite understand each other: a queue is made, messages are read and
// deleted, a wrong key is refused.
func TestAzurite(t *testing.T) {
	t.Parallel()
	address := azurite(t) + "/" + azuriteAccount + "/hooks"
	into := &receiver{}
	cfg := queue.Config{URL: address, Account: azuriteAccount, Key: azuriteKey, Into: into}
	q, err := queue.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := q.Prove(t.Context()); other || err != nil {
		t.Fatal(other, err)
	}
	cred, err := azqueue.NewSharedKeyCredential(azuriteAccount, azuriteKey)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := azqueue.NewQueueClientWithSharedKeyCredential(address, cred, nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprintf(`{"n":%02d}`, i))
		if _, err := sender.EnqueueMessage(t.Context(), base64.StdEncoding.EncodeToString([]byte(want[i])), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sender.EnqueueMessage(t.Context(), "%%%", nil); err != nil {
		t.Fatal(err)
	}
	if err := q.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, dead := into.got(); !slices.Equal(got, want) || len(dead) != 1 {
		t.Errorf("got %q, dead %q", got, dead)
	}
	left, err := sender.GetProperties(t.Context(), nil)
	if err != nil || *left.ApproximateMessagesCount != 0 {
		t.Errorf("%v messages are left: %v", left.ApproximateMessagesCount, err)
	}
	cfg.Key = key
	if q, err = queue.New(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Prove(t.Context()); err == nil {
		t.Error("a wrong key opens the queue")
	}
}
