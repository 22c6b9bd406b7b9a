{{- /* Names and labels of the operator's own objects. A Service may have 63 characters, and its ends in -metrics. */ -}}

{{- define "celery-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "celery-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 55 | trimSuffix "-" }}
{{- else if contains (include "celery-operator.name" .) .Release.Name }}
{{- .Release.Name | trunc 55 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "celery-operator.name" .) | trunc 55 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Names of cluster-wide objects carry the namespace: two releases in two namespaces must not share one. */ -}}
{{- define "celery-operator.clusterName" -}}
{{- if eq .Release.Namespace (include "celery-operator.fullname" .) }}
{{- include "celery-operator.fullname" . }}
{{- else }}
{{- printf "%s-%s" .Release.Namespace (include "celery-operator.fullname" .) }}
{{- end }}
{{- end }}

{{- define "celery-operator.serviceAccountName" -}}
{{- default (include "celery-operator.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "celery-operator.image" -}}
{{- $path := printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- if .Values.image.registry }}
{{- printf "%s/%s" (trimSuffix "/" .Values.image.registry) $path }}
{{- else }}
{{- $path }}
{{- end }}
{{- end }}

{{- define "celery-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "celery-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "celery-operator.labels" -}}
{{ include "celery-operator.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}
