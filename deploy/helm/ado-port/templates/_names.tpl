{{/* A value as text. Helm reads the numbers of a file as floats and would write a million as 1e+06. */}}
{{- define "ado-port.text" -}}
{{- if or (kindIs "map" .) (kindIs "slice" .) }}{{ toJson . }}
{{- else if kindIs "invalid" . }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}
{{- else }}{{ toString . }}
{{- end }}
{{- end }}

{{/* The first part of all names. */}}
{{- define "ado-port.prefix" -}}
{{- $v := .Values }}
{{- if eq $v.mode "agent" }}
{{- $name := default "port-agent" $v.nameOverride }}
{{- $v.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) }}
{{- else }}
{{- coalesce $v.metadataNamePrefixOverride $v.fullnameOverride (printf "ocean-%s-%s" $v.integration.type $v.integration.identifier) }}
{{- end }}
{{- end }}

{{/* The name of an object: (list $ "deployment"). What is too long, or no name for Kubernetes, gets a hash, so that different ones stay different. */}}
{{- define "ado-port.name" -}}
{{- $suffix := index . 1 }}
{{- $max := ternary 52 63 (or (hasSuffix "cron-job" $suffix) (hasSuffix "incr-cron" $suffix)) }}
{{- $prefix := include "ado-port.prefix" (index . 0) }}
{{- $clean := regexReplaceAll "[^a-z0-9.-]+" (lower $prefix) "-" | trimAll "-." }}
{{- $tail := ternary "" (printf "-%s" $suffix) (eq $suffix "") }}
{{- if gt (add (len $clean) (len $tail)) $max }}
{{- $hash := sha256sum $prefix | trunc 6 }}
{{- printf "%s-%s%s" ($clean | trunc (int (sub $max (add (len $tail) 7))) | trimSuffix "-" | trimSuffix ".") $hash $tail }}
{{- else }}
{{- printf "%s%s" $clean $tail }}
{{- end }}
{{- end }}

{{- define "ado-port.appName" -}}
{{- .Values.nameOverride | default (ternary "port-agent" "port-ocean" (eq .Values.mode "agent")) }}
{{- end }}

{{/* The labels by which Port's charts select, so that a release of theirs can be upgraded in place. */}}
{{- define "ado-port.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "ado-port.appName" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- range $k, $x := .Values.extraLabels }}
{{ $k }}: {{ include "ado-port.text" $x | quote }}
{{- end }}
{{- end }}

{{- define "ado-port.image" -}}
{{- $v := .Values }}
{{- if kindIs "map" $v.image }}
{{- $repository := $v.image.repository | default (printf "%s/port-ocean-azure-devops" $v.imageRegistry) }}
{{- printf "%s:%s" $repository ($v.image.tag | default .Chart.AppVersion | toString) }}
{{- else }}
{{- printf "%s/%s" $v.imageRegistry ($v.image | default (printf "port-ocean-%s:%s" $v.integration.type ($v.integration.version | default .Chart.AppVersion | toString))) }}
{{- end }}
{{- end }}

{{- define "ado-port.pullPolicy" -}}
{{- if kindIs "map" .Values.image }}{{ .Values.image.pullPolicy | default .Values.imagePullPolicy }}{{ else }}{{ .Values.imagePullPolicy }}{{ end }}
{{- end }}

{{/* The account of all pods; empty: the namespace's own. */}}
{{- define "ado-port.serviceAccount" -}}
{{- with .Values.podServiceAccount }}
{{- if .name }}{{ tpl .name $ }}{{ else if .create }}{{ include "ado-port.name" (list $ "sa") }}{{ end }}
{{- end }}
{{- end }}

{{/* Whether this chart makes the Secret: "true" or nothing. useExistingSecret is how older charts, and port-agent, say no. */}}
{{- define "ado-port.makesSecret" -}}
{{- if and .Values.secret.create (not .Values.secret.useExistingSecret) }}true{{ end }}
{{- end }}

{{- define "ado-port.secretName" -}}
{{- .Values.secret.name | default (include "ado-port.name" (list . (ternary "" "secret" (eq .Values.mode "agent")))) }}
{{- end }}
