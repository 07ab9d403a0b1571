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
{{- if and $v.sharedQueue.enabled (or (eq $v.workload.kind "CronJob") $v.liveEvents.worker.enabled $v.actionsProcessor.worker.enabled) }}
{{- fail "sharedQueue: the main pods do everything; set workload.kind to Deployment and leave out the workers for live events and actions" }}
{{- end }}
{{- range $name, $role := include "ado-port.roles" . | fromYaml }}
{{- if and (eq $name "main") $v.sharedQueue.enabled (not $v.sharedQueue.url) (include "ado-port.makesSecret" $) }}
{{- /* Without the address each pod would be alone, and look after the same subscriptions. */}}
{{- $set := include "ado-port.environment" (dict "root" $ "name" $name "role" $role) | fromYaml | keys }}
{{- range $v.extraEnv }}{{ $set = append $set .name }}{{ end }}
{{- if not (has "OCEAN__SHARED_QUEUE_URL" $set) }}
{{- fail "sharedQueue.url is required with sharedQueue.enabled: redis://user:password@host:6379/0 or rediss://… (or set secret.create to false and secret.name to a Secret that has OCEAN__SHARED_QUEUE_URL)" }}
{{- end }}
{{- end }}
{{- if gt (int ($role.replicas | default 1)) 1 }}
{{- if or (ne $name "main") (not $v.sharedQueue.enabled) }}
{{- fail (printf "%s: %d replicas. Waiting deliveries and the memory of the last resync lie in the state directory of one pod: set 1, or have several main pods share a Redis with sharedQueue.enabled" $name (int $role.replicas)) }}
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
