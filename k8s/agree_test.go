package k8s_test

import (
	"bytes"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// defaults returns all settings and their defaults, as gateway config prints them.
func defaults(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gateway(t), "config")
	cmd.Env = []string{}
	out, _ := cmd.Output() // it fails, because nothing is set
	settings := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " "); found {
			settings[name] = strings.TrimSpace(value)
		}
	}
	if len(settings) < 20 {
		t.Fatalf("got %d settings from gateway config, want all", len(settings))
	}
	return settings
}

// The gateway takes the environment of every render.
func TestSettingsAgree(t *testing.T) {
	known := defaults(t)
	eachRender(t, func(t *testing.T, text string) {
		all := parse(t, text)
		vars := environ(t, all, container(t, find(t, all, "Deployment", "")))
		for name := range vars {
			if _, found := known[name]; !found && name != "POD_IP" {
				t.Errorf("%s is not a setting", name)
			}
		}
		cmd := exec.CommandContext(t.Context(), gateway(t), "config")
		cmd.Env = pairs(vars)
		var wrong bytes.Buffer
		cmd.Stderr = &wrong
		if err := cmd.Run(); err != nil {
			t.Errorf("gateway config with the environment of the pod: %v\n%s", err, &wrong)
		}
	})
}

func TestPortsAndProbesAgree(t *testing.T) {
	known := defaults(t)
	eachRender(t, func(t *testing.T, text string) {
		all := parse(t, text)
		deployment := find(t, all, "Deployment", "")
		c := container(t, deployment)
		ports := map[string]int{}
		for _, p := range list(c["ports"]) {
			ports[p["name"].(string)] = number(p["containerPort"])
		}
		if want := map[string]int{"http": atoi(t, known["PORT"]), "admin": atoi(t, known["ROOST_ADMIN_PORT"])}; !reflect.DeepEqual(ports, want) {
			t.Errorf("got ports %v, want the gateway's: %v", ports, want)
		}
		for probe, path := range map[string]string{"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"} {
			if got := at(c[probe], "httpGet.path"); got != path || at(c[probe], "httpGet.port") != "admin" {
				t.Errorf("%s: got %v, want %s on port admin", probe, c[probe], path)
			}
		}
		checkServices(t, all, ports)
	})
}

// checkServices holds that clients reach the client port only, and that the pods' own Service has both.
func checkServices(t *testing.T, all []object, ports map[string]int) {
	t.Helper()
	labels, _ := at(find(t, all, "Deployment", ""), "spec.template.metadata.labels").(map[string]any)
	for _, o := range all {
		if o.kind() != "Service" {
			continue
		}
		for key, value := range o["spec"].(map[string]any)["selector"].(map[string]any) {
			if labels[key] != value {
				t.Errorf("Service %s: selects %s=%v, which the pods do not have", o.name(), key, value)
			}
		}
		var names []string
		for _, p := range list(at(o, "spec.ports")) {
			target := p["targetPort"].(string)
			names = append(names, target)
			if headless := at(o, "spec.clusterIP") == "None"; headless && number(p["port"]) != ports[target] {
				t.Errorf("Service %s: got port %v for %s, want %d: no proxy is in between", o.name(), p["port"], target, ports[target])
			}
		}
		want := []string{"http"}
		if strings.HasSuffix(o.name(), "-pods") {
			want = []string{"http", "admin"}
		}
		if !slices.Equal(names, want) {
			t.Errorf("Service %s: got ports %v, want %v", o.name(), names, want)
		}
	}
}

// endsWithin is the README's promise of how long a pod takes after its drain.
var endsWithin = regexp.MustCompile("`ROOST_DRAIN_TIMEOUT` \\|.*the process ends at most (\\S+) later")

