{{/* The same rules as deploy/kustomize has; tests/deploy compares them. */}}
{{- define "bulla.rules.own" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [bulla-sealing-keys]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- define "bulla.rules.sealed" -}}
- apiGroups: [bitnami.com]
  resources: [sealedsecrets]
  verbs: [get, list, watch]
- apiGroups: [bitnami.com]
  resources: [sealedsecrets/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- define "bulla.rules.external" -}}
- apiGroups: [external-secrets.io]
  resources: [externalsecrets, secretstores]
  verbs: [list, watch]
- apiGroups: [external-secrets.io]
  resources: [externalsecrets/status, secretstores/status]
  verbs: [patch]
- apiGroups: [external-secrets.io]
  resources: [externalsecrets]
  verbs: [patch]
- apiGroups: [external-secrets.io]
  resources: [externalsecrets/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
{{- end -}}

{{- define "bulla.rules.clusterStores" -}}
- apiGroups: [external-secrets.io]
  resources: [clustersecretstores, clusterexternalsecrets]
  verbs: [list, watch]
- apiGroups: [external-secrets.io]
  resources: [clustersecretstores/status, clusterexternalsecrets/status]
  verbs: [patch]
- apiGroups: [external-secrets.io]
  resources: [clusterexternalsecrets]
  verbs: [patch]
- apiGroups: [external-secrets.io]
  resources: [clusterexternalsecrets/finalizers]
  verbs: [update]
- apiGroups: [external-secrets.io]
  resources: [externalsecrets]
  verbs: [create, patch, delete]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch, patch]
{{- end -}}

{{- define "bulla.rules.storeTokens" -}}
- apiGroups: [""]
  resources: [serviceaccounts]
  {{- with .Values.externalSecrets.storeTokens.serviceAccounts }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get]
- apiGroups: [""]
  resources: [serviceaccounts/token]
  {{- with .Values.externalSecrets.storeTokens.serviceAccounts }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [create]
{{- end -}}

{{/* a role and its binding to the controller: (list $ NAME NAMESPACE RULES); no namespace for the cluster */}}
{{- define "bulla.grant" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
{{- $namespace := index . 2 }}
{{- $kind := ternary "Role" "ClusterRole" (ne $namespace "") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  {{- include "bulla.metadata" (list $root $name $namespace $root.Values.rbac.labels nil) | nindent 2 }}
rules:
{{ index . 3 }}
{{- include "bulla.bind" (list $root $kind $name $name $namespace) }}
{{- end -}}

{{/* a binding to the controller: (list $ KIND-OF-ROLE ROLE NAME NAMESPACE) */}}
{{- define "bulla.bind" -}}
{{- $root := index . 0 }}
{{- $namespace := index . 4 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "RoleBinding" "ClusterRoleBinding" (ne $namespace "") }}
metadata:
  {{- include "bulla.metadata" (list $root (index . 3) $namespace $root.Values.rbac.labels nil) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ index . 1 }}
  name: {{ index . 2 }}
subjects:
- kind: ServiceAccount
  name: {{ include "bulla.serviceAccount" $root }}
  namespace: {{ include "bulla.namespace" $root }}
{{- end -}}
