package status_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port/network/networktest"
	"github.com/ado-port/ado-port/port/porttest"
	"github.com/ado-port/ado-port/webhook/status"
)

var update = flag.Bool("update", false, "write the picture of the README")

// root is the module, seen from here.
const root = "../.."

// TestInABrowser runs the program as people do and looks at its page:
// go test -run TestInABrowser -update ./webhook/status writes the picture of the README.
func TestInABrowser(t *testing.T) {
	browser := findBrowser(t)
	path := filepath.Join(t.TempDir(), "ado-port")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, root).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	// A test's result is remembered as long as the files stay the same that it looked at.
	_ = fs.WalkDir(os.DirFS(root), ".", func(string, fs.DirEntry, error) error { return nil })
	source := axe(t)
	for name, look := range map[string]func(t *testing.T, b *tab, path, source string){
		"everything": lookAtEverything, "demo": lookAtTheDemo, "password": lookWithAPassword,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			look(t, newTab(t, browser), path, source)
		})
	}
}

// A program is a process of ado-port.
type program struct {
	stop func() error // interrupts it, and waits for its end

	mu  sync.Mutex
	out bytes.Buffer // all that it has printed
}

func (p *program) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(text)
}

func (p *program) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// start starts the program, which is stopped at the end of the test.
func start(t *testing.T, path string, args []string, environ ...string) *program {
	t.Helper()
	p := new(program)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = t.TempDir(), environ, p, p
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stop = sync.OnceValue(func() error {
		cancel()
		if err := cmd.Wait(); !cmd.ProcessState.Success() {
			return err
		}
		return nil
	})
	t.Cleanup(func() {
		if p.stop(); t.Failed() {
			t.Logf("the program says\n%s", p)
		}
	})
	return p
}

// address waits for the first address that the program prints.
func (p *program) address(t *testing.T) (found string) {
	t.Helper()
	until(t, t.Context(), "an address is printed", func(context.Context) bool {
		found = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(p.String())
		return found != ""
	})
	return found
}

// visit opens a page once somebody answers there.
func (b *tab) visit(t *testing.T, address string) {
	t.Helper()
	until(t, b.ctx, "the program listens", func(ctx context.Context) bool {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(address, "http://"))
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	b.do(t, chromedp.Navigate(address))
}

// lookAtEverything looks at a page that has something in every section.
func lookAtEverything(t *testing.T, b *tab, _, source string) {
	t.Helper()
	srv := httptest.NewServer(site(t, status.SiteConfig{
		More: all(t), Press: func(string) error { return nil },
		Redrive: func(context.Context, ...uint64) (int, error) { return 0, nil },
	}))
	t.Cleanup(srv.Close)
	b.do(t, chromedp.Navigate(srv.URL))
	b.says(t, "actions", "run-1")
	b.do(t, chromedp.Evaluate[chromedp.Void](`for (const d of document.querySelectorAll("details")) d.open = true; 0`))
	b.looks(t, func(t *testing.T) { b.accessible(t, source) })
	b.silent(t)
}

func lookAtTheDemo(t *testing.T, b *tab, path, source string) {
	t.Helper()
	p := start(t, path, []string{"demo"})
	b.visit(t, p.address(t))
	b.says(t, "resyncs", "completed")
	b.until(t, "two live events", `document.querySelectorAll("#demo tbody tr").length > 1 && document.querySelector("#demo tbody").innerText.includes(" ms")`)
	b.says(t, "live", "live events were handled in the last hour")
	b.looks(t, func(t *testing.T) { b.accessible(t, source) })
	if *update {
		b.until(t, "a full table", `document.querySelectorAll("#demo tbody tr").length > 7`)
		b.picture(t, root+"/deploy/screenshot.png")
	}

	b.press(t, "press-port")
	b.until(t, "Port is away", pressed("port", true))
	b.until(t, "a change waits", `[...document.querySelectorAll("#demo tbody tr")].some(r => r.innerText.includes("waits"))`)
	b.says(t, "problems", "Port does not answer")
	b.press(t, "press-port")
	b.says(t, "live", "0 deliveries wait")

	b.press(t, "press-azure")
	b.says(t, "problems", "the last resync failed")
	b.says(t, "kinds", "503")
	b.says(t, "deletions", "deleted 0 entities")
	b.says(t, "deletions", "stay, such as")
	b.withoutScript(t, "press-azure")
	b.until(t, "the next resync completes", `document.querySelectorAll("#resyncs td.completed").length > 1 && !document.getElementById("problems")?.innerText.includes("the last resync failed")`)
	b.silent(t)
	if err := p.stop(); err != nil || strings.Contains(p.String(), "WARNING") || !strings.Contains(p.String(), "1 failed") {
		t.Errorf("it ends with %v", err)
	}
}

// pressed is whether a button of the demo is.
func pressed(button string, is bool) string {
	return fmt.Sprintf(`document.getElementById("press-%s")?.getAttribute("aria-pressed") === "%t"`, button, is)
}

// withoutScript releases a pressed button of the demo in a browser that runs no scripts,
// by the keyboard alone.
func (b *tab) withoutScript(t *testing.T, id string) {
	t.Helper()
	b.script(t, false)
	b.until(t, "the page without its script", `document.getElementById("now") && !document.querySelector("#fresh button")`)
	for range 50 {
		b.do(t, chromedp.KeyEvent(kb.Tab))
		if eval[string](t, b, "document.activeElement.id") == id {
			break
		}
	}
	b.do(t, chromedp.KeyEvent(kb.Enter))
	b.until(t, "the button is released", fmt.Sprintf(`document.getElementById(%q)?.getAttribute("aria-pressed") === "false"`, id))
	b.script(t, true)
}

// script loads the page anew, with its script or without.
func (b *tab) script(t *testing.T, on bool) {
	t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		t.Fatal(err)
	}
	b.do(t, chromedp.Reload())
}

