"""Celery applications for the runtime's tests; they run in environments that have Celery."""
