package k8s_test

import (
	"strings"
	"testing"
)

// What cannot work fails with a sentence, and not in a pod.
func TestRenderFailsWithASentence(t *testing.T) {
	redis, webhook, origins := minimal[:2], minimal[2:4], minimal[4:]
	join := func(parts ...[]string) (all []string) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	set := func(value string) []string { return []string{"--set", value} }
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no redis":             {join(webhook, origins), "redis.url is not set: say where Redis is"},
		"no webhook":           {join(redis, origins), "webhook.url is not set: say where your backend answers"},
		"no origins":           {join(redis, webhook), "origins is empty: list the origins of your pages"},
		"rules ask":            {join(redis, origins, set("topics[0].topic=a,topics[0].join=allow")), "webhook.url is not set"},
		"two redis":            {join(minimal, set("redis.existingSecret=x")), "redis.url and redis.existingSecret are both set"},
		"two secrets":          {join(minimal, set("webhook.secret=whsec_aa,webhook.existingSecret=x")), "webhook.secret and webhook.existingSecret are both set"},
		"two autoscalers":      {join(minimal, set("autoscaling.enabled=true,keda.enabled=true,keda.serverAddress=http://p")), "two would scale the same pods"},
		"keda without server":  {join(minimal, set("keda.enabled=true")), "keda.serverAddress is not set"},
		"route without parent": {join(minimal, set("httpRoute.enabled=true")), "httpRoute.parentRefs is empty"},
		"ingress without host": {join(minimal, set("ingress.enabled=true")), "ingress.hosts is empty"},
		"the chart's own":      {join(minimal, set("settings.ROOST_DRAIN_TIMEOUT=90s")), "settings.ROOST_DRAIN_TIMEOUT: the chart sets it itself; use drain.timeout."},
		"typo":                 {join(minimal, set("replicas=3")), "additional properties 'replicas' not allowed"},
		"wrong type":           {join(minimal, set("drain.delay=5")), "drain/delay"},
		"wrong origin":         {join(redis, webhook, set("origins={app.example.com}")), "origins/0"},
		"wrong URL":            {join(webhook, origins, set("redis.url=redis:6379")), "redis/url"},
		"not a setting":        {join(minimal, set("settings.IDLE=1")), "'IDLE' does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			_, wrong, err := call(t, cached(t, "helm"), append([]string{"template", "roost", "chart"}, c.args...)...)
			if err == nil || !strings.Contains(wrong, c.want) {
				t.Errorf("got error %v and\n%s\nwant %q", err, wrong, c.want)
			}
		})
	}
}

// Rules that never ask the backend need none.
func TestRenderWithoutABackend(t *testing.T) {
	text := render(t, append(append([]string{}, minimal[:2]...), "--set", "origins={conn}",
		"--set", "topics[0].topic=news:*,topics[0].join=allow,topics[0].push=deny")...)
	if strings.Contains(text, "ROOST_WEBHOOK_URL") {
		t.Error("got ROOST_WEBHOOK_URL, want none")
	}
}
