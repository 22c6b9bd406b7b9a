"""The application's Celery settings, loaded by name: ``app.config_from_object("celery_tasks.config")``.

Only what differs from Celery's defaults, each with its reason. Names are Celery's own.
"""

from __future__ import annotations

from celery_tasks import queues, schedule
from celery_tasks.settings import settings

_scheme = queues.broker_scheme()

# Where: Celery lets CELERY_BROKER_URL and CELERY_RESULT_BACKEND outrank these two.
broker_url = queues.DEFAULT_BROKER_URL
result_backend = "redis://localhost:6379/1"
broker_connection_retry_on_startup = True

# What travels: JSON only, since a pickle from a broker is code from a stranger.
task_serializer = "json"
result_serializer = "json"
event_serializer = "json"
accept_content = ["json"]
result_accept_content = ["json"]

# When: UTC everywhere.
enable_utc = True
timezone = "UTC"

# Queues, routes and priorities.
task_default_queue = "default"
task_default_exchange = "default"
task_default_routing_key = "default"
task_queues = queues.task_queues()
task_routes = queues.task_routes()
task_annotations = queues.task_annotations(_scheme)
# Without a default, messages that name no priority would be the first on Redis and the last on RabbitMQ.
task_default_priority = queues.message_priority(queues.Urgency.NORMAL, _scheme)

# How long: soft first, so that a task can tidy up; the hard limit kills the pool process.
task_soft_time_limit = 25 * 60
task_time_limit = 30 * 60

# Results.
task_track_started = True
result_extended = True  # GET /tasks/{id} shows the task's name
result_expires = settings().result_expires_seconds

# Delivery. Late acknowledgement stands on the tasks that need it (see tasks/): a task that must not be
# repeated keeps early acknowledgement.
worker_prefetch_multiplier = 1  # a priority means nothing to messages that were fetched already
# When the connection is lost, a late-acknowledged task is delivered again at once: stop the first run.
worker_cancel_long_running_tasks_on_connection_loss = True

if queues.serves_low_numbers_first(_scheme):
    # Longer than the longest task, its grace and its ETA: after it Redis delivers again what still runs.
    broker_transport_options = {"visibility_timeout": 2 * 60 * 60}
elif _scheme in {"amqp", "amqps", "pyamqp"}:
    # Without confirms, a message written to the socket of a broker that died is lost without an error.
    broker_transport_options = {"confirm_publish": True}

beat_schedule = schedule.beat_schedule()
