"""What runs inside the users' pods: it starts Celery in the same process, answers probes and keeps beat single.

Standard library and Celery only; Python 3.8 syntax, Celery 5.3 and later. The operator mounts these files as
``/celery-operator/launch.py`` and ``/celery-operator/celery_operator_runtime/*.py``. Nothing here may break the
user's worker: once Celery runs, an error of the runtime is logged once and the worker goes on.
"""

PROTOCOL = 1
"""Version of what operator and pod say to each other (settings in, /status and termination message out)."""
