"""The demo, `python -m tests.demo`: from a machine to Celery tasks on Kubernetes, every claim checked while it is made.

Namespaces: the operator in `celery-operator`, everything else in `demo`. A second run starts where the first one ended.
"""
