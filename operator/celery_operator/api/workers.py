"""Worker groups: workers that serve the same queues with the same settings, one Deployment a group."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from celery_operator.api.autoscaling import Autoscaling, ExternalScaling
from celery_operator.api.extras import Lifecycle, Persistence
from celery_operator.api.model import LIST_ATOMIC, LIST_SET, ApiModel, Cel, SchemaExtra, rules
from celery_operator.api.overrides import Overrides
from celery_operator.api.pod import Argument, LogLevel, PodTemplate, Resources
from celery_operator.api.probes import Probes
from celery_operator.api.rollout import DisruptionBudget, Shutdown, Strategy
from celery_operator.api.scalars import Duration, Name, Quantity
from celery_operator.api.scheduling import Spread

QueueName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^,\s]+$")]
Pool = Literal["prefork", "threads", "gevent", "eventlet", "solo", "custom"]
Concurrency = Annotated[
    int | Literal["auto"],
    SchemaExtra(
        (
            ("anyOf", [{"type": "integer"}, {"type": "string"}]),
            ("x-kubernetes-int-or-string", True),
            ("pattern", r"^auto$"),
            ("maxLength", 4),
            ("minimum", 1),
            ("maximum", 100000),
        )
    ),
]
"""A number of tasks, or `auto`: what the container's CPU limit says when the worker starts."""


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
            *("-A", "-b", "-Q", "-P", "-c", "-O", "-l", "-E"),
            *("--app", "--broker", "--result-backend", "--queues", "--pool", "--concurrency"),
            *("--prefetch-multiplier", "--optimization", "--max-tasks-per-child", "--max-memory-per-child"),
            *("--time-limit", "--soft-time-limit", "--loglevel", "--task-events", "--events", "--without-mingle"),
            "--autoscale",
        ),
        "this option has a field of its own: use app, broker, resultBackend, queues, pool, concurrency, "
        "prefetchMultiplier, optimization, maxTasksPerChild, maxMemoryPerChild, timeLimit, softTimeLimit, "
        "logLevel, taskEvents, mingle or processAutoscale",
    ),
]


class ProcessAutoscale(ApiModel):
    """Celery's own autoscaling inside of a pod."""

    model_config = ConfigDict(
        json_schema_extra=rules(Cel("self.min <= self.max", "min must not be greater than max; raise max or lower min"))
    )
    min: Annotated[int, Field(ge=1)]
    """Pool processes that are there always."""
    max: Annotated[int, Field(le=100000)]
    """The most, and so the tasks that a pod runs at a time."""


