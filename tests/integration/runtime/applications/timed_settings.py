"""Django for the application ``timed``, whose database is the file TIMED_DATABASE."""

from __future__ import annotations

import os

SECRET_KEY = "timed"
INSTALLED_APPS = ["django_celery_beat"]
# A test writes while beat does: either waits for the other.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["TIMED_DATABASE"],
        "OPTIONS": {"timeout": 60},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
TIME_ZONE = "UTC"
