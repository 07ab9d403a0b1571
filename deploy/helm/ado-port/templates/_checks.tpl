{{/* What cannot work ends here, with the reason. */}}
{{- define "ado-port.checks" -}}
{{- $v := .Values }}
{{- if $v.autoscaling.enabled }}
{{- fail "autoscaling.enabled: one pod does the work of a role, or with sharedQueue a number of pods that you choose; more of them do not make a resync faster" }}
{{- end }}
{{- if eq $v.mode "agent" }}
{{- if and (gt (int $v.replicaCount) 1) $v.state.persistence.enabled }}
{{- fail "replicaCount: agents cannot share a volume; set state.persistence.enabled to false" }}
{{- end }}
{{- if include "ado-port.makesSecret" . }}
{{- $_ := required "env.secret.PORT_CLIENT_ID is required: in Port, open Credentials (or set secret.useExistingSecret and secret.name)" $v.env.secret.PORT_CLIENT_ID }}
{{- $_ := required "env.secret.PORT_CLIENT_SECRET is required: in Port, open Credentials (or set secret.useExistingSecret and secret.name)" $v.env.secret.PORT_CLIENT_SECRET }}
{{- end }}
{{- else }}
{{- if ne (lower $v.integration.type) "azure-devops" }}
{{- fail (printf "integration.type: this chart runs azure-devops only, not %s" $v.integration.type) }}
{{- end }}
{{- if include "ado-port.makesSecret" . }}
{{- range $name := list "clientId" "clientSecret" }}
{{- $x := include "ado-port.text" (index $v.port $name) }}
{{- $_ := required (printf "port.%s is required: in Port, open Credentials (or set secret.create=false and secret.name)" $name) (ternary "" $x (hasPrefix "<enter your" $x)) }}
{{- end }}
{{- if kindIs "slice" $v.secret.name }}
{{- fail "secret.name: a list names Secrets that exist; set secret.create to false" }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (or $v.sharedQueue.enabled $v.sharedQueue.url) (or (eq $v.workload.kind "CronJob") $v.liveEvents.worker.enabled $v.actionsProcessor.worker.enabled) }}
{{- fail "sharedQueue: the main pods do everything; set workload.kind to Deployment and leave out the workers for live events and actions" }}
{{- end }}
{{- range $name, $role := include "ado-port.roles" . | fromYaml }}
{{- if gt (int ($role.replicas | default 1)) 1 }}
{{- $shared := or $v.sharedQueue.enabled $v.sharedQueue.url }}
{{- if or (ne $name "main") (not $shared) }}
{{- fail (printf "%s: %d replicas. Waiting deliveries and the memory of the last resync lie in the state directory of one pod: set 1, or have several main pods share a Redis with sharedQueue" $name (int $role.replicas)) }}
{{- end }}
{{- if $v.state.persistence.enabled }}
{{- fail "main: several pods cannot share a volume; set state.persistence.enabled to false: what has to last is in Redis" }}
{{- end }}
{{- end }}
{{- if and $v.state.persistence.enabled $role.strategy }}
{{- if or (eq ($role.strategy.type | default "") "RollingUpdate") $role.strategy.rollingUpdate }}
{{- fail (printf "%s: with state.persistence a rolling update would start the new pod while the old one still has the volume; set the strategy to Recreate" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
