package deploy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port/network/networktest"
)

// Under Port's charts the image is started as they are, with nothing changed but its
// name. Each container of each recorded rendering gets a process of its own, here
// with the environment, files, user and writable paths that the chart gives it.
func TestPublicCharts(t *testing.T) {
	t.Parallel()
	all := goldens(t, filepath.Join("testdata", "charts"), "port-*/*/*")
	more := goldens(t, goldenCharts(), "port-*/*/*")
	if len(more) == 0 {
		t.Log("all recorded charts are not here, only those of testdata/charts; name their folder in GOLDEN_CHARTS")
	}
	for _, g := range append(all, more...) {
		for _, w := range g.Workloads {
			for _, c := range w.Containers {
				if c.Own {
					t.Run(g.name+"/"+w.Role, func(t *testing.T) {
						t.Parallel()
						d := &container{goldenContainer: c, workload: w, half: "port-ocean"}
						if strings.HasPrefix(g.name, "port-agent/") {
							d.half = "port-agent"
						}
						if !d.trusts(t) {
							d.run(t, "")
						}
					})
				}
			}
		}
	}
}

// program is built once: static, as in the image.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ado-port-charts")
	if err != nil {
		return "", err
	}
	programs = dir
	bin := filepath.Join(dir, "ado-port")
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// programs is the folder with it; empty when no test needs it.
var programs string

func TestMain(m *testing.M) {
	code := m.Run()
	if programs != "" {
		_ = os.RemoveAll(programs)
	}
	os.Exit(code)
}

// A container is one of a rendering, and the process that stands for it.
type container struct {
	goldenContainer
	workload goldenWorkload
	half     string // of the program that the environment is for, as Port knows it
	rootDir  string // of its file system
	jailed   bool   // it sees nothing else, as another user
	address  string // of its HTTP server
	pipeline int    // that its actions start
	log      lockedBuffer
}

// trusts runs the container once for each certificate that is mounted into it, with
// Port behind that certificate. It returns false when there is none.
func (c *container) trusts(t *testing.T) bool {
	t.Helper()
	found := false
	for path, text := range c.Files {
		if strings.Contains(text, "BEGIN CERTIFICATE") {
			found = true
			if os.Geteuid() != 0 {
				t.Skip("only root can mount files for a process")
			}
			t.Run(strings.TrimPrefix(path, "/"), func(t *testing.T) {
				(&container{goldenContainer: c.goldenContainer, workload: c.workload, half: c.half}).run(t, path)
			})
		}
	}
	return found
}

// run starts the container while Port does not answer, asks its probes, and stops it;
// a job may go on then and has to end well. With a certificate's path Port is trusted
// only through that file.
func (c *container) run(t *testing.T, certificate string) {
	t.Helper()
	slow := newSlowPort(t, certificate != "")
	c.furnish(t, certificate)
	cmd := c.start(t, slow)
	exited, gone := make(chan error, 1), make(chan struct{})
	go func() { exited <- cmd.Wait(); close(gone) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if t.Failed() {
			t.Log(c.log.String())
		}
	})
	for _, p := range c.Probes {
		c.probe(t, p, gone)
	}
	select {
	case who := <-slow.asked: // through TLS and proxies, if there are some
		if half, _, _ := strings.Cut(who, "/"); half != c.half {
			t.Errorf("%s runs, want %s", who, c.half)
		}
	case err := <-exited:
		t.Fatalf("it has ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("it does not ask Port")
	}
	if c.workload.Role == "actions" {
		c.act(t, slow)
	}
	if c.workload.Kind == "CronJob" {
		for _, p := range c.Probes {
			c.probe(t, p, gone)
		}
		slow.open()
	} else if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	grace := time.Duration(c.workload.Pod.TerminationGracePeriodSeconds) * time.Second
	if c.workload.Kind == "CronJob" {
		grace = time.Minute
	}
	select {
	case err := <-exited:
		if err != nil {
			t.Errorf("its end: %v", err)
		}
	case <-time.After(grace):
		t.Errorf("it does not end in %s", grace)
	}
	c.checkLog(t)
	c.checkWritten(t)
}

// act asks for an action, which the container has to run.
func (c *container) act(t *testing.T, slow *slowPort) {
	t.Helper()
	slow.sim.AddRun(c.Environment["OCEAN__INTEGRATION__IDENTIFIER"], "trigger_pipeline", fmt.Sprintf(`{"project":"Payments","pipelineId":"%d"}`, c.pipeline))
	slow.open()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := slow.sim.Until(ctx, func() bool { return gjson.GetBytes(slow.sim.Runs()[0].Document, "externalRunId").Exists() }); err != nil {
		t.Errorf("no pipeline is started: %v", err)
	}
}

// start starts the process.
func (c *container) start(t *testing.T, slow *slowPort) *exec.Cmd {
	t.Helper()
	c.address = networktest.Address(networktest.FreePort(t))
	environ := c.environ(t, slow)
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin)
	cmd.Dir = c.rootDir
	if c.jailed {
		cmd = exec.Command("/usr/bin/ado-port")
		cmd.Dir = "/app"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.rootDir, Credential: &syscall.Credential{Uid: c.user(), Gid: c.group()}}
	}
	cmd.Env = environ
	cmd.Stdout, cmd.Stderr = &c.log, &c.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// The image's user is 1001:1001.
func (c *container) user() uint32 {
	if u := c.workload.Pod.SecurityContext.RunAsUser; u != nil {
		return *u
	}
	return 1001
}

