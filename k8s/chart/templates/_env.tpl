{{/* The gateway's settings. */}}
{{- define "roost.env" -}}
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: ROOST_ADVERTISE_URL
  value: {{ ternary "http://[$(POD_IP)]:4000" "http://$(POD_IP):4000" .Values.service.ipv6 | quote }}
{{- include "roost.secretEnv" . }}
{{- with .Values.webhook.url }}
- name: ROOST_WEBHOOK_URL
  value: {{ . | quote }}
{{- end }}
- name: ROOST_CHECK_ORIGIN
  value: {{ join "," .Values.origins | quote }}
- name: ROOST_SOCKET_PATH
  value: {{ .Values.socketPath | quote }}
- name: ROOST_TOPICS_FILE
  value: /etc/roost/topics.yaml
- name: ROOST_DRAIN_DELAY
  value: {{ .Values.drain.delay | quote }}
- name: ROOST_DRAIN_TIMEOUT
  value: {{ .Values.drain.timeout | quote }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ (kindIs "float64" $value | ternary (int64 $value) $value) | toString | quote }}
{{- end }}
{{- end }}
