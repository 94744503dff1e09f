{{- define "loghound.fullname" -}}
{{- if contains "loghound" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-loghound" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "loghound.selector" -}}
app.kubernetes.io/name: loghound
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "loghound.labels" -}}
{{ include "loghound.selector" . }}
app.kubernetes.io/part-of: loghound
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "loghound.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Defaults, over them what the operator wrote, over that what belongs to the chart: ports and paths of volumes. */}}
{{- define "loghound.config" -}}
{{- $defaults := dict "log" (dict "format" "json") "stop_timeout" "25s" "store" dict }}
{{- $own := dict
  "data_dir" "/var/lib/loghound/data"
  "beats" (dict "listen" "0.0.0.0:5044")
  "http" (dict "listen" "0.0.0.0:8044") }}
{{- with .Values.storage.warm }}{{- if .enabled }}
{{- $_ := set $own "store" (dict "warm_dir" "/var/lib/loghound/warm" "warm_after" .after) }}
{{- end }}{{- end }}
{{- with .Values.tls.beats }}{{- if .secretName }}
{{- $tls := dict "certificate" "/etc/loghound/beats-tls/tls.crt" "key" "/etc/loghound/beats-tls/tls.key" }}
{{- if .clientCa }}{{- $_ := set $tls "client_ca" "/etc/loghound/beats-tls/ca.crt" }}{{- end }}
{{- with .clientNames }}{{- $_ := set $tls "client_names" . }}{{- end }}
{{- $_ := set $own.beats "tls" $tls }}
{{- end }}{{- end }}
{{- if .Values.tls.http.secretName }}
{{- $_ := set $own.http "tls" (dict "certificate" "/etc/loghound/http-tls/tls.crt" "key" "/etc/loghound/http-tls/tls.key") }}
{{- end }}
{{- if .Values.tokens.secretName }}
{{- $tokens := list }}
{{- range .Values.tokens.entries }}{{- $tokens = append $tokens (dict "name" .name "role" .role "file" (printf "/etc/loghound/tokens/%s" .name)) }}{{- end }}
{{- $_ := set $own.http "tokens" $tokens }}
{{- end }}
{{- /* Both ports ask who it is, or the NetworkPolicy alone decides who reaches them. */}}
{{- if not (and .Values.tokens.secretName .Values.tls.beats.secretName .Values.tls.beats.clientCa) }}
{{- $_ := set $own "insecure" true }}
{{- end }}
{{- mergeOverwrite $defaults (deepCopy .Values.config) $own | toYaml }}
{{- end }}
