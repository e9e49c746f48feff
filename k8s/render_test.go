package k8s_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// minimal are the three values that an install needs.
var minimal = []string{"--set", "redis.url=redis://redis:6379", "--set", "webhook.url=http://backend/roost",
	"--set", "origins={https://app.example.com}"}

// valuesFiles are the renders that are kept, by name. Each is a file in testdata/values, or an example.
func valuesFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{"testdata/values/*.yaml", "examples/*/values.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("got no %s (error %v)", pattern, err)
		}
		for _, file := range found {
			name := strings.TrimSuffix(filepath.Base(file), ".yaml")
			if name == "values" {
				name = "example-" + filepath.Base(filepath.Dir(file))
			}
			files[name] = file
		}
	}
	return files
}

// render renders the chart.
func render(t *testing.T, args ...string) string {
	t.Helper()
	out, wrong, err := call(t, cached(t, "helm"), append([]string{"template", "roost", "chart", "--namespace", "default"}, args...)...)
	if err != nil {
		t.Fatalf("helm template %q: %v\n%s", args, err, wrong)
	}
	return out
}

// kustomize builds a folder.
func kustomize(t *testing.T, dir string) string {
	t.Helper()
	out, wrong, err := call(t, cached(t, "kustomize"), "build", dir)
	if err != nil {
		t.Fatalf("kustomize build %s: %v\n%s", dir, err, wrong)
	}
	return out
}

// eachRender runs test on everything that is rendered from this folder.
func eachRender(t *testing.T, test func(t *testing.T, text string)) {
	for name, file := range valuesFiles(t) {
		t.Run(name, func(t *testing.T) { test(t, render(t, "--values", file)) })
	}
	t.Run("kustomize-base", func(t *testing.T) { test(t, kustomize(t, "base")) })
	t.Run("kustomize-example", func(t *testing.T) { test(t, kustomize(t, "examples/kustomize")) })
	t.Run("kustomize-keda", func(t *testing.T) { test(t, kustomize(t, "testdata/kustomize-keda")) })
}

func TestGolden(t *testing.T) {
	eachRender(t, func(t *testing.T, text string) {
		golden(t, filepath.Join("testdata", "golden", filepath.Base(t.Name())+".yaml"), text)
	})
}

// The three values are enough, and what they make is the same as from a file.
func TestThreeValuesAreEnough(t *testing.T) {
	if render(t, minimal...) != render(t, "--values", "testdata/values/minimal.yaml") {
		t.Error("got another render from --set than from testdata/values/minimal.yaml")
	}
}

func TestLint(t *testing.T) {
	for name, file := range valuesFiles(t) {
		t.Run(name, func(t *testing.T) {
			if out, wrong, err := call(t, cached(t, "helm"), "lint", "chart", "--strict", "--values", file); err != nil {
				t.Errorf("helm lint: %v\n%s%s", err, out, wrong)
			}
		})
	}
}

// schemas are where the kinds of others are described.
func schemas(t *testing.T) []string {
	t.Helper()
	args := []string{"--version", "1.30"}
	for _, name := range []string{"prometheus-operator", "gateway-api", "keda"} {
		args = append(args, "--local-crds", cached(t, name))
	}
	return args
}

// validate checks manifests against the schemas of Kubernetes and the operators, and returns what is wrong.
func validate(t *testing.T, text string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, wrong, err := call(t, cached(t, "kubectl-validate"), append(schemas(t), file)...)
	return out + wrong, err
}

// Kubernetes takes every render. One run checks them all: the program takes longer to start than to check.
func TestKubernetesTakesEveryRender(t *testing.T) {
	dir := t.TempDir()
	eachRender(t, func(t *testing.T, text string) {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(t.Name())+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if out, wrong, err := call(t, cached(t, "kubectl-validate"), append(schemas(t), dir)...); err != nil {
		t.Errorf("kubectl-validate: %v\n%s%s", err, out, wrong)
	}
}

// The check above can fail: a wrong name and a wrong type are found, in kinds of Kubernetes and of the others.
func TestValidationFindsMistakes(t *testing.T) {
	text := render(t, "--values", "testdata/values/everything.yaml")
	for was, is := range map[string]string{
		"maxUnavailable: 1\n  #":     "maxUnavailble: 1\n  #",
		"maxReplicas: 20":            `maxReplicas: "20"`,
		"port: admin\n      path:":   "prot: admin\n      path:",
		"backendRefs:\n":             "backendRef:\n",
		"terminationGracePeriodSeco": "terminationGraceSeco",
	} {
		broken := strings.Replace(text, was, is, 1)
		if broken == text {
			t.Fatalf("got no %q in the render", was)
		}
		if _, err := validate(t, broken); err == nil {
			t.Errorf("%q in place of %q: got no error, want one", is, was)
		}
	}
}
