{{/* What is accepted and does nothing, or not what its name says; a list. */}}
{{- define "ado-port.notices" -}}
{{- $v := .Values }}
{{- if hasPrefix "ghcr.io/port-labs/" (include "ado-port.image" .) }}
- {{ printf "%s is Port's own image. Take imageRegistry, or image, out of your values." (include "ado-port.image" .) | quote }}
{{- end }}
{{- if eq $v.mode "agent" }}
{{- if not $v.env.normal.PORT_ORG_ID }}
- "env.normal.PORT_ORG_ID is empty; with STREAMER_NAME KAFKA it is needed."
{{- end }}
{{- else }}
{{- if eq $v.integration.identifier "default-identifier" }}
- "integration.identifier is not set; the entities belong to default-identifier."
{{- end }}
{{- if and $v.liveEvents.ingress.enabled (not $v.liveEvents.worker.enabled) }}
- "liveEvents.ingress is for the worker, which is off; ingress leads to the main pod."
{{- end }}
{{- if and $v.ingress.enabled (eq $v.workload.kind "CronJob") }}
- "ingress has no effect: jobs do not listen. liveEvents.ingress leads to the worker for live events."
{{- end }}
{{- if and $v.liveEvents.baseUrl (eq $v.workload.kind "CronJob") (not $v.liveEvents.worker.enabled) }}
- "liveEvents.baseUrl has no effect: jobs do not receive live events. Set liveEvents.worker.enabled."
{{- end }}
{{- if and $v.liveEvents.worker.enabled (not $v.liveEvents.baseUrl) }}
- "liveEvents.worker is on and liveEvents.baseUrl is empty: without the address at which Azure DevOps reaches the worker nothing is subscribed."
{{- end }}
{{- if and $v.sharedQueue.url (not $v.sharedQueue.enabled) }}
- "sharedQueue.url has no effect while sharedQueue.enabled is false."
{{- end }}
{{- with $v.postgresql }}{{ if .enabled }}
- "postgresql has no effect: there is no database."
{{- end }}{{ end }}
{{- if $v.extraEnvs }}
- "extraEnvs has no effect: the name is extraEnv."
{{- end }}
{{- if $v.securityContext }}
- "securityContext has no effect: the names are podSecurityContext and containerSecurityContext."
{{- end }}
{{- end }}
{{- end }}
