"""An application without tasks, for a Flower that runs in an image without the user's code."""

from celery import Celery

app = Celery("flower")
