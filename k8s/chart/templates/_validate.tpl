{{/* What cannot work fails here, with a sentence, and not in a pod. */}}
{{- define "roost.validate" -}}
{{- if not (or .Values.redis.url .Values.redis.existingSecret) }}
{{- fail "\n\nredis.url is not set: say where Redis is (--set redis.url=redis://redis:6379), or name a Secret that holds it under the key REDIS_URL (--set redis.existingSecret=NAME).\n" }}
{{- end }}
{{- $asks := not .Values.topics }}
{{- range .Values.topics }}
{{- $join := .join | default "webhook" }}
{{- if or (eq $join "webhook") (and (ne $join "deny") (eq (.push | default "webhook") "webhook")) }}{{ $asks = true }}{{ end }}
{{- end }}
{{- if and $asks (not .Values.webhook.url) }}
{{- fail "\n\nwebhook.url is not set: say where your backend answers (--set webhook.url=http://backend/roost), or give topics rules that never ask it.\n" }}
{{- end }}
{{- if not .Values.origins }}
{{- fail "\n\norigins is empty: list the origins of your pages (--set 'origins={https://app.example.com}'), or conn for the request's own host (--set 'origins={conn}').\n" }}
{{- end }}
{{- if and .Values.redis.url .Values.redis.existingSecret }}
{{- fail "\n\nredis.url and redis.existingSecret are both set: use one.\n" }}
{{- end }}
{{- if and .Values.webhook.secret .Values.webhook.existingSecret }}
{{- fail "\n\nwebhook.secret and webhook.existingSecret are both set: use one.\n" }}
{{- end }}
{{- $values := dict "PORT" "nothing: the chart counts on 4000" "ROOST_ADMIN_PORT" "nothing: the chart counts on 4001" "ROOST_ADMIN_HOST" "nothing: probes come from outside" "ROOST_POD_ID" "nothing: every pod needs another one" "ROOST_ADVERTISE_URL" "nothing: it is every pod's address" "REDIS_URL" "redis.url" "ROOST_WEBHOOK_URL" "webhook.url" "ROOST_WEBHOOK_SECRET" "webhook.secret" "ROOST_CHECK_ORIGIN" "origins" "ROOST_TOPICS_FILE" "topics" "ROOST_SOCKET_PATH" "socketPath" "ROOST_DRAIN_DELAY" "drain.delay" "ROOST_DRAIN_TIMEOUT" "drain.timeout" }}
{{- range $name, $_ := merge (dict) .Values.settings .Values.secretSettings }}
{{- with get $values $name }}
{{- fail (printf "\n\nsettings.%s: the chart sets it itself; use %s.\n" $name .) }}
{{- end }}
{{- end }}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled }}
{{- fail "\n\nautoscaling.enabled and keda.enabled are both set: two would scale the same pods; use one.\n" }}
{{- end }}
{{- if and .Values.keda.enabled (not .Values.keda.serverAddress) }}
{{- fail "\n\nkeda.serverAddress is not set: say where Prometheus is (--set keda.serverAddress=http://prometheus.monitoring:9090).\n" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "\n\nhttpRoute.parentRefs is empty: name the Gateway that the route belongs to (--set 'httpRoute.parentRefs[0].name=NAME').\n" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "\n\ningress.hosts is empty: list the names that clients connect to (--set 'ingress.hosts={live.example.com}').\n" }}
{{- end }}
{{- end }}
