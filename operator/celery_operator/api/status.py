"""The status: what the operator observed, for people and tools to read, never to write."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from celery_operator.api.model import ApiModel, SchemaExtra, list_map

DateTime = Annotated[str, SchemaExtra((("format", "date-time"),))]


class Condition(ApiModel):
    """One aspect of the CeleryCluster's state (the standard Kubernetes condition)."""

    type: Annotated[str, Field(max_length=316)]
    """Name of the condition, for example Ready."""
    status: Literal["True", "False", "Unknown"]
    """Unknown: nobody can tell at the moment."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why, in one word for programs."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """Why, in words for people, with what to do."""
    last_transition_time: DateTime
    """When the status last changed."""
    observed_generation: Annotated[int, Field(ge=0)]
    """The metadata.generation that this condition was computed for."""


class WorkerGroupStatus(ApiModel):
    """One worker group as observed."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the worker group."""
    desired: Annotated[int, Field(ge=0)]
    """Pods that should run."""
    replicas: Annotated[int, Field(ge=0)]
    """Pods that exist."""
    ready: Annotated[int, Field(ge=0)]
    """Pods that are Ready."""
    draining: Annotated[int, Field(ge=0)] | None = None
    """Pods that take no more tasks, because they are to be removed when they have nothing left to do."""
    slots: Annotated[int, Field(ge=0)] | None = None
    """Tasks that the group's pods can run at a time, in coarse steps; absent where nobody knows."""
    busy: Annotated[int, Field(ge=0)] | None = None
    """Slots in use, in coarse steps; absent where nobody knows."""
    backlog: Annotated[int, Field(ge=0)] | None = None
    """Tasks that wait in the group's queues and may run now, in coarse steps; absent where nobody knows."""
    task_duration: Annotated[str, Field(max_length=32)] | None = None
    """What a task of the group takes, as measured by the operator, for example 3.1s; written at most every 5 minutes.
    An operator that starts counts with it instead of autoscaling.expectedTaskDuration."""


class Summary(ApiModel):
    """The state in a word each, for `kubectl get`."""

    workers: Annotated[str, Field(max_length=63)] = ""
    """Ready and desired worker pods over all groups, for example 7/8."""
    beat: Annotated[str, Field(max_length=63)] = ""
    """Running, Starting or None."""
    broker: Annotated[str, Field(max_length=63)] = ""
    """Reachable, Unreachable or Unknown."""
    backlog: Annotated[str, Field(max_length=63)] = ""
    """Tasks that wait in the queues of all groups and may run now, in coarse steps; Unknown where nobody can tell."""


class CeleryClusterStatus(ApiModel):
    """What the operator observed of the CeleryCluster."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status was computed for."""
    conditions: Annotated[list[Condition], Field(max_length=32), list_map("type")] | None = None
    """Ready, SpecValid, BrokerReachable, ResultBackendReachable, QueuesMatch, WorkersAvailable, WorkersConsuming,
    BeatRunning, AutoscalingActive, FlowerAvailable, NoWarnings, Paused and Suspended; all set from the first pass."""
    workers: Annotated[list[WorkerGroupStatus], Field(max_length=100), list_map("name")] | None = None
    """The worker groups as observed."""
    warnings: Annotated[list[Annotated[str, Field(max_length=4096)]], Field(max_length=100)] | None = None
    """What may hurt later, warnings before hints; nothing here stops anything from running. Each line ends in the id of
    a rule of docs/linter.md, which the annotation celery-operator.dev/ignore-warnings silences."""
    celery_version: Annotated[str, Field(max_length=253)] | None = None
    """The version of Celery in the image, as the workers say that were heard last; several, with commas, while they
    differ. Absent until one was heard, and where the operator asks none: of groups that name no queues."""
    load_time: DateTime | None = None
    """When slots, busy and backlog were last written: when they have changed, with whatever else is written, and for
    themselves at most every 30 s. Metrics have them to the second."""
    summary: Summary | None = None
    """The state in a word each, for `kubectl get`."""
