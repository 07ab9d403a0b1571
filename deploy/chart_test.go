package deploy_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

const chart = "helm/ado-port"

// least is what everybody has to set.
const least = "port: {clientId: fake-client-id, clientSecret: fake-client-secret}\n"

// helmPath is the program that HELM names, or helm on the PATH.
func helmPath(t *testing.T) string {
	t.Helper()
	name := os.Getenv("HELM")
	if name == "" {
		name = "helm"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("there is no helm: the chart is not rendered. .ci/run brings one")
	}
	return path
}

// runHelm runs helm with values and returns what it prints.
func runHelm(t *testing.T, values string, args ...string) (out string, err error) {
	t.Helper()
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), helmPath(t), append(args, "-f", "-")...)
	cmd.Stdin = strings.NewReader(values)
	cmd.Env = []string{"HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home, "PATH=/usr/bin", "KUBECONFIG=" + filepath.Join(home, "none")}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return stdout.String(), err
}

// A serviceMonitor is the part of the operator's type that the chart uses.
type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			TargetPort string `json:"targetPort"`
			Path       string `json:"path"`
			Interval   string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// A rendering is what the chart makes of some values.
type rendering struct {
	Deployments []*appsv1.Deployment
	CronJobs    []*batchv1.CronJob
	Jobs        []*batchv1.Job
	ConfigMaps  map[string]map[string]string
	Secrets     map[string]map[string]string
	Services    []*corev1.Service
	Ingresses   []*networkingv1.Ingress
	Policies    []*networkingv1.NetworkPolicy
	Claims      []*corev1.PersistentVolumeClaim
	Budgets     []*policyv1.PodDisruptionBudget
	Accounts    []*corev1.ServiceAccount
	Monitors    []*serviceMonitor
	objects     []metav1.Object
}

// render renders the chart as release ado in namespace catalog.
func render(t *testing.T, values string, args ...string) *rendering {
	t.Helper()
	out, err := runHelm(t, values, append([]string{"template", "ado", chart, "--namespace", "catalog", "--kube-version", "1.30.0"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	r := &rendering{ConfigMaps: map[string]map[string]string{}, Secrets: map[string]map[string]string{}}
	for text := range strings.SplitSeq("\n"+out, "\n---\n") {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(text), &kind); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if kind.Kind != "" {
			r.add(t, kind.Kind, text)
		}
	}
	return r
}

// add decodes an object into the type that Kubernetes has for it; a field that the
// type does not know is a fault.
func (r *rendering) add(t *testing.T, kind, text string) {
	t.Helper()
	strict := func(into metav1.Object) {
		t.Helper()
		if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
			t.Errorf("%s: %v in\n%s", kind, err, text)
		}
		r.objects = append(r.objects, into)
	}
	switch kind {
	case "Deployment":
		r.Deployments = decode(strict, r.Deployments)
	case "CronJob":
		r.CronJobs = decode(strict, r.CronJobs)
	case "Job":
		r.Jobs = decode(strict, r.Jobs)
	case "Service":
		r.Services = decode(strict, r.Services)
	case "Ingress":
		r.Ingresses = decode(strict, r.Ingresses)
	case "NetworkPolicy":
		r.Policies = decode(strict, r.Policies)
	case "PersistentVolumeClaim":
		r.Claims = decode(strict, r.Claims)
	case "PodDisruptionBudget":
		r.Budgets = decode(strict, r.Budgets)
	case "ServiceAccount":
		r.Accounts = decode(strict, r.Accounts)
	case "ServiceMonitor":
		r.Monitors = decode(strict, r.Monitors)
	case "ConfigMap":
		var m corev1.ConfigMap
		strict(&m)
		r.ConfigMaps[m.Name] = m.Data
	case "Secret":
		var s corev1.Secret
		strict(&s)
		r.Secrets[s.Name] = s.StringData
	default:
		t.Errorf("an object of kind %s", kind)
	}
}

// decode appends one more object of a type.
func decode[T any, P interface {
	*T
	metav1.Object
}](strict func(metav1.Object), list []P) []P {
	into := P(new(T))
	strict(into)
	return append(list, into)
}

// pods are the pod templates, by role: the component that their label names.
func (r *rendering) pods() map[string]*corev1.PodTemplateSpec {
	out := map[string]*corev1.PodTemplateSpec{}
	add := func(pod *corev1.PodTemplateSpec) { out[pod.Labels["app.kubernetes.io/component"]] = pod }
	for _, d := range r.Deployments {
		add(&d.Spec.Template)
	}
	for _, c := range r.CronJobs {
		add(&c.Spec.JobTemplate.Spec.Template)
	}
	return out
}

// environment is what the container of a role is started with. outside are Secrets
// that the values take for granted.
func (r *rendering) environment(t *testing.T, role string, outside map[string]map[string]string) map[string]string {
	t.Helper()
	pod := r.pods()[role]
	if pod == nil {
		t.Fatalf("there is no pod %s", role)
	}
	env := map[string]string{}
	secret := func(name string) map[string]string {
		for _, from := range []map[string]map[string]string{r.Secrets, outside} {
			if s, ok := from[name]; ok {
				return s
			}
		}
		t.Fatalf("%s: there is no Secret %s", role, name)
		return nil
	}
	c := pod.Spec.Containers[0]
	for _, from := range c.EnvFrom {
		if from.SecretRef != nil {
			maps.Copy(env, secret(from.SecretRef.Name))
			continue
		}
		data, ok := r.ConfigMaps[from.ConfigMapRef.Name]
		if !ok {
			t.Errorf("%s: there is no ConfigMap %s", role, from.ConfigMapRef.Name)
		}
		maps.Copy(env, data)
	}
	for _, v := range c.Env {
		switch {
		case v.ValueFrom == nil:
			env[v.Name] = expand(v.Value, env)
		case v.ValueFrom.SecretKeyRef != nil:
			env[v.Name] = secret(v.ValueFrom.SecretKeyRef.Name)[v.ValueFrom.SecretKeyRef.Key]
		default:
			env[v.Name] = "catalog" // metadata.namespace
		}
	}
	return env
}

var reference = regexp.MustCompile(`\$\(([A-Za-z0-9_.-]+)\)`)

// expand puts in what $(NAME) stands for in a Kubernetes container.
func expand(text string, env map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		if v, ok := env[ref[2:len(ref)-1]]; ok {
			return v
		}
		return ref
	})
}

