"""Django's settings, with Celery's under the prefix CELERY_. Only what differs from the defaults.

``DATABASE_PATH``: the SQLite file, which every pod has to reach. ``DJANGO_SECRET_KEY``: what Django signs with.
"""

from __future__ import annotations

import os

from django.core.management.utils import get_random_secret_key

# Nothing is signed here, so any key will do. Web processes need one that they all share.
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or get_random_secret_key()

INSTALLED_APPS = ["django_celery_beat", "django_shop.customers"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE_PATH") or "shop.sqlite3",
        # Several processes write: wait for each other, and take the lock before reading what will be changed.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
}
USE_TZ = True
TIME_ZONE = "UTC"

CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_RESULT_EXPIRES = 3600
