package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port/ocean"
)

// A tab is a page in a real browser without a screen.
type tab struct {
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the browser complains about
}

// newTab opens a browser. Where there is none the test is skipped.
func newTab(t *testing.T) *tab {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		t.Skip("there is no Chromium: the page is not looked at in a browser")
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(time.Minute))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{ctx: ctx}
	b.do(t, chromedp.EmulateViewport(1440, 900))
	go func() {
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return // the browser is closed
			}
			if m.IsException() || m.Type == "error" || m.Type == "warning" {
				b.mu.Lock()
				b.problems = append(b.problems, m.String())
				b.mu.Unlock()
			}
		}
	}()
	return b
}

func (b *tab) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// eval is the value of an expression on the page.
func eval[T any](t *testing.T, b *tab, expression string, opts ...chromedp.EvaluateOption) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, opts...))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// size sets the width of the screen and its colors, light or dark.
func (b *tab) size(t *testing.T, width, height int64, scheme string) {
	t.Helper()
	b.do(t, chromedp.EmulateViewport(width, height))
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		t.Fatal(err)
	}
}

// until waits until an expression is true on the page, which may be loaded anew
// meanwhile.
func (b *tab) until(t *testing.T, what, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")")); err == nil && is {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in time; the page says\n%.4000s", what, eval[string](t, b, "document.body.innerText"))
		}
	}
}

// says waits for a text in a section.
func (b *tab) says(t *testing.T, section, text string) {
	t.Helper()
	b.until(t, section+" says "+text, fmt.Sprintf("document.getElementById(%q)?.innerText.includes(%q)", section, text))
}

// press presses a button as the keyboard does.
func (b *tab) press(t *testing.T, id string) {
	t.Helper()
	b.until(t, "the button "+id, fmt.Sprintf("(e => e && (e.focus(), e.click(), true))(document.getElementById(%q))", id))
}

// silent fails when the browser complains.
func (b *tab) silent(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		t.Errorf("the browser complains: %s", p)
	}
}

// looks looks at the page on a phone and a wide screen, light and dark.
func (b *tab) looks(t *testing.T, see func(t *testing.T)) {
	t.Helper()
	for _, width := range []int64{390, 1440} {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(fmt.Sprint(width, scheme), func(t *testing.T) {
				b.size(t, width, 900, scheme)
				wider := eval[bool](t, b, "document.documentElement.scrollWidth > innerWidth")
				back := eval[string](t, b, "getComputedStyle(document.body).backgroundColor")
				if wider || (back == "rgb(246, 247, 249)") != (scheme == "light") {
					t.Errorf("wider than the screen: %v; the background is %s", wider, back)
				}
				see(t)
			})
		}
	}
}

// axeVersion is the release of axe-core, https://github.com/dequelabs/axe-core
const axeVersion = "4.14.1"

// axe is the source of axe-core; "" where it cannot be had.
func axe(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	dir := filepath.Join(cache, "ado-port-test", "axe-core-"+axeVersion)
	file := filepath.Join(dir, "package", "axe.min.js")
	if text, err := os.ReadFile(file); err == nil {
		return string(text)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"npm", "pack", "--silent", "axe-core@" + axeVersion}, {"tar", "xzf", "axe-core-" + axeVersion + ".tgz"}} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("axe-core cannot be had, the page is not judged by it: %v %s", err, out)
			return ""
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// accessible fails on what axe-core finds serious or critical.
func (b *tab) accessible(t *testing.T, source string) {
	t.Helper()
	if source == "" {
		return
	}
	eval[chromedp.Void](t, b, source+";0")
	list := eval[[][]string](t, b, `axe.run().then(r => r.violations.filter(v => ["serious", "critical"].includes(v.impact)).map(v => [v.id, v.help, v.nodes[0].html]))`, chromedp.EvalAwaitPromise)
	for _, v := range list {
		t.Errorf("axe-core: %s", strings.Join(v, "; "))
	}
}