// check holds a rendering to what is true for all values: names that Kubernetes
// takes, references that lead somewhere, pods that restricted namespaces admit.
func (r *rendering) check(t *testing.T) {
	t.Helper()
	seen := map[string]bool{}
	for _, o := range r.objects {
		id := fmt.Sprintf("%T %s", o, o.GetName())
		if seen[id] {
			t.Errorf("two objects %s", id)
		}
		seen[id] = true
		for _, problem := range validation.IsDNS1123Label(o.GetName()) {
			t.Errorf("%s: %s", id, problem)
		}
		for k, v := range o.GetLabels() {
			for _, problem := range slices.Concat(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)) {
				t.Errorf("%s: label %s=%s: %s", id, k, v, problem)
			}
		}
	}
	for _, c := range r.CronJobs {
		if len(c.Name) > 52 {
			t.Errorf("CronJob %s: Kubernetes appends 11 characters to it", c.Name)
		}
		checkPod(t, &c.Spec.JobTemplate.Spec.Template)
	}
	for _, j := range r.Jobs {
		checkPod(t, &j.Spec.Template)
	}
	for _, d := range r.Deployments {
		checkPod(t, &d.Spec.Template)
		if !selects(d.Spec.Selector.MatchLabels, d.Spec.Template.Labels) {
			t.Errorf("%s: its selector %v does not find its pods", d.Name, d.Spec.Selector.MatchLabels)
		}
	}
	r.checkNetwork(t)
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

// checkNetwork says whether every Service has the pods of one role, every Ingress a
// Service, and a policy all pods.
func (r *rendering) checkNetwork(t *testing.T) {
	t.Helper()
	ports := map[string]int32{}
	for _, s := range r.Services {
		var found []string
		for role, pod := range r.pods() {
			if selects(s.Spec.Selector, pod.Labels) {
				found = append(found, role)
				if p := pod.Spec.Containers[0].Ports[0]; p.Name != s.Spec.Ports[0].TargetPort.StrVal || p.ContainerPort != s.Spec.Ports[0].Port {
					t.Errorf("Service %s: its port is not that of the container", s.Name)
				}
			}
		}
		if len(found) != 1 {
			t.Errorf("Service %s selects the pods of %v", s.Name, found)
		}
		ports[s.Name] = s.Spec.Ports[0].Port
	}
	for _, i := range r.Ingresses {
		backend := i.Spec.Rules[0].HTTP.Paths[0].Backend.Service
		if ports[backend.Name] != backend.Port.Number {
			t.Errorf("Ingress %s leads to %s:%d, which does not exist", i.Name, backend.Name, backend.Port.Number)
		}
	}
	for _, p := range r.Policies {
		for role, pod := range r.pods() {
			if !selects(p.Spec.PodSelector.MatchLabels, pod.Labels) {
				t.Errorf("NetworkPolicy %s does not select %s", p.Name, role)
			}
		}
	}
	for _, m := range r.Monitors {
		for _, s := range r.Services {
			if !selects(m.Spec.Selector.MatchLabels, s.Labels) {
				t.Errorf("ServiceMonitor %s does not select Service %s", m.Name, s.Name)
			}
		}
	}
}

