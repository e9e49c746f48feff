package k8s_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// components are rendered from the chart: folder, kind and values.
var components = map[string]struct {
	values string
	kinds  []string
}{
	"autoscaling": {"autoscaling.enabled=true", []string{"HorizontalPodAutoscaler"}},
	"keda":        {"keda.enabled=true,keda.serverAddress=http://prometheus.monitoring:9090", []string{"ScaledObject"}},
	"monitoring": {"metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true",
		[]string{"ServiceMonitor", "PrometheusRule", "ConfigMap"}},
}

// withoutHelm leaves out of a chart's object what kustomize adds, or has no use for.
func withoutHelm(o object) object {
	metadata := o["metadata"].(map[string]any)
	delete(metadata, "namespace")
	labels := metadata["labels"].(map[string]any)
	for _, label := range []string{"helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "app.kubernetes.io/part-of"} {
		delete(labels, label)
	}
	return o
}

func TestComponentsAreRenderedFromTheChart(t *testing.T) {
	for folder, c := range components {
		all := parse(t, render(t, append([]string{"--set", c.values}, minimal...)...))
		for _, kind := range c.kinds {
			name := "roost"
			if kind == "ConfigMap" {
				name = "roost-dashboard"
			}
			o := withoutHelm(find(t, all, kind, name))
			if kind == "ServiceMonitor" {
				delete(o["spec"].(map[string]any), "namespaceSelector") // its own
			}
			data, err := yaml.MarshalWithOptions(o, yaml.IndentSequence(true), yaml.UseLiteralStyleIfMultiline(true))
			if err != nil {
				t.Fatal(err)
			}
			// The overlay decides on the namespace; series are told apart by job.
			text := "# Rendered from the chart: go test ./k8s -update\n" + strings.NewReplacer(`,namespace="default"`, "", `,namespace=\"default\"`, "").Replace(string(data))
			golden(t, filepath.Join("components", folder, strings.ToLower(kind)+".yaml"), text)
		}
	}
}

// The pods of the base are those of the chart, but for where settings come from.
func TestBaseIsLikeTheChart(t *testing.T) {
	chart, base := parse(t, render(t, minimal...)), parse(t, kustomize(t, "base"))
	for _, kind := range []string{"Deployment", "PodDisruptionBudget", "NetworkPolicy", "ServiceAccount"} {
		a, b := find(t, chart, kind, "roost"), find(t, base, kind, "roost")
		if kind == "Deployment" {
			for _, o := range []object{a, b} {
				pod := at(o, "spec.template.spec").(map[string]any)
				delete(pod, "volumes")
				for _, key := range []string{"env", "envFrom", "volumeMounts"} {
					delete(at(pod, "containers.0").(map[string]any), key)
				}
				delete(at(o, "spec.template").(map[string]any), "metadata")
			}
		}
		delete(a, "metadata")
		delete(b, "metadata")
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: got %v in the base, want what the chart has: %v", kind, b, a)
		}
	}
	for _, name := range []string{"roost", "roost-pods"} {
		if a, b := at(find(t, chart, "Service", name), "spec"), at(find(t, base, "Service", name), "spec"); !reflect.DeepEqual(a, b) {
			t.Errorf("Service %s: got %v in the base, want what the chart has: %v", name, b, a)
		}
	}
}
