{{/*
The pods of this release, by what they do. A role says where its settings stand, so
that one pod template serves all:

  suffix     of the names, before -deployment, -config, -service
  service    its Service, whose port is also that of the container
  listener   what starts a resync, as JSON
*/}}
{{- define "ado-port.roles" -}}
{{- $v := .Values }}
{{- $roles := dict }}
{{- if eq $v.mode "agent" }}
{{- $_ := set $roles "agent" (dict "suffix" "" "service" $v.service "resources" $v.resources "state" "state") }}
{{- else }}
{{- if eq $v.workload.kind "CronJob" }}
{{- $_ := set $roles "resync" (dict "suffix" "" "job" true "service" $v.service "resources" $v.resources "state" "state"
      "listener" (dict "type" "ONCE") "extraContainers" $v.workload.cron.extraContainers "annotations" $v.workload.cron.annotations) }}
{{- else }}
{{- $_ := set $roles "main" (dict "suffix" "" "service" $v.service "resources" $v.resources "state" "state"
      "listener" $v.integration.eventListener "extraContainers" $v.workload.deployment.extraContainers
      "replicas" $v.workload.deployment.replicas "strategy" (dict "type" $v.workload.deployment.rolloutStrategy)) }}
{{- $several := max (int $v.workload.deployment.replicas) (int $v.replicaCount) }}
{{- if gt $several 1 }}
{{- /* One after the other: those that stay take over the work of the one that goes. */}}
{{- $_ := set $roles "main" (merge (dict "replicas" $several "strategy" (dict "type" "RollingUpdate" "rollingUpdate" (dict "maxUnavailable" 1 "maxSurge" 1))) $roles.main) }}
{{- end }}
{{- end }}
{{- if $v.liveEvents.worker.enabled }}
{{- $_ := set $roles "live-events" (dict "suffix" "le-" "service" $v.liveEvents.service "resources" $v.liveEvents.worker.resources "state" "le-state"
      "listener" (dict "type" "WEBHOOKS_ONLY") "extraContainers" $v.liveEvents.worker.extraContainers "labels" $v.liveEvents.extraLabels
      "replicas" $v.liveEvents.worker.replicaCount "strategy" $v.liveEvents.deployment.rolloutStrategy "history" $v.liveEvents.deployment.revisionHistoryLimit) }}
{{- end }}
{{- if and $v.actionsProcessor.enabled $v.actionsProcessor.worker.enabled }}
{{- $_ := set $roles "actions" (dict "suffix" "ap-" "service" $v.actionsProcessor.service "resources" $v.actionsProcessor.worker.resources "state" "ap-state"
      "listener" (dict "type" "ACTIONS_ONLY") "extraContainers" $v.actionsProcessor.worker.extraContainers
      "replicas" $v.actionsProcessor.worker.replicaCount "strategy" $v.actionsProcessor.worker.rolloutStrategy "history" $v.actionsProcessor.worker.revisionHistoryLimit) }}
{{- end }}
{{- if $v.incrementalSync.enabled }}
{{- $_ := set $roles "incremental" (dict "suffix" "incr-" "job" true "service" $v.service "resources" $v.incrementalSync.resources "listener" (dict "type" "ONCE")) }}
{{- end }}
{{- end }}
{{- toYaml $roles }}
{{- end }}

{{/* The environment of a role, apart from credentials: (dict "root" $ "name" "main" "role" …). The order is that of precedence: what comes later wins. */}}
{{- define "ado-port.environment" -}}
{{- $v := .root.Values }}
{{- $name := .name }}
{{- $resyncs := has $name (list "main" "resync") }}
{{- $e := dict
      "OCEAN__PORT__BASE_URL" (tpl $v.port.baseUrl .root)
      "OCEAN__INTEGRATION__IDENTIFIER" $v.integration.identifier
      "OCEAN__EVENT_LISTENER" .role.listener
      "OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS" $v.allowEnvironmentVariablesJqAccess
      "OCEAN__LAKEHOUSE_ENABLED" $v.lakehouseEnabled
      "OCEAN__PROCESSING_MODE" $v.processingMode }}
{{- with $v.createPortResourcesOrigin }}{{ $_ := set $e "OCEAN__CREATE_PORT_RESOURCES_ORIGIN" . }}{{ end }}
{{- if and $v.sharedQueue.enabled $v.sharedQueue.minReplicas (eq $name "main") }}{{ $_ := set $e "OCEAN__SHARED_QUEUE_MIN_REPLICAS" $v.sharedQueue.minReplicas }}{{ end }}
{{- with $v.clientTimeout }}{{ $_ := set $e "OCEAN__CLIENT_TIMEOUT" . }}{{ end }}
{{- if $v.integration.oauth.enabled }}{{ $_ := set $e "OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH" $v.integration.oauth.access_token_file_path }}{{ end }}
{{- if ne (int .role.service.port) 8000 }}{{ $_ := set $e "APPLICATION__PORT" .role.service.port }}{{ end }}
{{- if and $v.strictExit .role.job }}{{ $_ := set $e "OCEAN__STRICT_EXIT" true }}{{ end }}
{{- range $k, $x := $v.integration.config }}{{ $_ := set $e (printf "OCEAN__INTEGRATION__CONFIG__%s" (snakecase $k | upper)) $x }}{{ end }}

