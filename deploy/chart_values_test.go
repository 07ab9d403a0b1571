package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Values over which the chart is rendered, and what they have to give.
func TestChartValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, values string
		args         []string
		roles        []string
		want         func(t *testing.T, r *rendering)
	}{
		{name: "least", values: least, roles: []string{"main"}, want: wantLeast},
		{
			name: "replicas", roles: []string{"main"}, want: wantReplicas,
			values: least + "replicaCount: 3\nsharedQueue: {enabled: true, url: 'rediss://ado:secret@redis:6380/0', minReplicas: 1}\nliveEvents: {baseUrl: 'https://a.example.com'}\n",
		},
		{
			name: "a shared queue that is off", roles: []string{"main"},
			values: least + "sharedQueue: {enabled: false, url: 'rediss://ado:secret@redis:6380/0', minReplicas: 1}\n",
			want: func(t *testing.T, r *rendering) {
				wantEnv(t, r, "main", map[string]string{"OCEAN__SHARED_QUEUE_MIN_REPLICAS": "", "OCEAN__SHARED_QUEUE_URL": ""})
			},
		},
		{
			name: "the address of a shared queue elsewhere", roles: []string{"main"},
			values: least + "sharedQueue: {enabled: true}\nextraEnv: [{name: OCEAN__SHARED_QUEUE_URL, value: 'redis://redis'}]\n",
			want: func(t *testing.T, r *rendering) {
				wantEnv(t, r, "main", map[string]string{"OCEAN__SHARED_QUEUE_URL": "redis://redis"})
			},
		},
		{
			name: "split", roles: []string{"actions", "live-events", "main"}, want: wantSplit,
			values: least + "liveEvents: {baseUrl: 'https://a.example.com', worker: {enabled: true}, ingress: {enabled: true, host: a.example.com}}\n" +
				"actionsProcessor: {enabled: true, worker: {enabled: true}}\n" +
				"integration: {config: {excludedTags: [a, two words]}, secrets: {personalAccessToken: 1234567}, extraConfig: {APPLICATION__LOG_LEVEL: DEBUG}}\n",
		},
		{
			name: "hybrid", roles: []string{"incremental", "live-events", "resync"}, want: wantHybrid,
			values: least + "workload: {kind: CronJob, cron: {resyncTimeoutMinutes: 90}}\nscheduledResyncInterval: '\"30 1 * * *\"'\nstrictExit: true\n" +
				"liveEvents: {baseUrl: 'https://a.example.com', worker: {enabled: true}}\nincrementalSync: {enabled: true}\n",
		},
		{
			name: "upgrade without a resync", roles: []string{"resync"}, args: []string{"--is-upgrade"},
			values: least + "workload: {kind: CronJob, cron: {resyncOnUpgrade: false}}\n",
			want: func(t *testing.T, r *rendering) {
				if len(r.Jobs) != 0 {
					t.Errorf("%d jobs beside the schedule", len(r.Jobs))
				}
			},
		},
		{name: "persistent", roles: []string{"live-events", "main"}, want: wantPersistent, values: least + "state: {persistence: {enabled: true, storageClass: fast, size: 8Gi}}\nliveEvents: {baseUrl: 'https://a.example.com', worker: {enabled: true}}\n"},
		{
			name: "existing claim", roles: []string{"main"}, values: least + "state: {persistence: {enabled: true, existingClaim: mine}}\n",
			want: func(t *testing.T, r *rendering) {
				if v := volume(r, "main", "state"); v.PersistentVolumeClaim.ClaimName != "mine" || len(r.Claims) != 0 {
					t.Errorf("claims %v, volume %v", r.Claims, v)
				}
			},
		},
		{name: "network", roles: []string{"main"}, want: wantNetwork, values: least + "networkPolicy: {enabled: true, ingressFrom: [{namespaceSelector: {matchLabels: {a: b}}}], extraEgress: [{ports: [{port: 3128}]}]}\nserviceMonitor: {enabled: true, labels: {release: prometheus}}\nservice: {port: 9000}\ningress: {enabled: true, className: nginx, host: a.example.com, tls: [{secretName: s, hosts: [a.example.com]}]}\n"},
		{
			name: "no service", roles: []string{"main"}, values: least + "service: {enabled: false}\ningress: {enabled: true}\nliveEvents: {ingress: {enabled: true}}\n",
			want: func(t *testing.T, r *rendering) {
				if len(r.Services)+len(r.Ingresses) != 0 {
					t.Errorf("%d Services, %d Ingresses", len(r.Services), len(r.Ingresses))
				}
			},
		},
		{
			name: "names", roles: []string{"incremental", "live-events", "main"},
			values: least + "integration: {identifier: An_Identifier_That_Is_Longer_Than_Any_Name_Of_Kubernetes_May_Be_So_It_Is_Cut}\nincrementalSync: {enabled: true}\npodServiceAccount: {create: true}\nliveEvents: {baseUrl: 'https://a.example.com', worker: {enabled: true}}\n",
		},
		{
			name: "openshift", roles: []string{"main"}, args: []string{"--api-versions", "security.openshift.io/v1"}, values: least,
			want: func(t *testing.T, r *rendering) {
				if g := r.pods()["main"].Spec.SecurityContext.FSGroup; g != nil {
					t.Errorf("fsGroup %d, which OpenShift chooses itself", *g)
				}
			},
		},
		{
			name: "own mount", roles: []string{"main"}, values: least + "extraVolumes: [{name: scratch, emptyDir: {}}]\nextraVolumeMounts: [{name: scratch, mountPath: /tmp/ocean/}]\n",
			want: func(t *testing.T, r *rendering) {
				if n := len(r.pods()["main"].Spec.Volumes); n != 1 {
					t.Errorf("%d volumes", n)
				}
			},
		},
		{name: "agent", roles: []string{"agent"}, want: wantAgent, values: "mode: agent\nenv: {normal: {PORT_ORG_ID: org, POLLING_INTERVAL_SECONDS: 5, LARGE: 1000000}, secret: {PORT_CLIENT_ID: a, PORT_CLIENT_SECRET: 7}}\ncontrolThePayloadConfig: '[]'\nserviceMonitor: {enabled: true}\nnetworkPolicy: {enabled: true}\nstate: {persistence: {enabled: true}}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := render(t, tt.values, tt.args...)
			r.checkOf(t, tt.roles)
			if tt.want != nil {
				tt.want(t, r)
			}
		})
	}
}

