{{/* Name of everything the release has once: the Service's name is also the name in its certificate. */}}
{{- define "vlm-operator.fullname" -}}
{{- if contains "vlm-operator" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-vlm-operator" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "vlm-operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "vlm-operator.fullname" .) -}}
{{- end -}}

{{/* What selects the pods. A Deployment can't change it, so no version stands here. */}}
{{- define "vlm-operator.selector" -}}
app.kubernetes.io/name: vlm-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "vlm-operator.labels" -}}
{{ include "vlm-operator.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* What the operator does in a namespace it watches: src/docs/rbac.md. */}}
{{- define "vlm-operator.rules" -}}
- apiGroups: [vlm-operator.io]
  resources: [datasets, pretrainjobs, sftjobs, evaljobs]
  verbs: [get, list, watch, delete]
- apiGroups: [vlm-operator.io]
  resources: [evaljobs]
  verbs: [create]
- apiGroups: [vlm-operator.io]
  resources: [datasets]
  verbs: [patch]
- apiGroups: [vlm-operator.io]
  resources: [datasets/status, pretrainjobs/status, sftjobs/status, evaljobs/status]
  verbs: [patch]
- apiGroups: [vlm-operator.io]
  resources: [datasets/finalizers, pretrainjobs/finalizers, sftjobs/finalizers, evaljobs/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, create]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, delete, patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
