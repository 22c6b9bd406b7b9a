"""An application that sends and does nothing by itself, with Django where DJANGO_SETTINGS_MODULE names settings.

Who wants to know what beat sent counts the messages in the queues: there are no workers.
"""

from __future__ import annotations

from celery import Celery

app = Celery("timed")
