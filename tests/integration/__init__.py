"""Tests against the real thing, one at a time: API server, Redis, RabbitMQ, Celery as processes of this machine."""
