"""Beat: the one process that sends periodic tasks, and the schedule that it gets from the resource."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from celery_operator.api.model import FREE_FORM, LIST_ATOMIC, ApiModel, Cel, list_map, rules
from celery_operator.api.overrides import Overrides
from celery_operator.api.pod import LogLevel, PodTemplate, Resources, Storage
from celery_operator.api.probes import Probes
from celery_operator.api.scalars import Duration
from celery_operator.api.workers import QueueName


class Solar(ApiModel):
    """A moment of the sun at a place. The image needs the package ephem (celery[solar])."""

    event: Literal[
        "dawn_astronomical",
        "dawn_nautical",
        "dawn_civil",
        "sunrise",
        "solar_noon",
        "sunset",
        "dusk_civil",
        "dusk_nautical",
        "dusk_astronomical",
    ]
    """What the sun does."""
    latitude: Annotated[float, Field(ge=-90, le=90)]
    """Degrees north; negative in the south."""
    longitude: Annotated[float, Field(ge=-180, le=180)]
    """Degrees east; negative in the west."""


class ScheduleEntry(ApiModel):
    """One periodic task."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "[has(self.crontab), has(self.every), has(self.solar)].exists_one(x, x)",
                "set exactly one of crontab, every or solar",
            )
        )
    )
    name: Annotated[str, Field(min_length=1, max_length=200)]
    """Name of the entry, unique within the schedule; it replaces an entry of the application with that name."""
    task: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the task, for example shop.reports.daily."""
    crontab: Annotated[str, Field(max_length=253, pattern=r"^[0-9a-zA-Z*/,-]+( [0-9a-zA-Z*/,-]+){4}$")] | None = None
    """When to send it: minute, hour, day of month, month, day of week, in Celery's own crontab syntax."""
    every: Duration | None = None
    """How often to send it, for example 30s."""
    solar: Solar | None = None
    args: Annotated[list[Annotated[Any, FREE_FORM]], Field(max_length=64), LIST_ATOMIC] | None = None
    """Positional arguments of the task."""
    kwargs: Annotated[dict[str, Any], FREE_FORM] | None = None
    """Keyword arguments of the task."""
    queue: QueueName | None = None
    """The queue to send it to; by the application's routes when absent."""
    enabled: bool | None = None
    """False keeps the entry here but out of the schedule; true when absent."""


class Beat(Overrides):
    """The beat process. There is exactly one, never two."""

    schedule: Annotated[list[ScheduleEntry], Field(max_length=500), list_map("name")] | None = None
    """Periodic tasks, added to the application's own schedule."""
    scheduler: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z_][\w.]*[:.][\w]+$")] | None = None
    """The scheduler class, for example django_celery_beat.schedulers:DatabaseScheduler; the application's
    setting, else celery.beat:PersistentScheduler, when absent."""
    max_interval: Duration | None = None
    """The longest that beat sleeps between two looks at the schedule; 30s when absent."""
    timezone: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """The time zone of crontab entries, for example Europe/Berlin; the application's when absent."""
    storage: Storage | None = None
    """A volume for the schedule file. Without one, beat forgets at a restart when it last sent each task."""
    probes: Probes | None = None
    """How the kubelet asks whether beat lives."""
    log_level: LogLevel | None = None
    """Level of beat's log; INFO when absent."""
    resources: Resources | None = None
    """What the beat container asks for and may use."""
    pod_template: PodTemplate | None = None
    """Anything else of the beat pod; its container is called `beat`."""
