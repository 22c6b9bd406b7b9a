"""Decisions of the runtime that need no Celery."""