// Kubernetes waits for longer than the gateway takes.
func TestGracePeriodAgrees(t *testing.T) {
	promise := endsWithin.FindStringSubmatch(read(t, "../README.md"))
	if promise == nil {
		t.Fatal("the README does not say how long a pod takes after its drain")
	}
	known := defaults(t)
	eachRender(t, func(t *testing.T, text string) {
		all := parse(t, text)
		deployment := find(t, all, "Deployment", "")
		vars := environ(t, all, container(t, deployment))
		takes := span(t, promise[1])
		for _, name := range []string{"ROOST_DRAIN_DELAY", "ROOST_DRAIN_TIMEOUT"} {
			value := vars[name]
			if value == "" {
				value = known[name]
			}
			takes += span(t, value)
		}
		grace := time.Duration(number(at(deployment, "spec.template.spec.terminationGracePeriodSeconds"))) * time.Second
		if grace < takes+5*time.Second || grace > takes+10*time.Second {
			t.Errorf("got a grace period of %v, want 5s to 10s more than the %v that the gateway may take", grace, takes)
		}
	})
}

// A drain that nobody set is the gateway's.
func TestDrainDefaultsAgree(t *testing.T) {
	known := defaults(t)
	for what, text := range map[string]string{"chart": render(t, minimal...), "base": kustomize(t, "base")} {
		all := parse(t, text)
		vars := environ(t, all, container(t, find(t, all, "Deployment", "")))
		for _, name := range []string{"ROOST_DRAIN_DELAY", "ROOST_DRAIN_TIMEOUT"} {
			if span(t, vars[name]) != span(t, known[name]) {
				t.Errorf("%s: got %s=%s, want the gateway's %s", what, name, vars[name], known[name])
			}
		}
	}
}

// Pods keep to the standard that Kubernetes calls restricted, and to more.
func TestPodsAreRestricted(t *testing.T) {
	eachRender(t, func(t *testing.T, text string) {
		all := parse(t, text)
		for _, o := range all {
			pod := at(o, "spec.template.spec")
			switch o.kind() {
			case "Pod":
				pod = o["spec"]
			case "Deployment":
			default:
				continue
			}
			c := container(t, o)
			for what, got := range map[string]any{
				"runs as non-root":             at(pod, "securityContext.runAsNonRoot") == true && number(at(pod, "securityContext.runAsUser")) > 0,
				"has the default seccomp":      at(pod, "securityContext.seccompProfile.type") == "RuntimeDefault",
				"has no token":                 at(pod, "automountServiceAccountToken") == false,
				"has no service links":         at(pod, "enableServiceLinks") == false,
				"has a read-only root":         at(c, "securityContext.readOnlyRootFilesystem") == true,
				"cannot get more rights":       at(c, "securityContext.allowPrivilegeEscalation") == false,
				"has no capabilities":          reflect.DeepEqual(at(c, "securityContext.capabilities"), map[string]any{"drop": []any{"ALL"}}),
				"has a memory limit":           at(c, "resources.limits.memory") != nil,
				"shares nothing with its node": at(pod, "hostNetwork") == nil && at(pod, "hostPID") == nil && at(pod, "hostIPC") == nil,
			} {
				if got != true {
					t.Errorf("%s %s: it is not so that it %s", o.kind(), o.name(), what)
				}
			}
		}
	})
}

// The pod of helm test is not one of those that serve.
func TestCheckIsNotServing(t *testing.T) {
	all := parse(t, render(t, minimal...))
	labels := at(find(t, all, "Pod", "roost-check"), "metadata.labels").(map[string]any)
	for key, value := range at(find(t, all, "Service", "roost"), "spec.selector").(map[string]any) {
		if labels[key] != value {
			return
		}
	}
	t.Error("the Service selects the pod of helm test")
}

// An autoscaler and a replica count would undo each other.
func TestReplicasAreCountedOnce(t *testing.T) {
	eachRender(t, func(t *testing.T, text string) {
		all := parse(t, text)
		scaled := has(all, "HorizontalPodAutoscaler") || has(all, "ScaledObject")
		if set := at(find(t, all, "Deployment", ""), "spec.replicas") != nil; set == scaled {
			t.Errorf("got replicas set: %v, and an autoscaler: %v", set, scaled)
		}
	})
}
