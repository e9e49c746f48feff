package k8s_test

import (
	"encoding/base64"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// elsewhere stands for what a render takes from Secrets and ConfigMaps that others make.
var elsewhere = map[string]string{
	"REDIS_URL": "redis://redis:6379", "ROOST_WEBHOOK_SECRET": "whsec_bm90aGluZyB0byBzZWUgaGVyZQ==",
	"ROOST_WEBHOOK_URL": "http://backend/roost", "ROOST_CHECK_ORIGIN": "conn",
}

// container returns the only container of a Deployment or Pod.
func container(t *testing.T, o object) map[string]any {
	t.Helper()
	spec := at(o, "spec.template.spec")
	if o.kind() == "Pod" {
		spec = o["spec"]
	}
	all := list(at(spec, "containers"))
	if len(all) != 1 {
		t.Fatalf("got %d containers in %s %s, want 1", len(all), o.kind(), o.name())
	}
	return all[0]
}

// data returns what a Secret or ConfigMap of the render holds, or what another one would.
func data(t *testing.T, all []object, kind, name string) map[string]string {
	t.Helper()
	for _, o := range all {
		if o.kind() != kind || !strings.HasPrefix(o.name(), name) {
			continue
		}
		values := map[string]string{}
		for _, key := range []string{"data", "stringData"} {
			entries, _ := o[key].(map[string]any)
			for k, v := range entries {
				text, _ := v.(string)
				if raw, err := base64.StdEncoding.DecodeString(text); kind == "Secret" && key == "data" && err == nil {
					text = string(raw)
				}
				values[k] = text
			}
		}
		return values
	}
	return elsewhere
}

// environ returns the environment of a container, as its node would make it.
func environ(t *testing.T, all []object, c map[string]any) map[string]string {
	t.Helper()
	vars := map[string]string{}
	for _, from := range list(c["envFrom"]) {
		for ref, kind := range map[string]string{"secretRef": "Secret", "configMapRef": "ConfigMap"} {
			if name, ok := at(from, ref+".name").(string); ok {
				maps.Copy(vars, data(t, all, kind, name))
			}
		}
	}
	for _, e := range list(c["env"]) {
		name := e["name"].(string)
		value, _ := e["value"].(string)
		switch {
		case name == "POD_IP":
			value = "10.0.0.7"
		case e["valueFrom"] != nil:
			if value = elsewhere[name]; value == "" {
				t.Fatalf("%s comes from %v, and nobody knows it", name, e["valueFrom"])
			}
		}
		if strings.Contains(value, "[$(POD_IP)]") {
			vars["POD_IP"] = "fd00::7"
		}
		vars[name] = strings.ReplaceAll(value, "$(POD_IP)", vars["POD_IP"])
	}
	mountTopics(t, all, vars)
	return vars
}

// mountTopics writes the topic rules to where they can be read here.
func mountTopics(t *testing.T, all []object, vars map[string]string) {
	t.Helper()
	file := vars["ROOST_TOPICS_FILE"]
	if file == "" {
		return
	}
	for _, o := range all {
		entries, _ := o["data"].(map[string]any)
		if rules, ok := entries[filepath.Base(file)].(string); ok && o.kind() == "ConfigMap" {
			vars["ROOST_TOPICS_FILE"] = filepath.Join(t.TempDir(), "topics.yaml")
			if err := os.WriteFile(vars["ROOST_TOPICS_FILE"], []byte(rules), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("got no ConfigMap with %s", file)
}

// pairs returns an environment as programs take it.
func pairs(vars map[string]string) []string {
	var all []string
	for name, value := range vars {
		all = append(all, name+"="+value)
	}
	return all
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
