"""Worker groups: workers that serve the same queues with the same settings, one Deployment a group."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from celery_operator.api.model import LIST_ATOMIC, LIST_SET, ApiModel, Cel, rules
from celery_operator.api.pod import Argument, LogLevel, PodTemplate, Resources
from celery_operator.api.scalars import Duration, Name, Quantity

QueueName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^,\s]+$")]
Pool = Literal["prefork", "threads", "gevent", "eventlet", "solo", "custom"]


def _given(*options: str) -> str:
    """CEL: an argument is one of the options: `-n`, `-nfoo`, `--hostname` or `--hostname=foo`.

    Comparisons with short constants, because a regular expression over every argument of every group costs more than
    the API server grants a CRD.
    """
    short = ", ".join(repr(option) for option in options if not option.startswith("--"))
    long = ", ".join(repr(option) for option in options if option.startswith("--"))
    tests = []
    if short:
        tests.append(f"[{short}].exists(o, a.startsWith(o))")
    if long:
        tests.append(f"[{long}].exists(o, a == o || a.startsWith(o + '='))")
    return f"self.exists(a, {' || '.join(tests)})"


ExtraArgs = Annotated[
    list[Argument],
    Field(max_length=64),
    LIST_ATOMIC,
    Cel("!('--' in self)", "settings after -- are ignored by Celery; put them into spec.config"),
    Cel(
        "!self.exists(a, a.startsWith('-E') && a != '-E')",
        "write -E as an argument of its own: Celery would read what follows it as further options",
    ),
    Cel(
        f"!{_given('--purge', '--discard')}",
        "--purge (or --discard) would delete every waiting task at each start of each pod; purge by hand instead",
    ),
    Cel(
        f"!{_given('-B', '--beat')}",
        "-B would run a beat in every worker and send every tick many times; use spec.beat",
    ),
    Cel(
        f"!{_given('-n', '--hostname')}",
        "the operator names the nodes <group>@<pod>: with -n, pods would take each other's messages; remove it",
    ),
    Cel(
        "!" + _given("-D", "-f", "--detach", "--logfile", "--pidfile", "--uid", "--gid", "--umask", "--executable"),
        "a worker in a pod runs in the foreground, as the container's user, and logs to its standard error; remove "
        "-D, --detach, -f, --logfile, --pidfile, --uid, --gid, --umask and --executable",
    ),
    Cel(
        "!"
        + _given(
            *("-A", "-b", "-Q", "-P", "-c", "-O", "-l"),
            *("--app", "--broker", "--result-backend", "--queues", "--pool", "--concurrency"),
            *("--prefetch-multiplier", "--optimization", "--max-tasks-per-child", "--max-memory-per-child"),
            *("--time-limit", "--soft-time-limit", "--loglevel"),
        ),
        "this option has a field of its own: use app, broker, resultBackend, queues, pool, concurrency, "
        "prefetchMultiplier, optimization, maxTasksPerChild, maxMemoryPerChild, timeLimit, softTimeLimit "
        "or logLevel",
    ),
]


class WorkerGroup(ApiModel):
    """Workers that serve the same queues with the same settings."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!has(self.maxTasksPerChild) || !has(self.pool) || self.pool in ['prefork', 'custom']",
                "maxTasksPerChild is honoured by the prefork pool only; remove it or change the pool",
            ),
            Cel(
                "!has(self.maxMemoryPerChild) || !has(self.pool) || self.pool in ['prefork', 'custom']",
                "maxMemoryPerChild is honoured by the prefork pool only; remove it or change the pool",
            ),
            Cel(
                "!has(self.softTimeLimit) || !has(self.pool) || self.pool in ['prefork', 'custom']",
                "softTimeLimit is honoured by the prefork pool only; remove it or change the pool",
            ),
            Cel(
                "!has(self.timeLimit) || !has(self.pool) || self.pool in ['prefork', 'gevent', 'custom']",
                "timeLimit is honoured by the prefork and gevent pools only; remove it or change the pool",
            ),
            Cel(
                "!has(self.timeLimit) || !has(self.softTimeLimit) || "
                "duration(self.softTimeLimit) < duration(self.timeLimit)",
                "softTimeLimit must be shorter than timeLimit, or tasks are killed before they are warned",
            ),
            Cel(
                "!has(self.pool) || self.pool != 'solo' || !has(self.concurrency) || self.concurrency == 1",
                "the solo pool runs one task at a time; remove concurrency or choose another pool",
            ),
        )
    )
    name: Name
    """Name of the group, unique within the CeleryCluster; part of the Deployment's name and of the node names."""
    queues: Annotated[list[QueueName], Field(min_length=1, max_length=64), LIST_SET] | None = None
    """The queues that the group consumes; the application's default queue when absent."""
    replicas: Annotated[int, Field(ge=0, le=100000)] | None = None
    """Number of pods; 1 when absent."""
    concurrency: Annotated[int, Field(ge=1, le=100000)] | None = None
    """Tasks that a pod runs at a time. When absent, the CPU limit rounded up, else the CPU request, else 1: never
    the node's number of CPUs."""
    pool: Pool | None = None
    """How a worker runs tasks; prefork when absent."""
    prefetch_multiplier: Annotated[int, Field(ge=0, le=100000)] | None = None
    """Messages that a worker takes in advance for each slot (0: no limit); Celery's default when absent."""
    optimization: Literal["default", "fair"] | None = None
    """How the prefork pool hands tasks to its children."""
    max_tasks_per_child: Annotated[int, Field(ge=1)] | None = None
    """Tasks after which a pool child is replaced (prefork only)."""
    max_memory_per_child: Quantity | None = None
    """Resident memory after which a pool child is replaced when its task ends (prefork only), for example 800Mi."""
    time_limit: Duration | None = None
    """How long a task may run before it is killed (prefork and gevent)."""
    soft_time_limit: Duration | None = None
    """How long a task may run before SoftTimeLimitExceeded is raised in it (prefork only)."""
    log_level: LogLevel | None = None
    """Level of the worker's log; INFO when absent."""
    extra_args: ExtraArgs | None = None
    """Further arguments of `celery worker`, for those that have no field here."""
    resources: Resources | None = None
    """What the worker container asks for and may use."""
    pod_template: PodTemplate | None = None
    """Anything else of the group's pods; its container is called `worker`."""
