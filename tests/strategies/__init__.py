"""Random valid CeleryClusters: hypothesis strategies, one file for each file of `celery_operator.api`.

They know what the CRD's schema cannot say, the CEL rules above all, and draw values that Kubernetes itself accepts in
the children. A field of a model that has no strategy here is an error at import.
"""
