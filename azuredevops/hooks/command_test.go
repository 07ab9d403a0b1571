package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// command runs the command.
func (k *keeping) command(t *testing.T, o CommandOptions) (string, error) {
	t.Helper()
	var out strings.Builder
	err := k.Command(t.Context(), o, &out)
	return out.String(), err
}

func TestCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeping(t, newHookStore("p1"), "")
		wants := func(out string, err error, unhealthy bool, texts ...string) {
			t.Helper()
			if (err != nil) != unhealthy || unhealthy && !strings.Contains(err.Error(), "ado-port hooks --repair mends") {
				t.Errorf("err = %v, want unhealthy = %v", err, unhealthy)
			}
			for _, text := range texts {
				if !strings.Contains(strings.Join(strings.Fields(out), " "), text) {
					t.Errorf("output lacks %q:\n%s", text, out)
				}
			}
		}
		out, err := k.command(t, CommandOptions{})
		wants(out, err, true, testOrg+" → "+hookTarget, "missing Name of p1 workitem.created")
		if len(k.store.writes()) != 0 {
			t.Errorf("listing wrote %q", k.store.writes())
		}
		out, err = k.command(t, CommandOptions{Repair: true})
		wants(out, err, false, testOrg, "created 5", "workitem.created Name of p1")
		out, err = k.command(t, CommandOptions{Bad: true})
		wants(out, err, false, "5 subscriptions: 5 good")
		if strings.Contains(out, "workitem.created") {
			t.Errorf("shows good ones:\n%s", out)
		}
		out, err = k.command(t, CommandOptions{})
		wants(out, err, false, "good Name of p1 workitem.created")

		k.store.add("git.push", "p1", "https://before.example.com/integration/webhook")
		out, err = k.command(t, CommandOptions{})
		wants(out, err, false, "--old-url", "https://before.example.com/integration/webhook")
		k.each[0].cfg.OldURLs = []string{"https://before.example.com/integration/webhook"}
		out, err = k.command(t, CommandOptions{})
		wants(out, err, true, "6 subscriptions: 1 leftover, 5 good HEALTH PROJECT EVENT STATUS FAILURES ID REMARK leftover Name of p1 git.push")

		k.noMapping = errors.New("port is away") // is not asked
		out, err = k.command(t, CommandOptions{Cleanup: true, Yes: true})
		wants(out, err, false, "removed 6", "cleanup")
		if len(k.store.hooks) != 0 {
			t.Errorf("left: %s", k.store.summary())
		}
		if out, err = k.command(t, CommandOptions{}); !errors.Is(err, k.noMapping) || out != "" {
			t.Errorf("without a mapping: %q, %v", out, err)
		}
	})
}

func TestCommandJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeping(t, newHookStore("p1"), "")
		read := func(o CommandOptions, into any) error {
			t.Helper()
			o.JSON = true
			out, err := k.command(t, o)
			if jerr := json.Unmarshal([]byte(out), into); jerr != nil {
				t.Fatalf("%v in %s", jerr, out)
			}
			mustNotShow(t, hookSecret, out)
			return err
		}
		var list []struct {
			Organization, URL string
			Hooks             []struct{ Event, Project, Health string }
		}
		if err := read(CommandOptions{}, &list); err == nil || len(list) != 1 || list[0].Organization != testOrg || list[0].URL != hookTarget ||
			len(list[0].Hooks) != 5 || list[0].Hooks[0].Health != "missing" || list[0].Hooks[0].Project != "p1" {
			t.Errorf("list = %+v, %v", list, err)
		}
		var report []struct {
			Organization     string
			Created, Removed []struct{ ID, Event, Status string }
			Refused          []struct{ Event, Missing string }
			Unknown          []struct{ What, Error string }
		}
		if err := read(CommandOptions{Repair: true}, &report); err != nil || len(report) != 1 || len(report[0].Created) != 5 || report[0].Created[0].Status != "enabled" {
			t.Errorf("repair = %+v, %v", report, err)
		}
		stuck := k.store.hooks[0].ID
		k.store.before = func(r *http.Request, _ []byte) *http.Response {
			if r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, stuck) {
				return answer(403, `{"message":"Delete Subscription"}`)
			}
			return nil
		}
		report = nil
		if err := read(CommandOptions{Cleanup: true, Yes: true}, &report); err == nil || len(report[0].Removed) != 4 || len(report[0].Unknown) != 1 {
			t.Errorf("cleanup = %+v, %v", report, err)
		}
	})
}

// What Azure DevOps refuses leaves the command with an error that names what is
// missing.
func TestCommandRefused(t *testing.T) {
	for _, tt := range []struct {
		perProject bool
		status     int
		body, want string
	}{
		{true, 403, `{"message":"Edit Subscription"}`, "permission to edit service hook subscriptions of the project"},
		{false, 403, `{"message":"Edit Subscription"}`, "permission to edit service hook subscriptions of the organization"},
		{true, 401, ``, "a credential that may write service hooks"},
		{true, 409, `{}`, "the service refused it with status 409"},
		{true, 409, `{"message":"too many of them"}`, "too many of them"},
		{false, 400, `{"message":"no"}`, "it is taken per project instead"},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := newKeeping(t, newHookStore("p1"), "", func(c *KeeperConfig) { c.PerProject = tt.perProject })
			k.store.before = func(r *http.Request, body []byte) *http.Response {
				if r.Method == http.MethodPost && (tt.status != 400 || !strings.Contains(string(body), "projectId")) {
					return answer(tt.status, tt.body)
				}
				return nil
			}
			out, err := k.command(t, CommandOptions{Repair: true})
			if err == nil || !strings.Contains(out, tt.want) {
				t.Errorf("%+v: %v\n%s", tt, err, out)
			}
		})
	}
}

