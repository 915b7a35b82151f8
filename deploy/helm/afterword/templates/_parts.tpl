{{/* The release's name, with "afterword" in it. */}}
{{- define "afterword.name" -}}
{{- if contains "afterword" .Release.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-afterword" .Release.Name }}{{ end -}}
{{- end }}

{{- define "afterword.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Whether checkpoints are in a folder, which needs a claim. */}}
{{- define "afterword.claims" -}}
{{ if hasPrefix "/" .Values.checkpoints.place }}yes{{ end }}
{{- end }}

{{/* How many pods; left to an autoscaler where it is null. */}}
{{- define "afterword.replicas" -}}
{{- if not (kindIs "invalid" .replicas) }}replicas: {{ .replicas }}{{ end }}
{{- end }}

{{/* How many pods of a role stay while nodes are emptied; nothing where no budget is wanted. */}}
{{- define "afterword.budget" -}}
{{- with .Values.podDisruptionBudget }}{{ if not (kindIs "invalid" .minAvailable) }}{{ .minAvailable }}{{ end }}{{ end }}
{{- end }}

{{- define "afterword.container" -}}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end }}

{{/* What all pods have: a plain user, no account of the cluster, and where they may run. */}}
{{- define "afterword.pod" -}}
automountServiceAccountToken: false
# Its variables would begin with AFTERWORD_, as settings do.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user | default 10001 }}
  runAsGroup: {{ .group | default 10001 }}
  fsGroup: {{ .group | default 10001 }}
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end }}

{{/* A mounted secret is a symbolic link that a group can read, which Afterword refuses: it gets a copy for its eyes only. */}}
{{- define "afterword.keys" -}}
- name: keys
  image: {{ include "afterword.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [install, -m, "0600", /secret/keys, /keys/keys]
  securityContext: {{- include "afterword.container" . | nindent 4 }}
  volumeMounts:
    - {name: secret, mountPath: /secret, readOnly: true}
    - {name: keys, mountPath: /keys}
{{- end }}

{{/* What workers and API are told: settings, Redis, and what they mount. */}}
{{- define "afterword.told" -}}
envFrom: [{configMapRef: {name: {{ include "afterword.name" . }}}}]
env:
  {{- if .Values.redis.enabled }}
  - name: REDIS_PASSWORD
    valueFrom: {secretKeyRef: {name: {{ .Values.secrets.redis }}, key: password}}
  - name: AFTERWORD_REDIS_URL
    value: redis://afterword:$(REDIS_PASSWORD)@{{ include "afterword.name" . }}-redis:6379/0
  {{- else }}
  - name: AFTERWORD_REDIS_URL
    valueFrom: {secretKeyRef: {name: {{ .Values.secrets.redis }}, key: url}}
  {{- end }}
securityContext: {{- include "afterword.container" . | nindent 2 }}
volumeMounts:
  - {name: keys, mountPath: /keys, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- if include "afterword.claims" . }}
  - {name: checkpoints, mountPath: {{ .Values.checkpoints.place }}}
  {{- end }}
{{- end }}

{{- define "afterword.volumes" -}}
- name: secret
  secret: {secretName: {{ .Values.secrets.keys }}, defaultMode: 0440}
- name: keys
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if include "afterword.claims" . }}
- name: checkpoints
  persistentVolumeClaim: {claimName: {{ .Values.checkpoints.existingClaim | default (printf "%s-checkpoints" (include "afterword.name" .)) }}}
{{- end }}
{{- end }}

{{/* Labels of one role's objects and pods. */}}
{{- define "afterword.labels" -}}
{app: {{ include "afterword.name" .top }}, role: {{ .role }}}
{{- end }}

{{/* A changed setting starts new pods. */}}
{{- define "afterword.annotations" -}}
{{ toJson (merge (dict "checksum/settings" (toJson (list .Values.settings .Values.checkpoints.place) | sha256sum)) (.Values.podAnnotations | default dict)) }}
{{- end }}
