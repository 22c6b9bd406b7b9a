"""The bundled task image's application: a realistic Celery project that knows nothing of the operator."""
