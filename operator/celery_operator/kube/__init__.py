"""Talks to the Kubernetes API server (client, Lease, Events, work queue) and knows nothing about Celery."""