// lookWithAPassword looks at the page of a service that has one, and re-drives what it
// has given up.
func lookWithAPassword(t *testing.T, b *tab, path, source string) {
	t.Helper()
	w := azuredevopstest.NewWorld("contoso")
	repository := w.AddProject("Payments").AddRepository("checkout")
	repository.Push("main", azuredevopstest.Files{"README.md": "# Checkout"})
	ado := azuredevopstest.New(azuredevopstest.Options{World: w, PAT: "pat"})
	t.Cleanup(ado.Close)
	catalog := porttest.New(porttest.Options{ClientID: "cid", ClientSecret: "secret"})
	t.Cleanup(catalog.Close)
	catalog.AddBlueprint(`{"identifier":"branch","schema":{"properties":{"commit":{"type":"string"}}}}`)
	catalog.SetMapping(`{"resources":[{"kind":"branch","selector":{"query":"true"},"port":{"entity":{"mappings":{"identifier":".name","blueprint":"\"branch\"","properties":{"commit":".objectId"}}}}}]}`)
	address := networktest.Address(networktest.FreePort(t))
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	start(t, path, nil,
		"OCEAN__PORT__CLIENT_ID=cid", "OCEAN__PORT__CLIENT_SECRET=secret", "OCEAN__PORT__BASE_URL="+catalog.URL,
		"OCEAN__INTEGRATION__CONFIG__ORGANIZATION_URL="+ado.OrganizationURL(), "OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN=pat",
		"OCEAN__INTEGRATION__CONFIG__WEBHOOK_SECRET=hook-secret", "OCEAN__BASE_URL=http://"+address, "APPLICATION__PORT="+port,
		"OCEAN__INITIALIZE_PORT_RESOURCES=false", "OCEAN__STATE_DIRECTORY="+t.TempDir(), "OCEAN__HOOKS__MAX_AGE=1s")
	if err := ado.Subscribed(t.Context(), "git.push"); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"", "x:wrong@"} {
		res, err := chromedp.RunResponse(b.ctx, chromedp.Navigate("http://"+who+address))
		if err == nil && res.Status != http.StatusUnauthorized {
			t.Errorf("as %q the page is answered %d", who, res.Status)
		}
		b.until(t, "refused", `!document.getElementById("now")`)
	}
	b.do(t, chromedp.Navigate("http://x:hook-secret@"+address))
	b.says(t, "resyncs", "completed")

	ado.Fault(azuredevopstest.Status("", http.StatusServiceUnavailable))
	c := repository.Push("main", azuredevopstest.Files{"CHANGES.md": "* more"})
	b.says(t, "dead-letters", "Handle all once more")
	b.looks(t, func(t *testing.T) { b.accessible(t, source) })
	ado.ClearFaults()
	b.script(t, false) // which would take the notice away soon
	b.press(t, "redrive-all")
	b.says(t, "notice", "handled once more")
	b.script(t, true)
	b.says(t, "dead-letters", "There are none")
	until(t, t.Context(), "the push is in Port", func(context.Context) bool {
		e, ok := catalog.Entity("branch", "main")
		return ok && strings.Contains(e.Property("commit"), c.ID)
	})
	b.silent(t, "401")
}
