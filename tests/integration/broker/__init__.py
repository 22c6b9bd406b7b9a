"""Readings of brokers and heartbeats, from real servers with messages of real Celery."""
