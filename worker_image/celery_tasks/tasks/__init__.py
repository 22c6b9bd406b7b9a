"""The tasks, one module a subject; each has an explicit name ``celery_tasks.<function>``."""
