{{- define "roost.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of everything: the release's, with the chart's if it is not in it. Room is left for -pods. */}}
{{- define "roost.fullname" -}}
{{- $name := include "roost.name" . }}
{{- $full := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) }}
{{- $full | replace "." "-" | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "roost.podsName" -}}
{{- include "roost.fullname" . }}-pods
{{- end }}

{{- define "roost.selector" -}}
app.kubernetes.io/name: {{ include "roost.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{/* Labels of everything but the component, which each object has of its own. */}}
{{- define "roost.labels" -}}
app.kubernetes.io/name: {{ include "roost.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/part-of: roost
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{- define "roost.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "roost.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "roost.image" -}}
{{- with .Values.image.registry }}{{ . | trimSuffix "/" }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Seconds of a duration such as 25s, 1m30s or 500ms, rounded up. */}}
{{- define "roost.seconds" -}}
{{- $ms := 0 }}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 }}
{{- $n := regexFind "^[0-9]+" . | int }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- $ms = add $ms (mul $n (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) $unit)) }}
{{- end }}
{{- div (add $ms 999) 1000 }}
{{- end }}

{{/* A pod ends at most 10 s after its drain; 5 s more are for a slow node. */}}
{{- define "roost.gracePeriod" -}}
{{- add (include "roost.seconds" .Values.drain.delay | int) (include "roost.seconds" .Values.drain.timeout | int) 15 }}
{{- end }}

{{/* The part of the socket path that is the same for all clients. */}}
{{- define "roost.path" -}}
{{- regexReplaceAll "/:.*$" .Values.socketPath "" | default "/" }}
{{- end }}

{{/* The topic rules, with that of helm test in front. */}}
{{- define "roost.topics" -}}
{{- $rules := .Values.topics | default (list (dict "topic" "*" "join" "webhook" "push" "webhook")) }}
{{- if .Values.test.enabled }}
{{- $rules = prepend $rules (dict "topic" .Values.test.topic "join" "allow" "push" "deny" "members" false) }}
{{- end }}
{{- toYaml (dict "topics" $rules) }}
{{- end }}

{{/* What the chart keeps secret itself. */}}
{{- define "roost.secretData" -}}
{{- $data := deepCopy .Values.secretSettings }}
{{- if and .Values.redis.url (not .Values.redis.existingSecret) }}{{ $_ := set $data "REDIS_URL" .Values.redis.url }}{{ end }}
{{- if and .Values.webhook.secret (not .Values.webhook.existingSecret) }}{{ $_ := set $data "ROOST_WEBHOOK_SECRET" .Values.webhook.secret }}{{ end }}
{{- if $data }}{{ toYaml $data }}{{ end }}
{{- end }}

{{/* Secrets as environment, for the gateway and for helm test. */}}
{{- define "roost.envFrom" -}}
{{- if include "roost.secretData" . }}
- secretRef:
    name: {{ include "roost.fullname" . }}
{{- end }}
{{- with .Values.existingSecret }}
- secretRef:
    name: {{ . }}
{{- end }}
{{- end }}

{{- define "roost.secretEnv" -}}
{{- with .Values.redis.existingSecret }}
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.redis.existingSecretKey }}
{{- end }}
{{- with .Values.webhook.existingSecret }}
- name: ROOST_WEBHOOK_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.webhook.existingSecretKey }}
{{- end }}
{{- end }}

{{/* Labels of this release's metrics. */}}
{{- define "roost.series" -}}
job="{{ include "roost.podsName" . }}",namespace="{{ .Release.Namespace }}"
{{- end }}

{{/* Where clients inside the cluster connect to. */}}
{{- define "roost.checkURL" -}}
ws://{{ include "roost.fullname" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}{{ regexReplaceAll ":[^/]+" .Values.socketPath "check" | trimSuffix "/" }}
{{- with .Values.test.query }}?{{ . }}{{ end }}
{{- end }}
