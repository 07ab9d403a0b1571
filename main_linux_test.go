package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/hooks"
)

// smallDisk mounts a disk of a few megabytes.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skip("only root can mount a disk that is soon full: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes until nothing more fits, and returns the file that does it.
func fill(t *testing.T, dir string) (ballast string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return f.Name()
}

// A disk that fills up under a service is in the log, in metrics and in /status.json;
// deliveries are refused, so that Azure DevOps keeps them, and stored again when there
// is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	b := newLiveBench(t)
	b.environ["OCEAN__STATE_DIRECTORY"] = smallDisk(t)
	o := &observed{liveBench: b, stop: b.service(t)}
	b.ready(t)
	ballast := fill(t, b.environ["OCEAN__STATE_DIRECTORY"])
	// Larger than the room that is left inside the spool's file, and nothing that could
	// be compressed.
	noise := make([]byte, 512<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // never fails
	event := fmt.Appendf(nil, `{"id":"1","publisherId":"tfs","eventType":"git.push","resource":{"repository":{"id":%q,"project":{"id":%q}},"noise":"%x"}}`, b.repository.ID, b.project.ID, noise)
	if got := b.post(t, hooks.Route, "hook-secret", event); got != http.StatusServiceUnavailable {
		t.Errorf("a delivery is answered %d, want 503", got)
	}
	o.shows(t, "ado_port_state_usable 0", "ado_port_state_on_disk 1", "ado_port_hooks_spool_usable 0")
	doc := o.get(t, "/status.json")
	for path, want := range map[string]string{
		"stateDirectory.usable": "false", "stateDirectory.error": "no space left on device", "queue.usable": "false", "queue.kind": "disk",
	} {
		if got := gjson.Get(doc, path).String(); !strings.Contains(got, want) {
			t.Errorf("/status.json: %s is %q, want %q in\n%s", path, got, want, doc)
		}
	}
	if got, _ := b.ask(t, http.MethodGet, "/health/ready", "", nil); got != http.StatusServiceUnavailable {
		t.Errorf("/health/ready is answered %d, want 503", got)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	c := b.repository.Push("after", nil)
	b.want(t, "branch", "checkout/after", "after: \""+c.ID+"\"")
	if log := o.stop(); !strings.Contains(log, "deliveries cannot be stored and are answered 503") || !strings.Contains(log, "deliveries can be stored again") {
		t.Errorf("the log:\n%s", log)
	}
}
