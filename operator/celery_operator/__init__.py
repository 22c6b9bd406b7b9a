"""A Kubernetes operator that runs Celery applications: `api` says what users write, `reconcile` makes it so."""

__version__ = "0.1.0"