// checkOf is check for a rendering that has these roles.
func (r *rendering) checkOf(t *testing.T, roles []string) {
	t.Helper()
	r.check(t)
	var got []string
	for role := range r.pods() {
		got = append(got, role)
	}
	slices.Sort(got)
	if d := cmp.Diff(roles, got); d != "" {
		t.Errorf("roles (-want +got):\n%s", d)
	}
}

// volume is one of a role's pod; empty when there is none.
func volume(r *rendering, role, name string) corev1.Volume {
	for _, v := range r.pods()[role].Spec.Volumes {
		if v.Name == name {
			return v
		}
	}
	return corev1.Volume{}
}

func wantEnv(t *testing.T, r *rendering, role string, want map[string]string) {
	t.Helper()
	env := r.environment(t, role, nil)
	for name, value := range want {
		if got, ok := env[name]; got != value || ok != (value != "") {
			t.Errorf("%s: %s is %q, want %q", role, name, got, value)
		}
	}
}

func wantReplicas(t *testing.T, r *rendering) {
	t.Helper()
	d := r.Deployments[0]
	if *d.Spec.Replicas != 3 || d.Spec.Strategy.Type != "RollingUpdate" || d.Spec.Template.Spec.Affinity.PodAntiAffinity == nil {
		t.Errorf("%d replicas, strategy %s, affinity %v", *d.Spec.Replicas, d.Spec.Strategy.Type, d.Spec.Template.Spec.Affinity)
	}
	if len(r.Budgets) != 1 || r.Budgets[0].Spec.MaxUnavailable.IntValue() != 1 || !cmp.Equal(r.Budgets[0].Spec.Selector, d.Spec.Selector) {
		t.Errorf("budgets %v", r.Budgets)
	}
	wantEnv(t, r, "main", map[string]string{"OCEAN__SHARED_QUEUE_MIN_REPLICAS": "1", "OCEAN__SHARED_QUEUE_URL": "rediss://ado:secret@redis:6380/0"})
}

