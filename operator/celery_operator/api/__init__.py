"""The CRD as Python: the `CeleryCluster` models with their CEL rules, and the structural schema made from them."""

GROUP = "celery-operator.dev"
VERSION = "v1alpha1"
KIND = "CeleryCluster"
PLURAL = "celeryclusters"
API_VERSION = f"{GROUP}/{VERSION}"