// checkPod holds a pod to the restricted Pod Security Standard
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/) and to
// what Kubernetes refuses or what this program needs.
func checkPod(t *testing.T, pod *corev1.PodTemplateSpec) {
	t.Helper()
	name, spec := pod.Labels["app"], &pod.Spec
	switch s := spec.SecurityContext; {
	case s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot:
		t.Errorf("%s: the pod may run as root", name)
	case s.RunAsUser != nil && *s.RunAsUser == 0:
		t.Errorf("%s: the pod runs as root", name)
	case s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault:
		t.Errorf("%s: no seccomp profile", name)
	}
	if spec.HostNetwork || spec.HostPID || spec.HostIPC {
		t.Errorf("%s: the pod is in a namespace of the host", name)
	}
	if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken || spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
		t.Errorf("%s: the pod gets a token of the cluster, or service links", name)
	}
	volumes := map[string]bool{}
	for _, v := range spec.Volumes {
		volumes[v.Name] = true
		if v.EmptyDir == nil && v.PersistentVolumeClaim == nil && v.Projected == nil && v.ConfigMap == nil && v.Secret == nil {
			t.Errorf("%s: volume %s is of no kind that the restricted standard admits", name, v.Name)
		}
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		s := c.SecurityContext
		if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") || len(s.Capabilities.Add) > 0 {
			t.Errorf("%s: container %s keeps privileges", name, c.Name)
		}
		if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			t.Errorf("%s: container %s may write to its image", name, c.Name)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s: container %s has no resources", name, c.Name)
		}
		paths := map[string]bool{}
		for _, m := range c.VolumeMounts {
			path := strings.TrimSuffix(m.MountPath, "/")
			if paths[path] || !volumes[m.Name] {
				t.Errorf("%s: %s is mounted twice, or its volume %s does not exist", name, m.MountPath, m.Name)
			}
			paths[path] = true
		}
		if !paths["/tmp/ocean"] {
			t.Errorf("%s: container %s has nothing to write to", name, c.Name)
		}
	}
	checkProbes(t, name, spec)
}

// checkProbes: pods that stay are probed on the routes of the program, with time
// enough.
func checkProbes(t *testing.T, name string, spec *corev1.PodSpec) {
	t.Helper()
	c := spec.Containers[0]
	if spec.RestartPolicy == corev1.RestartPolicyNever && c.LivenessProbe == nil {
		return
	}
	for path, p := range map[string]*corev1.Probe{"/health/live": c.LivenessProbe, "/health/ready": c.ReadinessProbe} {
		if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != path || p.HTTPGet.Port.StrVal != c.Ports[0].Name {
			t.Errorf("%s: the probe of %s is %v", name, path, p)
		}
	}
}

func TestChartLint(t *testing.T) {
	t.Parallel()
	out, err := runHelm(t, "", "lint", "--strict", chart)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// What cannot work is refused with the reason.
func TestChartRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, values, reason string }{
		{"nothing", "", "port.clientId is required"},
		{"no secret", "port: {clientId: a}", "port.clientSecret is required"},
		{"placeholder", "port: {clientId: <enter your client id here>, clientSecret: b}", "port.clientId is required"},
		{"two workers", least + "liveEvents: {baseUrl: 'https://a.example.com', worker: {enabled: true, replicaCount: 2}}", "live-events: 2 replicas"},
		{"two main pods", least + "workload: {deployment: {replicas: 2}}", "main: 2 replicas"},
		{"several pods and a volume", least + "replicaCount: 3\nsharedQueue: {enabled: true, url: 'redis://redis'}\nstate: {persistence: {enabled: true}}", "cannot share a volume"},
		{"a shared queue and workers", least + "sharedQueue: {enabled: true}\nliveEvents: {worker: {enabled: true}}", "the main pods do everything"},
		{"several pods and a shared queue that is off", least + "replicaCount: 3\nsharedQueue: {enabled: false, url: 'redis://redis'}", "main: 3 replicas"},
		{"a shared queue without an address", least + "sharedQueue: {enabled: true}", "sharedQueue.url is required"},
		{"autoscaling", least + "autoscaling: {enabled: true}", "autoscaling.enabled: one pod"},
		{"volume and rolling update", least + "state: {persistence: {enabled: true}}\nworkload: {deployment: {rolloutStrategy: RollingUpdate}}", "set the strategy to Recreate"},
		{"another integration", least + "integration: {type: github}", "azure-devops only"},
		{"list of secrets to create", least + "secret: {name: [a, b]}", "set secret.create to false"},
		{"certificate is missing", least + "selfSignedCertificate: {enabled: true}", "selfSignedCertificate.certificate is required"},
		{"workload", least + "workload: {kind: StatefulSet}", "/workload/kind"},
		{"type", least + "service: {enabled: 'yes'}", "/service/enabled"},
		{"misspelt", least + "state: {persistent: {enabled: true}}", "persistent"},
		{"agent without credentials", "mode: agent", "env.secret.PORT_CLIENT_ID is required"},
		{"agents with one volume", "mode: agent\nenv: {secret: {PORT_CLIENT_ID: a, PORT_CLIENT_SECRET: b}}\nreplicaCount: 2\nstate: {persistence: {enabled: true}}", "cannot share a volume"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := runHelm(t, tt.values, "template", "ado", chart, "--kube-version", "1.30.0")
			if err == nil || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("%v, want %q", err, tt.reason)
			}
		})
	}
}
