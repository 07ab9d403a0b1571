{{/* Labels of a role's objects and pods. */}}
{{- define "ado-port.roleLabels" -}}
{{ include "ado-port.labels" .root }}
app.kubernetes.io/component: {{ .name }}
{{- range $k, $x := .role.labels }}
{{ $k }}: {{ include "ado-port.text" $x | quote }}
{{- end }}
{{- end }}

{{/* The name of a role's workload. */}}
{{- define "ado-port.workload" -}}
{{- $kind := ternary (ternary "cron" "cron-job" (eq .name "incremental")) "deployment" (.role.job | default false) }}
{{- include "ado-port.name" (list .root (ternary "" (printf "%s%s" .role.suffix $kind) (eq .name "agent"))) }}
{{- end }}

{{/* What a Deployment selects by; immutable, and that of Port's charts. */}}
{{- define "ado-port.selector" -}}
{{- if ne .name "agent" }}
app: {{ include "ado-port.workload" . }}
{{- end }}
{{- if has .name (list "main" "agent") }}
app.kubernetes.io/name: {{ include "ado-port.appName" .root }}
{{- end }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* The pod template of a role. */}}
{{- define "ado-port.pod" -}}
{{- $ := .root }}
{{- $v := .root.Values }}
{{- $role := .role }}
{{- $agent := eq .name "agent" }}
{{- $environment := ternary (include "ado-port.agentEnvironment" $) (include "ado-port.environment" .) $agent }}
metadata:
  labels:
    {{- include "ado-port.roleLabels" . | nindent 4 }}
    app: {{ include "ado-port.workload" . }}
  annotations:
    # Other settings are another pod.
    checksum/settings: {{ printf "%s%s%s" $environment (include "ado-port.secrets" $) $v.controlThePayloadConfig | sha256sum }}
    {{- with merge (dict) ($v.podAnnotations | default dict) ($role.annotations | default dict) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with $v.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "ado-port.serviceAccount" $ }}
  serviceAccountName: {{ . }}
  {{- end }}
  automountServiceAccountToken: {{ $v.automountServiceAccountToken }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $v.terminationGracePeriodSeconds }}
  {{- if $role.job }}
  restartPolicy: Never
  {{- end }}
  {{- $security := $v.podSecurityContext | default dict }}
  {{- if $.Capabilities.APIVersions.Has "security.openshift.io/v1" }}
  {{- $security = omit $security "fsGroup" "fsGroupChangePolicy" }}
  {{- end }}
  securityContext:
    {{- toYaml $security | nindent 4 }}
  dnsPolicy: {{ $v.dnsPolicy }}
  {{- with $v.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $affinity := $v.affinity | default dict }}
  {{- if and (not $affinity) (gt (int ($role.replicas | default 1)) 1) }}
  {{- /* Not all on the node that is drained. */}}
  {{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "ado-port.selector" . | fromYaml)) }}
  {{- $affinity = dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "podAffinityTerm" $term))) }}
  {{- end }}
  {{- with $affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.extraInitContainers }}
  initContainers:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ ternary "port-agent" (include "ado-port.name" (list $ "container")) $agent }}
      image: {{ include "ado-port.image" $ }}
      imagePullPolicy: {{ include "ado-port.pullPolicy" $ }}
      {{- if $agent }}
      args: [agent]
      {{- end }}
      securityContext:
        {{- toYaml ($v.containerSecurityContext | default dict) | nindent 8 }}
      {{- with $role.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: {{ int $role.service.port }}
          protocol: TCP
      {{- if or (not $role.job) $v.workload.cron.probes }}
      {{- range $probe, $path := dict "liveness" "/health/live" "readiness" "/health/ready" }}
      {{- with index $v (printf "%sProbe" $probe) }}
      {{- if .enabled }}
      {{ $probe }}Probe:
        httpGet:
          path: {{ $path }}
          port: http
        {{- omit . "enabled" | toYaml | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- end }}
      {{- end }}
      envFrom:
        {{- if not $agent }}
        - configMapRef:
            name: {{ include "ado-port.name" (list $ (printf "%sconfig" $role.suffix)) }}
        {{- end }}
        {{- if or (include "ado-port.makesSecret" $) $v.secret.name }}
        {{- $names := include "ado-port.secretName" $ | list }}
        {{- if kindIs "slice" $v.secret.name }}{{ $names = $v.secret.name }}{{ end }}
        {{- range $names }}
        - secretRef:
            name: {{ . }}
        {{- end }}
        {{- end }}
      env:
        {{- if $agent }}
        {{- range $k, $x := fromYaml $environment }}
        - name: {{ $k }}
          value: {{ $x | toJson }}
        {{- end }}
        {{- else if $v.selfSignedCertificate.enabled }}
        - name: SSL_CERT_FILE
          value: /etc/ssl/certs/ca-certificates.crt
        - name: REQUESTS_CA_BUNDLE
          value: /etc/ssl/certs/ca-certificates.crt
        {{- end }}
        {{- with $v.extraEnv }}
        {{- tpl (toYaml .) $ | nindent 8 }}
        {{- end }}
      {{- $paths := list }}
      {{- range $v.extraVolumeMounts }}{{ $paths = append $paths (trimSuffix "/" .mountPath) }}{{ end }}
      {{- $persistent := and $role.state $v.state.persistence.enabled }}
      volumeMounts:
        {{- /* A path of the user's own takes the place of ours: one path can be mounted once. */}}
        {{- if not (has "/tmp/ocean" $paths) }}
        - name: ocean-tmp
          mountPath: /tmp/ocean
        {{- end }}
        {{- if $persistent }}
        - name: state
          mountPath: /var/lib/ado-port
        {{- end }}
        {{- if $v.selfSignedCertificate.enabled }}
        - name: certificates
          mountPath: /usr/local/share/ca-certificates/cert.crt
          subPath: cert.crt
          readOnly: true
        {{- end }}
        {{- if and $agent $v.controlThePayloadConfig }}
        - name: mapping
          mountPath: /app/control_the_payload_config.json
          subPath: controlThePayloadConfig
          readOnly: true
        {{- end }}
        {{- with $v.extraVolumeMounts }}
        {{- tpl (toYaml .) $ | nindent 8 }}
        {{- end }}
    {{- with $role.extraContainers }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
  volumes:
    {{- if not (has "/tmp/ocean" $paths) }}
    - name: ocean-tmp
      emptyDir:
        {{- toYaml ($v.state.emptyDir | default dict) | nindent 8 }}
    {{- end }}
    {{- if $persistent }}
    - name: state
      persistentVolumeClaim:
        claimName: {{ include "ado-port.claim" . }}
    {{- end }}
    {{- if $v.selfSignedCertificate.enabled }}
    {{- $cert := $v.selfSignedCertificate.secret }}
    - name: certificates
      projected:
        sources:
          - secret:
              name: {{ ternary $cert.name (include "ado-port.name" (list $ "cert")) $cert.useExistingSecret }}
              items:
                - key: {{ ternary $cert.key "crt" $cert.useExistingSecret }}
                  path: cert.crt
    {{- end }}
    {{- if and $agent $v.controlThePayloadConfig }}
    - name: mapping
      configMap:
        name: {{ include "ado-port.prefix" $ }}
    {{- end }}
    {{- with $v.extraVolumes }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The claim of a role's state. An existing one is for the pod that resyncs, or the agent. */}}
{{- define "ado-port.claim" -}}
{{- $existing := ternary .root.Values.state.persistence.existingClaim "" (eq .role.suffix "") }}
{{- $existing | default (include "ado-port.name" (list .root .role.state)) }}
{{- end }}