class WorkerGroup(Overrides):
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
            Cel(
                "!has(self.processAutoscale) || !has(self.pool) || self.pool in ['prefork', 'custom']",
                "processAutoscale is honoured by the prefork pool only; remove it or change the pool",
            ),
            Cel(
                "!has(self.processAutoscale) || !has(self.concurrency)",
                "processAutoscale says how many tasks a pod runs at a time; remove concurrency or processAutoscale",
            ),
            Cel(
                "!has(self.shutdown) || !has(self.shutdown.mode) || self.shutdown.mode != 'Requeue' || "
                "!has(self.pool) || self.pool == 'prefork'",
                "shutdown.mode Requeue needs the prefork pool: others cannot end a single task; use Drain",
            ),
            Cel(
                "[has(self.replicas), has(self.autoscaling), has(self.externalScaling)].filter(x, x).size() <= 1",
                "one writer for the number of pods: set only one of replicas, autoscaling and externalScaling",
            ),
            Cel(
                "!has(self.autoscaling) || !has(self.probes) || !has(self.probes.disabled) || !self.probes.disabled",
                "autoscaling asks workers over the probe port whether they are idle; remove probes.disabled, or choose "
                "another port with probes.port",
            ),
        )
    )
    name: Name
    """Name of the group, unique within the CeleryCluster; part of the Deployment's name and of the node names."""
    queues: Annotated[list[QueueName], Field(min_length=1, max_length=64), LIST_SET] | None = None
    """The queues that the group consumes. When absent, all that are declared, here in spec.queues or in the
    application; where there are none, the application's default queue."""
    replicas: Annotated[int, Field(ge=0, le=100000)] | None = None
    """Number of pods; 1 when absent and nothing else sets it."""
    autoscaling: Autoscaling | None = None
    """Lets the operator set the number of pods by the load. Name the queues of such a group."""
    external_scaling: ExternalScaling | None = None
    """{}: an HPA, KEDA or somebody else sets the number of pods on the Deployment, and the operator never does."""
    concurrency: Concurrency | None = None
    """Tasks that a pod runs at a time. When absent, the CPU limit in resources rounded up, else the CPU request, else
    1; auto: the same, but read by the worker itself from what its container really has. Never the node's number of
    CPUs."""
    process_autoscale: ProcessAutoscale | None = None
    """Adds pool processes while tasks wait in a worker and ends idle ones, as `celery worker --autoscale` (prefork
    only), in place of concurrency. autoscaling changes the number of pods instead: use one of them."""
    pool: Pool | None = None
    """How a worker runs tasks; prefork when absent."""
    prefetch_multiplier: Annotated[int, Field(ge=0, le=100000)] | None = None
    """Messages that a worker takes in advance for each slot (0: no limit). When absent: none on Redis with Celery 5.6
    (gevent: 5.7) or newer, else 1 with taskDelivery AtLeastOnce, else Celery's default (4)."""
    optimization: Literal["default", "fair"] | None = None
    """How the prefork pool hands tasks to its children."""
    max_tasks_per_child: Annotated[int, Field(ge=1)] | None = None
    """Tasks after which a pool child is replaced (prefork only)."""
    max_memory_per_child: Quantity | None = None
    """Resident memory after which a pool child is replaced when its task ends (prefork only), for example 800Mi."""
    max_task_duration: Duration | None = None
    """The longest that a task of this group runs, at most that of the cluster, for example 5m. The grace period follows
    from it; spec.maxTaskDuration when absent."""
    time_limit: Duration | None = None
    """How long a task may run before it is killed (prefork and gevent)."""
    soft_time_limit: Duration | None = None
    """How long a task may run before SoftTimeLimitExceeded is raised in it (prefork only)."""
    shutdown: Shutdown | None = None
    """What happens to running tasks when a pod is told to end."""
    strategy: Strategy | None = None
    """How a rollout replaces the group's pods. Those that are finishing their tasks do not count, so with long tasks a
    rollout may need room for twice the pods."""
    disruption_budget: DisruptionBudget | None = None
    """How many pods a node drain may take at a time."""
    probes: Probes | None = None
    """How the kubelet asks whether a worker lives."""
    mingle: Literal["Auto", "Enabled", "Disabled"] | None = None
    """Whether a new worker asks the others for revoked tasks. Auto (when absent): as long as the groups have 50 pods
    at most in all; above, every start would ask too many, and revocations die with the pods that know them."""
    task_events: bool | None = None
    """True: the worker sends an event for each step of each task, as Flower needs them."""
    log_level: LogLevel | None = None
    """Level of the worker's log; INFO when absent."""
    extra_args: ExtraArgs | None = None
    """Further arguments of `celery worker`, for those that have no field here."""
    resources: Resources | None = None
    """What the worker container asks for and may use."""
    topology_spread_constraints: Spread | None = None
    """How evenly the group's pods are spread; these replace spec.topologySpreadConstraints."""
    lifecycle: Lifecycle | None = None
    """Hooks of the worker container's life."""
    persistence: Persistence | None = None
    """A disk of its own for each pod, made and deleted with it."""
    pod_template: PodTemplate | None = None
    """Anything else of the group's pods; its container is called `worker`."""
