{{- define "bulla.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "bulla.namespace" -}}{{ default .Release.Namespace .Values.namespace }}{{- end -}}

{{- define "bulla.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ default (include "bulla.fullname" .) .Values.serviceAccount.name }}
{{- else -}}{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "bulla.service" -}}
{{- if .Values.service.kubesealCompatible -}}sealed-secrets-controller
{{- else -}}{{ default (include "bulla.fullname" .) .Values.service.name }}
{{- end -}}
{{- end -}}

{{- define "bulla.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "bulla.labels" -}}
{{ include "bulla.selector" . }}
app.kubernetes.io/part-of: bulla
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object: (list $ NAME NAMESPACE LABELS ANNOTATIONS); no namespace for objects of the cluster */}}
{{- define "bulla.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
{{- with index . 2 }}
namespace: {{ . }}
{{- end }}
labels:
  {{- merge (dict) (default (dict) (index . 3)) (include "bulla.labels" $root | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (default (dict) (index . 4)) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* "true" where the whole cluster is served */}}
{{- define "bulla.isWide" -}}
{{- if and .Values.rbac.clusterRole (not .Values.additionalNamespaces) -}}true{{- end -}}
{{- end -}}

{{/* the namespaces that are served otherwise, joined by commas */}}
{{- define "bulla.served" -}}
{{- prepend .Values.additionalNamespaces (include "bulla.namespace" .) | uniq | sortAlpha | join "," -}}
{{- end -}}

{{/* pairs of a map as upstream's flags take them: a=1,b=2 */}}
{{- define "bulla.pairs" -}}
{{- $pairs := list -}}
{{- range $key, $value := . -}}{{- $pairs = append $pairs (printf "%s=%v" $key $value) -}}{{- end -}}
{{- join "," $pairs -}}
{{- end -}}
