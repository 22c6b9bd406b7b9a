"""Bodies of requests and answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from celery_tasks.producer.arguments import FetchDataArguments, Number
from celery_tasks.queues import MAX_PRIORITY

Pair = Annotated[tuple[Number, Number], Field(description="x and y")]
Pairs = Annotated[list[Pair], Field(min_length=1, max_length=10_000)]


class Body(BaseModel):
    """Base of the request bodies: a misspelt field is an error, not a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskOptions(Body):
    """How to send a task; everything that is unset is the route's."""

    task_id: str | None = Field(
        default=None, min_length=1, max_length=100, pattern=r"^[\w.:-]+$", description="Default: a new UUID."
    )
    queue: str | None = Field(default=None, min_length=1, max_length=255, description="Default: the task's route.")
    priority: int | None = Field(
        default=None,
        ge=0,
        le=MAX_PRIORITY,
        description="On Redis 0 is served first, on RabbitMQ 9 is. Default: the route's.",
    )
    countdown: float | None = Field(default=None, ge=0, description="Seconds to wait before it may start.")
    eta: AwareDatetime | None = Field(default=None, description="Not before this time; give a time zone.")
    expires: float | None = Field(default=None, gt=0, description="Seconds after which it is not started any more.")


class TaskSubmission(Body):
    """The arguments of a task, by position or by name, and how to send it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"kwargs": {"x": 2, "y": 3}},
                {"args": [2, 3], "options": {"queue": "high_priority", "countdown": 5}},
            ]
        },
    )

    args: list[Any] = Field(default_factory=list)
    kwargs: dict[str, Any] = Field(default_factory=dict)
    options: TaskOptions = TaskOptions()


class ChainBody(FetchDataArguments):
    """fetch_data → process_data → save_data."""


class GroupBody(Body):
    """``add`` for each pair, all at once."""

    pairs: Pairs = Field(examples=[[[1, 2], [3, 4]]])


class ChordBody(Body):
    """``multiply`` for each pair, then ``sum_results`` over what they return."""

    pairs: Pairs = Field(examples=[[[2, 3], [4, 5]]])


class ChunksBody(Body):
    """``add`` for each pair, ``size`` pairs to one message."""

    pairs: Pairs = Field(examples=[[[1, 1], [2, 2], [3, 3]]])
    size: int = Field(default=2, ge=1, le=1000)


class Submitted(BaseModel):
    """The broker has the message."""

    task_id: str
    task: str
    status_url: str = Field(examples=["/tasks/0b2f…"])


class WorkflowSubmitted(BaseModel):
    """The broker has the workflow's first messages."""

    workflow: str
    task_id: str = Field(description="Of the last task: its result is the workflow's. For a group, the group's id.")
    status_url: str
    children: list[str] = Field(description="Ids of a chain's earlier steps, in order, or of a group's parts.")


class TaskStatus(BaseModel):
    """What the result backend knows. An id nobody ever used is PENDING, like one that still waits."""

    task_id: str
    state: str = Field(examples=["PENDING", "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE"])
    ready: bool
    task: str | None = None
    result: Any = Field(default=None, description="What it returned; while it runs, its progress.")
    error: str | None = Field(default=None, description="Exception and message of a FAILURE or RETRY.")
    finished_at: str | None = None


class GroupStatus(BaseModel):
    """How far a group is."""

    group_id: str
    ready: bool
    completed: int
    total: int
    results: list[TaskStatus]


class TaskDescription(BaseModel):
    """A task that may be submitted."""

    name: str
    task: str
    description: str
    queue: str
    example: dict[str, Any]


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str | list[Any]
