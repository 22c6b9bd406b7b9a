{{- /*
What the operator may do to CeleryClusters and their children: exactly the verbs that it uses, which a test compares.
Secrets can be read one at a time by their names; they are never listed or watched.
*/ -}}
{{- define "celery-operator.rules" -}}
- apiGroups: [celery-operator.dev]
  resources: [celeryclusters]
  verbs: [list, watch]
- apiGroups: [celery-operator.dev]
  resources: [celeryclusters/status]
  verbs: [patch]
# Asked for by the admission plugin OwnerReferencesPermissionEnforcement: children block the deletion of their owner.
- apiGroups: [celery-operator.dev]
  resources: [celeryclusters/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, persistentvolumeclaims, serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# Used where their CRDs are installed: a route to Flower, and the scraping of its metrics.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors, servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  # Patched alone are annotations of autoscaled groups' pods: who is drained, and who is to go first.
  verbs: [list, watch, patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