// TestDemoInABrowser looks at the page of the demo and presses its buttons:
// go test -run TestDemoInABrowser -update . writes the picture of the README.
func TestDemoInABrowser(t *testing.T) {
	b := newTab(t)
	source := axe(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	address := make(chan string, 1)
	var out, errs buffer
	tell := sync.OnceFunc(func() { address <- regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(out.b.String()) })
	out.after = func(text string) {
		if strings.Contains(text, "\n\n") {
			tell()
		}
	}
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, ocean.Process{Args: []string{"demo"}, Dir: t.TempDir(), Out: &out, Err: &errs})
	}()
	site := <-address
	visit(t, b, site)
	b.says(t, "resyncs", "completed")
	b.until(t, "two live events", `document.querySelectorAll("#demo tbody tr").length > 1 && document.querySelector("#demo tbody").innerText.includes(" ms")`)
	b.says(t, "live", "live events were handled in the last hour")
	b.looks(t, func(t *testing.T) { b.accessible(t, source) })
	if *update {
		screenshot(t, b)
	}

	b.press(t, "press-port")
	b.until(t, "Port is away", `document.getElementById("press-port").getAttribute("aria-pressed") === "true"`)
	b.until(t, "a change waits", `[...document.querySelectorAll("#demo tbody tr")].some(r => r.innerText.includes("waits"))`)
	b.says(t, "problems", "Port does not answer")
	b.press(t, "press-port")
	b.says(t, "live", "0 deliveries wait")

	b.press(t, "press-azure")
	b.says(t, "problems", "the last resync failed")
	b.says(t, "kinds", "503")
	b.says(t, "deletions", "deleted 0 entities")
	b.says(t, "deletions", "stay, such as")
	b.press(t, "press-azure")
	b.until(t, "the next resync completes", `document.querySelectorAll("#resyncs td.completed").length > 1 && !document.getElementById("problems")?.innerText.includes("the last resync failed")`)
	b.silent(t)
	cancel()
	if code := <-done; code != ocean.ExitGood || strings.Contains(out.String(), "WARNING") || !strings.Contains(out.String(), "1 failed") {
		t.Errorf("exit code %d\n%s\n%s", code, &out, &errs)
	}
}

// visit opens a page once somebody answers there.
func visit(t *testing.T, b *tab, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/health/live", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			break
		}
	}
	b.do(t, chromedp.Navigate(address))
}

func screenshot(t *testing.T, b *tab) {
	t.Helper()
	b.size(t, 1100, 800, "light")
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if len(png) > 150_000 {
		t.Errorf("the picture has %d bytes", len(png))
	}
	if err := os.WriteFile("deploy/screenshot.png", png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// The page of a service with a password asks for it, and its buttons work.
func TestPageInABrowser(t *testing.T) {
	b := newTab(t)
	s := newLiveBench(t)
	s.environ["OCEAN__HOOKS__MAX_AGE"] = "1s"
	s.service(t)
	s.ready(t)
	address := "127.0.0.1:" + s.environ["APPLICATION__PORT"] + "/"
	for _, who := range []string{"", "x:wrong@"} {
		res, err := chromedp.RunResponse(b.ctx, chromedp.Navigate("http://"+who+address))
		if err == nil && res.Status != http.StatusUnauthorized {
			t.Errorf("as %q the page is answered %d", who, res.Status)
		}
		b.until(t, "refused", `!document.getElementById("now")`)
	}
	b.mu.Lock()
	b.problems = nil // a browser complains of 401
	b.mu.Unlock()
	b.do(t, chromedp.Navigate("http://x:hook-secret@"+address))
	b.says(t, "resyncs", "completed")

	s.ado.Fault(azuredevopstest.Status("", http.StatusServiceUnavailable))
	c := s.repository.Push("feature", azuredevopstest.Files{"CHANGES.md": "* more"})
	b.says(t, "dead-letters", "Handle all once more")
	s.ado.ClearFaults()
	b.press(t, "redrive-all")
	b.says(t, "notice", "handled once more")
	s.want(t, "branch", "checkout/feature", fmt.Sprintf("feature: %q", c.ID))
	b.says(t, "dead-letters", "There are none")
	b.silent(t)
}
