"""The runtime inside real ``celery worker`` and ``celery beat`` processes, with real brokers."""
