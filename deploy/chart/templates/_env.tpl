{{/* The environment of the controller. What a value leaves open is left to the controller. */}}
{{- define "bulla.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
# A container that is started again takes up its Lease at once.
- name: BULLA_IDENTITY
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
{{- $env := dict "BULLA_LOG_FORMAT" (default "json" (lower .Values.logFormat)) }}
{{- with .Values.logLevel }}{{ $_ := set $env "BULLA_LOG_LEVEL" (lower .) }}{{ end }}
{{- if ne (int .Values.containerPorts.http) 8080 }}{{ $_ := set $env "BULLA_LISTEN" (printf "0.0.0.0:%v" .Values.containerPorts.http) }}{{ end }}
{{- if not (include "bulla.isWide" .) }}{{ $_ := set $env "BULLA_WATCH_NAMESPACE" (include "bulla.served" .) }}{{ end }}
{{- with .Values.externalSecrets }}
{{- if not .enabled }}{{ $_ := set $env "BULLA_EXTERNAL_SECRETS" "false" }}{{ end }}
{{- if not .clusterStores }}{{ $_ := set $env "BULLA_CLUSTER_STORES" "false" }}{{ end }}
{{- with .controllerClass }}{{ $_ := set $env "BULLA_CONTROLLER_CLASS" . }}{{ end }}
{{- with .storeRequeueInterval }}{{ $_ := set $env "BULLA_STORE_REQUEUE_INTERVAL" . }}{{ end }}
{{- end }}
{{- if gt (int .Values.shards) 1 }}{{ $_ := set $env "BULLA_SHARDS" (toString .Values.shards) }}{{ end }}
{{- with .Values.secretLabels }}{{ $_ := set $env "BULLA_SECRET_LABELS" (include "bulla.pairs" .) }}{{ end }}
{{- with .Values.notify.events }}{{ $_ := set $env "BULLA_NOTIFY_ON" (join "," .) }}{{ end }}
{{- range $name, $value := dict "LABEL_SELECTOR" .Values.labelSelector "KUBESEAL_CERTIFICATES" .Values.kubesealCertificates "AUDIT_LOG" .Values.auditLog "OTLP_ENDPOINT" .Values.otlpEndpoint }}
{{- if ne (toString $value) "" }}{{ $_ := set $env (printf "BULLA_%s" $name) (toString $value) }}{{ end }}
{{- end }}
{{- if not .Values.updateStatus }}{{ $_ := set $env "BULLA_UPDATE_STATUS" "false" }}{{ end }}
{{- if not .Values.metrics.objects }}{{ $_ := set $env "BULLA_OBJECT_METRICS" "false" }}{{ end }}
{{- if ne (int .Values.containerPorts.metrics) (add1 (int .Values.containerPorts.http) | int) }}{{ $_ := set $env "BULLA_LISTEN_METRICS" (printf "0.0.0.0:%v" .Values.containerPorts.metrics) }}{{ end }}
{{- /* Settings that upstream had too go by its variables. */}}
{{- if ne .Values.secretName "sealed-secrets-key" }}{{ $_ := set $env "SEALED_SECRETS_KEY_PREFIX" .Values.secretName }}{{ end }}
{{- if .Values.skipRecreate }}{{ $_ := set $env "SEALED_SECRETS_SKIP_RECREATE" "true" }}{{ end }}
{{- range $name, $value := dict "KEY_RENEW_PERIOD" .Values.keyrenewperiod "KEY_TTL" .Values.keyttl "KEY_CUTOFF_TIME" .Values.keycutofftime "RATE_LIMIT" .Values.rateLimit "RATE_LIMIT_BURST" .Values.rateLimitBurst }}
{{- if ne (toString $value) "" }}{{ $_ := set $env (printf "SEALED_SECRETS_%s" $name) (toString $value) }}{{ end }}
{{- end }}
{{- with .Values.privateKeyAnnotations }}{{ $_ := set $env "SEALED_SECRETS_PRIVATEKEY_ANNOTATIONS" (include "bulla.pairs" .) }}{{ end }}
{{- with .Values.privateKeyLabels }}{{ $_ := set $env "SEALED_SECRETS_PRIVATEKEY_LABELS" (include "bulla.pairs" .) }}{{ end }}
{{- range $name, $value := $env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- with .Values.notify.existingSecret }}
{{- range $name, $key := dict "SLACK_URL" "slack-url" "WEBHOOK_URL" "webhook-url" "WEBHOOK_KEY" "webhook-key" }}
- name: BULLA_NOTIFY_{{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $.Values.notify.existingSecret }}, key: {{ $key }}, optional: true}}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
