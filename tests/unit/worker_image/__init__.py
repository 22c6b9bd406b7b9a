"""Parts of the bundled application that need no Celery."""