// What people have removed stays so, in a service that runs and in the next one, until
// they ask for it again; then what was missed is made up for.
func TestCleanupIsRespected(t *testing.T) {
	dir := t.TempDir()
	t.Run("state directory", func(t *testing.T) {
		testCleanup(t, func(*testing.T) string { return dir }, nil, "The service that uses the state directory "+dir+" leaves them removed.")
	})
	t.Run("several processes", func(t *testing.T) {
		testCleanup(t, (*testing.T).TempDir, &common{}, "The services that share the Redis leave them removed")
	})
}

// What was removed while a process was alone stays so when it gets others.
func TestCleanupBeforeThereWereOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, removedFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		shared := &common{}
		k := newKeeping(t, newHookStore("p1"), dir)
		k.cfg.Left = shared
		stop := k.start(t)
		time.Sleep(2 * reconcileEvery)
		synctest.Wait()
		stop()
		_, err := os.Stat(filepath.Join(dir, removedFile))
		if at, _ := timeIn(t.Context(), shared); at.IsZero() || !errors.Is(err, os.ErrNotExist) || len(k.store.hooks) != 0 {
			t.Errorf("removed %s, the file: %v, %d subscriptions", at, err, len(k.store.hooks))
		}
	})
}

// A common is a Store that everybody may set.
type common struct {
	mu sync.Mutex
	b  []byte
}

func (c *common) Get(context.Context) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b, nil
}

func (c *common) Set(_ context.Context, b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.b = b
	return nil
}

func testCleanup(t *testing.T, dir func(*testing.T) string, shared *common, says string) {
	t.Helper()
	folders := []string{dir(t), dir(t), dir(t), dir(t)}
	synctest.Test(t, func(t *testing.T) {
		keeping := func(store *hookStore) *keeping {
			k := newKeeping(t, store, folders[0])
			folders = folders[1:]
			if shared != nil {
				k.cfg.Left = shared
			}
			return k
		}
		service := keeping(newHookStore("p1"))
		stop := service.start(t)
		console := keeping(service.store)
		asked := ""
		answer := func(yes bool) func(string) bool {
			return func(question string) bool { asked = question; return yes }
		}
		if _, err := console.command(t, CommandOptions{Cleanup: true, Ask: answer(false)}); !errors.Is(err, errDeclined) || len(service.store.hooks) != 5 {
			t.Errorf("after a no: %v, %d subscriptions", err, len(service.store.hooks))
		}
		if !strings.Contains(asked, testOrg+": 5 subscriptions") || !strings.Contains(asked, "workitem.created") {
			t.Errorf("asked %q", asked)
		}
		time.Sleep(aliveEvery)
		synctest.Wait()
		out, err := console.command(t, CommandOptions{Cleanup: true, Ask: answer(true)})
		if err != nil || !strings.Contains(out, says) {
			t.Errorf("cleanup: %v\n%s", err, out)
		}
		service.Soon()
		time.Sleep(2 * reconcileEvery)
		synctest.Wait()
		stop()
		stop = keeping(service.store).start(t)
		time.Sleep(2 * reconcileEvery)
		synctest.Wait()
		stop()
		if n := len(service.store.hooks); n != 0 {
			t.Errorf("%d subscriptions were made again", n)
		}
		if text := service.log.String(); strings.Count(text, "left so") != 1 {
			t.Errorf("it is not said once:\n%s", text)
		}
		if out, err := console.command(t, CommandOptions{}); err == nil || !strings.Contains(out, "Removed by ado-port hooks --cleanup") {
			t.Errorf("list: %v\n%s", err, out)
		}
		service = keeping(service.store)
		stop = service.start(t)
		if _, err := console.command(t, CommandOptions{Repair: true}); err != nil || len(service.store.hooks) != 5 {
			t.Errorf("repair: %v, %d subscriptions", err, len(service.store.hooks))
		}
		time.Sleep(aliveEvery)
		synctest.Wait()
		stop()
		if service.resyncs != 1 {
			t.Errorf("%d resyncs make up for what was missed, want 1", service.resyncs)
		}
	})
}

// What nobody can know from here is said as it is.
func TestCleanupTellsWhatItCannotDo(t *testing.T) {
	dir := t.TempDir()
	for dir, want := range map[string]string{"": "a running service cannot be told", dir: "No running service uses"} {
		synctest.Test(t, func(t *testing.T) {
			out, err := newKeeping(t, newHookStore("p1"), dir).command(t, CommandOptions{Cleanup: true})
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("with the state directory %q: %v, want %q\n%s", dir, err, want, out)
			}
		})
	}
}
