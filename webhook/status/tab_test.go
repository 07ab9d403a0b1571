package status_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// patience is the time that anything may take where many tests run at once.
const patience = 3 * time.Minute

// A tab is a page in a real browser without a screen.
type tab struct {
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the browser complains about
}

// findBrowser finds a Chromium. Where there is none the test is skipped.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium: the page is not looked at in a browser")
	return ""
}

// newTab opens a browser.
func newTab(t *testing.T, path string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(patience))...)
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

// until waits until something is so.
func until(t *testing.T, ctx context.Context, what string, is func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in time", what)
		}
	}
}

// until waits until an expression is true on the page, which may be loaded anew
// meanwhile.
func (b *tab) until(t *testing.T, what, expression string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
			t.Logf("the page says\n%.4000s", text)
		}
	}()
	until(t, b.ctx, what, func(ctx context.Context) bool {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		return err == nil && is
	})
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

// silent fails when the browser complains, but for what holds one of the texts.
func (b *tab) silent(t *testing.T, but ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		if !slices.ContainsFunc(but, func(text string) bool { return strings.Contains(p, text) }) {
			t.Errorf("the browser complains: %s", p)
		}
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
	for _, args := range [][]string{{"npm", "pack", "--silent", "--fetch-retries=1", "axe-core@" + axeVersion}, {"tar", "xzf", "axe-core-" + axeVersion + ".tgz"}} {
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

// picture writes what is seen of the page.
func (b *tab) picture(t *testing.T, path string) {
	t.Helper()
	b.size(t, 1100, 800, "light")
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if len(png) > 150_000 {
		t.Errorf("the picture has %d bytes", len(png))
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		t.Fatal(err)
	}
}
