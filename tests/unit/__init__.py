"""Tests that need nothing but this one process: no API server, no broker, no Celery."""
