"""A small Django project with Celery and django-celery-beat, run by manifests/samples/django.yaml.

Commands: ``python -m django COMMAND`` with ``DJANGO_SETTINGS_MODULE=django_shop.settings``.
"""

from django_shop.celery import app as celery_app

__all__ = ["celery_app"]