func wantLeast(t *testing.T, r *rendering) {
	t.Helper()
	d := r.Deployments[0]
	if *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != "Recreate" || len(r.Budgets) != 0 {
		t.Errorf("%d replicas, strategy %s", *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	if d.Spec.Selector.MatchLabels["app.kubernetes.io/name"] != "port-ocean" {
		t.Error("a release of port-ocean cannot be upgraded: the selector is immutable")
	}
	if image := d.Spec.Template.Spec.Containers[0].Image; image != "ghcr.io/ado-port/port-ocean-azure-devops:0.1.0" {
		t.Errorf("image %s", image)
	}
	wantEnv(t, r, "main", map[string]string{"OCEAN__PORT__CLIENT_ID": "fake-client-id", "OCEAN__STATE_DIRECTORY": "", "OCEAN__BASE_URL": ""})
}

func wantSplit(t *testing.T, r *rendering) {
	t.Helper()
	for _, role := range []string{"main", "live-events", "actions"} {
		wantEnv(t, r, role, map[string]string{
			"OCEAN__INTEGRATION__CONFIG__EXCLUDED_TAGS": `["a","two words"]`, "OCEAN__INTEGRATION__CONFIG__PERSONAL_ACCESS_TOKEN": "1234567", "APPLICATION__LOG_LEVEL": "DEBUG",
		})
	}
	wantEnv(t, r, "main", map[string]string{"OCEAN__BASE_URL": "", "OCEAN__EVENT_LISTENER__SHOULD_RUN_ACTIONS": "false"})
	wantEnv(t, r, "live-events", map[string]string{"OCEAN__BASE_URL": "https://a.example.com", "OCEAN__EVENT_LISTENER": `{"type":"WEBHOOKS_ONLY"}`, "OCEAN__INITIALIZE_PORT_RESOURCES": "false"})
	wantEnv(t, r, "actions", map[string]string{"OCEAN__EVENT_LISTENER": `{"type":"ACTIONS_ONLY"}`, "OCEAN__ACTIONS_PROCESSOR__ENABLED": "true"})
	if len(r.Services) != 3 || len(r.Ingresses) != 1 || !strings.HasSuffix(r.Ingresses[0].Name, "-le-ingress") {
		t.Errorf("%d Services, Ingresses %v", len(r.Services), r.Ingresses)
	}
}

func wantHybrid(t *testing.T, r *rendering) {
	t.Helper()
	if len(r.CronJobs) != 2 || len(r.Jobs) != 1 {
		t.Fatalf("%d CronJobs, %d Jobs", len(r.CronJobs), len(r.Jobs))
	}
	for _, c := range r.CronJobs {
		resync := strings.HasSuffix(c.Name, "-cron-job")
		deadline := c.Spec.JobTemplate.Spec.ActiveDeadlineSeconds
		if want := map[bool]string{true: "30 1 * * *", false: "*/15 * * * *"}[resync]; c.Spec.Schedule != want || (deadline != nil) != resync {
			t.Errorf("%s: schedule %s, deadline %v", c.Name, c.Spec.Schedule, deadline)
		}
	}
	if len(r.Jobs[0].Annotations) != 0 {
		t.Errorf("the first resync is a hook, so that helm waits for its end: %v", r.Jobs[0].Annotations)
	}
	wantEnv(t, r, "resync", map[string]string{"OCEAN__EVENT_LISTENER": `{"type":"ONCE"}`, "OCEAN__STRICT_EXIT": "true", "OCEAN__BASE_URL": "", "OCEAN__SCHEDULED_RESYNC_INTERVAL": ""})
	wantEnv(t, r, "incremental", map[string]string{"OCEAN__EVENT_LISTENER": `{"type":"ONCE"}`, "OCEAN__INTEGRATION__INCREMENTAL_SYNC_ENABLED": "true"})
	wantEnv(t, r, "live-events", map[string]string{"OCEAN__STRICT_EXIT": "", "OCEAN__BASE_URL": "https://a.example.com"})
	if len(r.Services) != 1 {
		t.Errorf("%d Services; jobs need none", len(r.Services))
	}
}

func wantPersistent(t *testing.T, r *rendering) {
	t.Helper()
	claims := map[string]bool{}
	for _, c := range r.Claims {
		claims[c.Name] = true
		if *c.Spec.StorageClassName != "fast" || c.Spec.Resources.Requests.Storage().String() != "8Gi" || c.Annotations["helm.sh/resource-policy"] != "keep" {
			t.Errorf("claim %s: %v", c.Name, c.Spec)
		}
	}
	used := map[string]bool{}
	for _, role := range []string{"main", "live-events"} {
		claim := volume(r, role, "state").PersistentVolumeClaim.ClaimName
		if !claims[claim] || used[claim] {
			t.Errorf("%s: claim %s does not exist, or is another pod's", role, claim)
		}
		used[claim] = true
		wantEnv(t, r, role, map[string]string{"OCEAN__STATE_DIRECTORY": "/var/lib/ado-port"})
	}
}

func wantNetwork(t *testing.T, r *rendering) {
	t.Helper()
	if len(r.Policies) != 1 || len(r.Monitors) != 1 || len(r.Ingresses) != 1 {
		t.Fatalf("%d policies, %d monitors, %d Ingresses", len(r.Policies), len(r.Monitors), len(r.Ingresses))
	}
	p := r.Policies[0].Spec
	if len(p.Ingress) != 1 || p.Ingress[0].Ports[0].Port.IntVal != 9000 || len(p.Ingress[0].From) != 1 || len(p.Egress) != 3 {
		t.Errorf("policy %+v", p)
	}
	if m := r.Monitors[0]; m.Labels["release"] != "prometheus" || m.Spec.Endpoints[0].Path != "/metrics" {
		t.Errorf("monitor %+v", m)
	}
	wantEnv(t, r, "main", map[string]string{"APPLICATION__PORT": "9000"})
}

func wantAgent(t *testing.T, r *rendering) {
	t.Helper()
	wantEnv(t, r, "agent", map[string]string{
		"PORT_CLIENT_ID": "a", "PORT_CLIENT_SECRET": "7", "POLLING_INTERVAL_SECONDS": "5", "LARGE": "1000000", "STREAMER_NAME": "KAFKA", "KAFKA_CONSUMER_GROUP_ID": "",
		"OCEAN__STATE_DIRECTORY": "/var/lib/ado-port",
	})
	c := r.pods()["agent"].Spec.Containers[0]
	if !slices.Equal(c.Args, []string{"agent"}) {
		t.Errorf("arguments %q", c.Args)
	}
	if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/app/control_the_payload_config.json" }) {
		t.Error("the mapping is not mounted")
	}
	if r.Deployments[0].Spec.Selector.MatchLabels["app.kubernetes.io/name"] != "port-agent" {
		t.Error("a release of port-agent cannot be upgraded: the selector is immutable")
	}
}

// The values in the documents of the chart, and helm-values.yaml, are values of it.
func TestChartTakesDocumentedValues(t *testing.T) {
	t.Parallel()
	docs := documents(t)
	text, err := os.ReadFile("helm-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := []string{string(text)}
	for _, name := range []string{"deploy/KUBERNETES.md", "deploy/helm/ado-port/README.md"} {
		for _, m := range fenced.FindAllStringSubmatch(docs[name], -1) {
			if m[1] == "yaml" {
				all = append(all, m[2])
			}
		}
		for _, m := range listed.FindAllStringSubmatch(docs[name], -1) {
			all = append(all, strings.ReplaceAll("\n"+m[1], "\n   ", "\n"))
		}
	}
	app := parsed[struct {
		Spec struct {
			Source struct {
				Helm struct {
					ValuesObject any `yaml:"valuesObject"`
				}
			}
		}
	}](t, "argocd/application.yaml")
	object, err := yaml.Marshal(app.Spec.Source.Helm.ValuesObject)
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, string(object))
	if len(all) < 9 {
		t.Fatalf("%d examples", len(all))
	}
	for _, values := range all {
		r := render(t, values, "--set", "port.clientId=a,port.clientSecret=b,env.secret.PORT_CLIENT_ID=a,env.secret.PORT_CLIENT_SECRET=b")
		r.check(t)
	}
}

// listed is an example in a numbered list.
var listed = regexp.MustCompile("(?ms)^   ```yaml\n(.*?)^   ```$")

// The chart starts the version that it comes with.
func TestChartVersionIsThatOfTheProgram(t *testing.T) {
	t.Parallel()
	code, err := os.ReadFile(filepath.Join(root, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	c := parsed[struct {
		Version    string
		AppVersion string `yaml:"appVersion"`
	}](t, filepath.Join(chart, "Chart.yaml"))
	m := regexp.MustCompile(`\n(?:var|\t)\s*version\s*= "([^"]+)"`).FindSubmatch(code)
	if m == nil || string(m[1]) != c.AppVersion || c.Version != c.AppVersion {
		t.Errorf("main.go has another version than Chart.yaml: %s, %s", c.Version, c.AppVersion)
	}
}

// What helm says at the end names the workload that is there, and what has no effect.
func TestChartNotes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values string
		says   []string
	}{
		{least, []string{"logs deployment/ocean-azure-devops-default-identifier-deployment", "Live events are off", "integration.identifier is not set", "State ends with the pod"}},
		{least + "workload: {kind: CronJob}\ningress: {enabled: true}\nliveEvents: {baseUrl: 'https://a.example.com'}\n", []string{"cronjob/ocean-azure-devops-default-identifier-cron-job", "ingress has no effect", "liveEvents.baseUrl has no effect"}},
		{least + "liveEvents: {baseUrl: 'https://a.example.com', worker: {enabled: true}}\nimageRegistry: ghcr.io/port-labs\nextraEnvs: [a]\npostgresql: {enabled: true}\n", []string{"https://a.example.com/integration/webhook has to reach", "-le-service", "is Port's own image", "the name is extraEnv", "there is no database"}},
		{least + "sharedQueue: {url: 'redis://redis'}\n", []string{"sharedQueue.url has no effect", "State ends with the pod"}},
		{"mode: agent\nenv: {secret: {PORT_CLIENT_ID: a, PORT_CLIENT_SECRET: b}}\n", []string{"logs deployment/ado-port-agent", "PORT_ORG_ID is empty"}},
	} {
		out, err := runHelm(t, tt.values, "template", "ado", withNotes(t), "--kube-version", "1.30.0", "--show-only", "templates/notes.yaml")
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Notes string }
		if err := yaml.Unmarshal([]byte(out), &doc); err != nil {
			t.Fatal(err)
		}
		notes := doc.Notes
		for _, want := range tt.says {
			if !strings.Contains(notes, want) {
				t.Errorf("no %q in\n%s", want, notes)
			}
		}
	}
}

// withNotes is the chart with its notes as an object: helm shows them only to those who
// have a cluster.
func withNotes(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "chart")
	if err := os.CopyFS(dir, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	notes := filepath.Join(dir, "templates", "NOTES.txt")
	text, err := os.ReadFile(notes)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"_notes.tpl": `{{ define "notes" }}` + string(text) + "{{ end }}", "notes.yaml": "notes: {{ include \"notes\" . | toJson }}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, "templates", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(notes); err != nil {
		t.Fatal(err)
	}
	return dir
}