{{- if or $resyncs (eq $name "incremental") }}
{{- $_ := set $e "OCEAN__SEND_RAW_DATA_EXAMPLES" $v.sendRawDataExamples }}
{{- $_ := set $e "OCEAN__PROCESS_EXECUTION_MODE" $v.integration.processExecution.mode }}
{{- if eq $v.integration.processExecution.mode "multi_process" }}{{ $_ := set $e "PROMETHEUS_MULTIPROC_DIR" $v.integration.processExecution.prometheusMultiProcessDir }}{{ end }}
{{- end }}
{{- if $resyncs }}
{{- $_ := set $e "OCEAN__INITIALIZE_PORT_RESOURCES" $v.initializePortResources }}
{{- $_ := set $e "OCEAN__STREAMING__ENABLED" $v.streamingEnabled }}
{{- end }}
{{- if ne $name "incremental" }}{{ $_ := set $e "OCEAN__ACTIONS_PROCESSOR__ENABLED" $v.actionsProcessor.enabled }}{{ end }}
{{- if or $resyncs (eq $name "actions") }}
{{- range $k, $x := $v.actionsProcessor.extraConfig }}{{ $_ := set $e (printf "OCEAN__ACTIONS_PROCESSOR__%s" (snakecase $k | upper)) $x }}{{ end }}
{{- end }}
{{- if and (eq $name "main") $v.scheduledResyncInterval }}{{ $_ := set $e "OCEAN__SCHEDULED_RESYNC_INTERVAL" $v.scheduledResyncInterval }}{{ end }}
{{- if and $v.liveEvents.baseUrl (or (has $name (list "live-events" "actions")) (and (eq $name "main") (not $v.liveEvents.worker.enabled))) }}
{{- $_ := set $e "OCEAN__BASE_URL" (tpl $v.liveEvents.baseUrl .root) }}
{{- if eq $name "main" }}{{ $_ := set $e "OCEAN__LIVE_EVENTS__IS_REDIS_STREAM_CONSUMER_ENABLED" $v.liveEvents.isRedisStreamConsumerEnabled }}{{ end }}
{{- end }}
{{- if and (eq $name "main") $v.actionsProcessor.enabled $v.actionsProcessor.worker.enabled }}{{ $_ := set $e "OCEAN__EVENT_LISTENER__SHOULD_RUN_ACTIONS" false }}{{ end }}
{{- if eq $name "live-events" }}
{{- $_ := set $e "OCEAN__INITIALIZE_PORT_RESOURCES" $v.liveEvents.worker.initializePortResources }}
{{- $_ := set $e "OCEAN__LIVE_EVENTS__IS_REDIS_STREAM_CONSUMER_ENABLED" $v.liveEvents.isRedisStreamConsumerEnabled }}
{{- $_ := set $e "OCEAN__EVENTS_DEBUG_LOGGING" $v.eventsDebugLogging }}
{{- end }}
{{- if eq $name "actions" }}{{ $_ := set $e "OCEAN__INITIALIZE_PORT_RESOURCES" $v.actionsProcessor.worker.initializePortResources }}{{ end }}
{{- if eq $name "incremental" }}
{{- $_ := set $e "OCEAN__INITIALIZE_PORT_RESOURCES" $v.incrementalSync.initializePortResources }}
{{- $_ := set $e "OCEAN__INTEGRATION__INCREMENTAL_SYNC_ENABLED" true }}
{{- end }}
{{- if and .role.state $v.state.persistence.enabled }}{{ $_ := set $e "OCEAN__STATE_DIRECTORY" "/var/lib/ado-port" }}{{ end }}

{{- range $k, $x := $v.integration.extraConfig }}{{ $_ := set $e (snakecase $k | upper) $x }}{{ end }}
{{- if eq $name "live-events" }}{{ range $k, $x := $v.liveEvents.extraConfig }}{{ $_ := set $e (snakecase $k | upper) $x }}{{ end }}{{ end }}
{{- if eq $name "incremental" }}{{ range $k, $x := $v.incrementalSync.extraConfig }}{{ $_ := set $e $k $x }}{{ end }}{{ end }}
{{- range $k, $x := $e }}
{{ $k }}: {{ include "ado-port.text" $x | toJson }}
{{- end }}
{{- end }}

{{/* The agent's. An empty value is left out: it would hide the one in an existing Secret. */}}
{{- define "ado-port.agentEnvironment" -}}
{{- $v := .Values }}
{{- $e := dict }}
{{- if ne (int $v.service.port) 8000 }}{{ $_ := set $e "APPLICATION__PORT" $v.service.port }}{{ end }}
{{- if $v.state.persistence.enabled }}{{ $_ := set $e "OCEAN__STATE_DIRECTORY" "/var/lib/ado-port" }}{{ end }}
{{- range $k, $x := $v.env.normal }}{{ with include "ado-port.text" $x }}{{ $_ := set $e $k . }}{{ end }}{{ end }}
{{- range $k, $x := $e }}
{{ $k }}: {{ include "ado-port.text" $x | toJson }}
{{- end }}
{{- end }}

{{/* What is secret. */}}
{{- define "ado-port.secrets" -}}
{{- if eq .Values.mode "agent" }}
{{- range $k, $x := .Values.env.secret }}
{{ $k }}: {{ include "ado-port.text" $x | toJson }}
{{- end }}
{{- else }}
OCEAN__PORT__CLIENT_ID: {{ include "ado-port.text" .Values.port.clientId | toJson }}
OCEAN__PORT__CLIENT_SECRET: {{ include "ado-port.text" .Values.port.clientSecret | toJson }}
{{- with .Values.sharedQueue }}{{ if and .enabled .url }}
OCEAN__SHARED_QUEUE_URL: {{ include "ado-port.text" .url | toJson }}
{{- end }}{{ end }}
{{- range $k, $x := .Values.integration.secrets }}
OCEAN__INTEGRATION__CONFIG__{{ snakecase $k | upper }}: {{ include "ado-port.text" $x | toJson }}
{{- end }}
{{- end }}
{{- end }}