func (c *container) group() uint32 {
	if g := c.workload.Pod.SecurityContext.RunAsGroup; g != nil {
		return *g
	}
	return 1001
}

// furnish makes the file system of the container: that of the image, what is mounted,
// and nothing that could be written besides.
func (c *container) furnish(t *testing.T, certificate string) {
	t.Helper()
	c.rootDir = t.TempDir()
	c.jailed = os.Geteuid() == 0
	if !c.jailed {
		return
	}
	dir := func(path string, mode os.FileMode) {
		t.Helper()
		full := filepath.Join(c.rootDir, path)
		if err := errors.Join(os.MkdirAll(full, 0o755), os.Chmod(full, mode)); err != nil {
			t.Fatal(err)
		}
	}
	file := func(path, text string) {
		t.Helper()
		dir(filepath.Dir(path), 0o755)
		if err := os.WriteFile(filepath.Join(c.rootDir, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir("/", 0o755)
	dir("/app", 0o755)
	file("/etc/ssl/certs/ca-certificates.crt", "")
	for path, text := range c.Files {
		if path == certificate {
			text = authority().pem
		}
		file(path, text)
	}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir("/usr/bin", 0o755)
	if err := os.Link(bin, filepath.Join(c.rootDir, "usr/bin/ado-port")); err != nil {
		t.Fatal(err)
	}
	dir("/tmp", 0o755)
	if !c.ReadOnlyRootFilesystem {
		dir("/tmp", 0o1777)
		dir("/tmp/ocean", 0o777)
		dir("/tmp/port-agent", 0o777)
	}
	for _, path := range c.WritablePaths {
		dir(path, 0o777)
	}
}

var (
	cloud   = regexp.MustCompile(`https://(dev\.azure\.com|tfs\.example\.com/tfs)`)
	brokers = regexp.MustCompile(`"brokers":"[^"]*"`)
	proxies = regexp.MustCompile(`(http://)?proxy\.example\.com:3128`)
)

// environ is the environment of the chart and of Kubernetes; only what would leave
// the machine leads to servers of this test.
func (c *container) environ(t *testing.T, slow *slowPort) []string {
	t.Helper()
	all := map[string]string{"PATH": "/usr/bin", "HOSTNAME": "pod", "HOME": "/"}
	maps.Copy(all, c.workload.ServiceLinks)
	maps.Copy(all, c.Environment)
	_, port, _ := net.SplitHostPort(c.address)
	all["APPLICATION__PORT"] = port
	world := azuredevopstest.NewWorld("example-org")
	project := world.AddProject("Payments")
	c.pipeline = project.AddPipeline("ci", project.AddRepository("checkout")).ID
	ado := azuredevopstest.New(azuredevopstest.Options{World: world})
	t.Cleanup(ado.Close)
	proxy := httptest.NewServer(http.HandlerFunc(tunnel))
	t.Cleanup(proxy.Close)
	var out []string
	for name, value := range all {
		switch {
		case name == "OCEAN__PORT__BASE_URL" || name == "PORT_API_BASE_URL":
			value = slow.URL
		case strings.Contains(name, "ORGANIZATION_URL"):
			value = cloud.ReplaceAllString(value, ado.URL)
		case name == "OCEAN__EVENT_LISTENER":
			value = brokers.ReplaceAllString(value, `"brokers":"127.0.0.1:1"`)
		case strings.HasSuffix(strings.ToUpper(name), "_PROXY"):
			value = proxies.ReplaceAllString(value, "${1}"+strings.TrimPrefix(proxy.URL, "http://"))
		}
		out = append(out, name+"="+value)
	}
	return out
}

// probe asks one probe until it answers, which it has to before Kubernetes gives up.
func (c *container) probe(t *testing.T, p goldenProbe, gone <-chan struct{}) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Duration(p.FailsAfterSeconds)*time.Second)
	defer stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+p.Path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick.C:
		case <-gone:
			t.Fatal("it has ended")
		case <-ctx.Done():
			t.Fatalf("%s does not answer while Port is away: %v", p.Path, err)
		}
	}
}

// acceptedWith are settings that a recording has on purpose and that are accepted with
// a warning: lists as Go writes them, a token in exponent form, old and invented names.
var acceptedWith = regexp.MustCompile(`^OCEAN__INTEGRATION__CONFIG__(EXCLUDED_TAGS|PERSONAL_ACCESS_TOKEN|APP_HOST|UNKNOWN_.*)$`)

// checkLog looks for warnings about what the chart sets.
func (c *container) checkLog(t *testing.T) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(c.log.String()))
	for lines.Scan() {
		var line struct{ Level, Msg, Variable, Text string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Variable == "" {
			continue
		}
		if line.Level != "INFO" && line.Level != "DEBUG" && !acceptedWith.MatchString(line.Variable) {
			t.Errorf("%s %s: %s", line.Level, line.Variable, line.Text)
		}
	}
}

// checkWritten looks for files outside of the paths that may be written.
func (c *container) checkWritten(t *testing.T) {
	t.Helper()
	if !c.jailed {
		return
	}
	allowed := c.WritablePaths
	if !c.ReadOnlyRootFilesystem {
		allowed = append([]string{"/tmp/ocean", "/tmp/port-agent"}, allowed...)
	}
	err := filepath.WalkDir(c.rootDir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside := strings.TrimPrefix(path, c.rootDir)
		for _, a := range allowed {
			if strings.HasPrefix(inside, a) {
				return nil
			}
		}
		info, err := e.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Uid == c.user() {
			t.Errorf("it has written %s", inside)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
