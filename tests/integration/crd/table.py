"""The table itself, from the top of the kind to its status."""

from __future__ import annotations

from tests.integration.crd.cases import (
    Case,
    at_most,
    between,
    case,
    count_or_percent,
    duration,
    image,
    labels,
    longest,
    one_of,
    pod_annotations,
    pod_template,
    probes,
    quantity,
    queue,
    required,
    resources,
    secret_key,
    storage,
    text,
)
from tests.integration.crd.objects import minimal
from tests.integration.crd.table_autoscaling import AUTOSCALING
from tests.integration.crd.table_children import CHILDREN, of_component
from tests.integration.crd.table_connections import CONNECTIONS
from tests.integration.crd.table_pods import PODS, overrides

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL")
SECRET = {"secretKeyRef": {"name": "s", "key": "k"}}
URL_VARIABLES = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND")

CLUSTER: list[Case] = [
    *required("", "spec"),
    case(
        "",
        "cel",
        ["a", "shop-1", "a" * 40],
        ["a" * 41, "1shop", "shop.eu"],
        "metadata.name must be a DNS label of at most 40 characters",
        at="metadata.name",
    ),
    *required("spec", "image", "app", "broker", "workers"),
    *image("spec.image"),
    one_of("spec.imagePullPolicy", "Always", "IfNotPresent", "Never"),
    at_most("spec.imagePullSecrets", 16, lambda i: {"name": f"s{i}"}),
    case("spec.imagePullSecrets", "unique", [[{"name": "a"}, {"name": "b"}]], [[{"name": "a"}, {"name": "a"}]]),
    *required("spec.imagePullSecrets[]", "name"),
    *text("spec.imagePullSecrets[].name", 253),
    *text("spec.app", 253),
    case("spec.app", "pattern", ["shop", "shop.celery:app", "_a.b1:c"], ["1a", "a:b:c", "a/b", "a b", "a:"]),
    case("spec.command", "minItems", [["python"]], [[]]),
    at_most("spec.command", 16, lambda i: f"a{i}"),
    longest("spec.command[]", 4096),
    *text("spec.workingDir", 4096),
    one_of("spec.taskDelivery", "AtMostOnce", "AtLeastOnce"),
    *duration("spec.maxTaskDuration"),
    *text("spec.serviceAccountName", 253),
    one_of("spec.podSecurity", "Compatible", "Restricted"),
    *labels("spec.podLabels"),
    *pod_annotations("spec.podAnnotations"),
    *pod_template("spec.podTemplate"),
]

ENV: list[Case] = [
    at_most("spec.env", 256, lambda i: {"name": f"A{i}"}),
    case("spec.env", "unique", [[{"name": "A"}, {"name": "B"}]], [[{"name": "A"}, {"name": "A"}]]),
    *required("spec.env[]", "name"),
    *text("spec.env[].name", 253),
    case("spec.env[].name", "pattern", ["A_1", "a.b-c"], ["A=B", "A B"]),
    longest("spec.env[].value", 131072),
    case(
        "spec.env[]",
        "cel",
        [{"name": "A", "value": "1"}, {"name": "A", "valueFrom": SECRET}],
        [{"name": "A", "value": "1", "valueFrom": SECRET}],
        "set value or valueFrom, not both",
    ),
    case(
        "spec.env[]",
        "cel",
        [{"name": "CELERY_OPERATORS"}],
        [{"name": "CELERY_OPERATOR_SETTINGS", "value": "{}"}],
        "variables that begin with CELERY_OPERATOR_ belong to the operator",
    ),
    case(
        "spec.env[]",
        "cel",
        [{"name": "CELERY_TASK_ALWAYS_EAGER", "value": "1"}],
        [{"name": name, "value": "redis://"} for name in URL_VARIABLES],
        "the operator sets this variable from spec.broker and spec.resultBackend",
    ),
    case(
        "spec.env[].valueFrom",
        "cel",
        [
            SECRET,
            {"configMapKeyRef": {"name": "c", "key": "k"}},
            {"fieldRef": {"fieldPath": "metadata.name"}},
            {"resourceFieldRef": {"resource": "limits.memory"}},
        ],
        [{}, {**SECRET, "fieldRef": {"fieldPath": "metadata.name"}}],
        "set exactly one of secretKeyRef, configMapKeyRef, fieldRef or resourceFieldRef",
    ),
    *secret_key("spec.env[].valueFrom.secretKeyRef"),
    *secret_key("spec.env[].valueFrom.configMapKeyRef"),
    *required("spec.env[].valueFrom.fieldRef", "fieldPath"),
    longest("spec.env[].valueFrom.fieldRef.apiVersion", 63),
    *text("spec.env[].valueFrom.fieldRef.fieldPath", 253),
    *required("spec.env[].valueFrom.resourceFieldRef", "resource"),
    longest("spec.env[].valueFrom.resourceFieldRef.containerName", 63),
    *text("spec.env[].valueFrom.resourceFieldRef.resource", 253),
    *quantity("spec.env[].valueFrom.resourceFieldRef.divisor"),
    at_most("spec.envFrom", 64, lambda i: {"secretRef": {"name": f"s{i}"}}),
    case(
        "spec.envFrom[]",
        "cel",
        [{"secretRef": {"name": "s"}}, {"prefix": "P_", "configMapRef": {"name": "c"}}],
        [{"prefix": "P_"}, {"secretRef": {"name": "s"}, "configMapRef": {"name": "c"}}],
        "set exactly one of secretRef or configMapRef",
    ),
    case(
        "spec.envFrom[].prefix",
        "maxLength",
        [{"secretRef": {"name": "s"}, "prefix": "a" * 253}],
        [{"secretRef": {"name": "s"}, "prefix": "a" * 254}],
        at="spec.envFrom[]",
    ),
    *(
        found
        for at in ("spec.envFrom[].secretRef", "spec.envFrom[].configMapRef")
        for found in (*required(at, "name"), *text(f"{at}.name", 253))
    ),
]

GROUP = "spec.workers[]"
ARGUMENTS = f"{GROUP}.extraArgs"


def _group(**fields: object) -> dict[str, object]:
    return {"name": "a", **fields}


def _only_for(field: str, value: object, allowed: tuple[str, ...], refused: tuple[str, ...], says: str) -> Case:
    """A field that only some pools honour; without a pool (prefork) it is honoured."""
    return case(
        GROUP,
        "cel",
        [_group(**{field: value}), *(_group(**{field: value, "pool": pool}) for pool in allowed)],
        [_group(**{field: value, "pool": pool}) for pool in refused],
        says,
    )


PREFORK_ONLY = (("prefork", "custom"), ("threads", "gevent", "eventlet", "solo"))
WORKERS: list[Case] = [
    case("spec.workers", "minItems", [[{"name": "a"}]], [[]]),
    at_most("spec.workers", 100, lambda i: {"name": f"a{i}"}),
    case("spec.workers", "unique", [[{"name": "a"}, {"name": "b"}]], [[{"name": "a"}, {"name": "a"}]]),
    *required(GROUP, "name"),
    *text(f"{GROUP}.name", 63),
    case(f"{GROUP}.name", "pattern", ["a-1", "a"], ["A", "1a", "a-", "a.b", "a_b"]),
    _only_for("maxTasksPerChild", 5, *PREFORK_ONLY, "maxTasksPerChild is honoured by the prefork pool only"),
    _only_for("maxMemoryPerChild", "1Gi", *PREFORK_ONLY, "maxMemoryPerChild is honoured by the prefork pool only"),
    _only_for(
        "processAutoscale", {"min": 1, "max": 2}, *PREFORK_ONLY, "processAutoscale is honoured by the prefork pool only"
    ),
    case(
        GROUP,
        "cel",
        [_group(processAutoscale={"min": 1, "max": 2}), _group(concurrency=2)],
        [_group(processAutoscale={"min": 1, "max": 2}, concurrency=count) for count in (2, "auto")],
        "processAutoscale says how many tasks a pod runs at a time",
    ),
    case(
        f"{GROUP}.processAutoscale",
        "cel",
        [{"min": 1, "max": 1}, {"min": 2, "max": 8}],
        [{"min": 2, "max": 1}],
        "min must not be greater than max",
    ),
    *required(f"{GROUP}.processAutoscale", "min", "max"),
    case(
        f"{GROUP}.processAutoscale.min",
        "minimum",
        [{"min": 1, "max": 1}],
        [{"min": 0, "max": 1}],
        at=f"{GROUP}.processAutoscale",
    ),
    case(
        f"{GROUP}.processAutoscale.max",
        "maximum",
        [{"min": 1, "max": 100000}],
        [{"min": 1, "max": 100001}],
        at=f"{GROUP}.processAutoscale",
    ),
    _only_for("softTimeLimit", "5s", *PREFORK_ONLY, "softTimeLimit is honoured by the prefork pool only"),
    _only_for(
        "timeLimit",
        "5s",
        ("prefork", "gevent", "custom"),
        ("threads", "eventlet", "solo"),
        "timeLimit is honoured by the prefork and gevent pools only",
    ),
    case(
        GROUP,
        "cel",
        [_group(timeLimit="1h", softTimeLimit="59m")],
        [_group(timeLimit="60s", softTimeLimit="1m"), _group(timeLimit="1m", softTimeLimit="1h")],
        "softTimeLimit must be shorter than timeLimit",
    ),
    case(
        GROUP,
        "cel",
        [_group(pool="solo"), _group(pool="solo", concurrency=1), _group(pool="threads", concurrency=2)],
        [_group(pool="solo", concurrency=2), _group(pool="solo", concurrency="auto")],
        "the solo pool runs one task at a time",
    ),
    _only_for(
        "shutdown",
        {"mode": "Requeue"},
        ("prefork",),
        ("threads", "gevent", "eventlet", "solo", "custom"),
        "shutdown.mode Requeue needs the prefork pool: others cannot end a single task; use Drain",
    ),
    case(f"{GROUP}.queues", "minItems", [["a"]], [[]]),
    at_most(f"{GROUP}.queues", 64, lambda i: f"q{i}"),
    case(f"{GROUP}.queues", "unique", [["a", "b"]], [["a", "a"]]),
    *queue(f"{GROUP}.queues[]"),
    *between(f"{GROUP}.replicas", 0, 100000),
    *between(f"{GROUP}.concurrency", 1, 100000),
    case(f"{GROUP}.concurrency", "maxLength", ["auto"], ["automatic"]),
    case(f"{GROUP}.concurrency", "pattern", ["auto"], ["Auto", "4", "max", ""]),
    one_of(f"{GROUP}.pool", "prefork", "threads", "gevent", "eventlet", "solo", "custom"),
    *between(f"{GROUP}.prefetchMultiplier", 0, 100000),
    one_of(f"{GROUP}.optimization", "default", "fair"),
    *between(f"{GROUP}.maxTasksPerChild", 1),
    *quantity(f"{GROUP}.maxMemoryPerChild"),
    *duration(f"{GROUP}.timeLimit"),
    *duration(f"{GROUP}.softTimeLimit"),
    *duration(f"{GROUP}.maxTaskDuration"),
    one_of(f"{GROUP}.shutdown.mode", "Drain", "Requeue"),
    *duration(f"{GROUP}.shutdown.gracePeriod"),
    case(
        f"{GROUP}.strategy",
        "cel",
        [{}, {"maxSurge": 0, "maxUnavailable": 1}, {"maxSurge": "0%", "maxUnavailable": "25%"}, {"maxSurge": 1}],
        [
            *({"maxSurge": surge} for surge in (0, "0%")),
            *({"maxSurge": surge, "maxUnavailable": none} for surge in (0, "0%") for none in (0, "0%")),
        ],
        "no pod could ever be replaced",
    ),
    *count_or_percent(f"{GROUP}.strategy.maxSurge"),
    *count_or_percent(f"{GROUP}.strategy.maxUnavailable"),
    *duration(f"{GROUP}.strategy.progressDeadline"),
    case(
        f"{GROUP}.disruptionBudget",
        "cel",
        [{"maxUnavailable": 1}, {"minAvailable": "50%", "doNotDisrupt": True}],
        [{"maxUnavailable": 1, "minAvailable": 1}],
        "set maxUnavailable or minAvailable, not both",
    ),
    case(
        f"{GROUP}.disruptionBudget",
        "cel",
        [{"disabled": True}, {"disabled": True, "doNotDisrupt": True}, {"disabled": False, "maxUnavailable": 1}],
        [{"disabled": True, "maxUnavailable": 1}, {"disabled": True, "minAvailable": "10%"}],
        "disabled leaves no budget to adjust",
    ),
    *count_or_percent(f"{GROUP}.disruptionBudget.maxUnavailable"),
    *count_or_percent(f"{GROUP}.disruptionBudget.minAvailable"),
    *probes(f"{GROUP}.probes"),
    one_of(f"{GROUP}.mingle", "Auto", "Enabled", "Disabled"),
    one_of(f"{GROUP}.logLevel", *LOG_LEVELS),
    *resources(f"{GROUP}.resources"),
    *pod_template(f"{GROUP}.podTemplate"),
]

EXTRA_ARGS: list[Case] = [
    at_most(ARGUMENTS, 64, lambda i: f"--x{i}"),
    longest(f"{ARGUMENTS}[]", 4096),
    case(ARGUMENTS, "cel", [["--without-heartbeat"]], [["--", "a.b=1"], ["-X", "--"]], "settings after -- are ignored"),
    case(
        ARGUMENTS,
        "cel",
        [["--purgeable"]],
        [["--purge"], ["-X", "slow", "--purge"], ["--discard"]],
        "would delete every waiting task at each start",
    ),
    case(
        ARGUMENTS,
        "cel",
        [["--beat-like"], ["-s", "beat"]],
        [["-B"], ["--beat"], ["-Bs", "x"], ["-X", "slow", "-B"]],
        "-B would run a beat in every worker",
    ),
    case(
        ARGUMENTS,
        "cel",
        [["--without-heartbeat"], ["-I", "shop.extra"]],
        [["-n", "foo"], ["-nfoo"], ["--hostname=x"], ["--hostname", "x"]],
        "the operator names the nodes <group>@<pod>",
    ),
    case(
        ARGUMENTS,
        "cel",
        [["--uids"]],
        [
            *(["-D"], ["-DE"], ["--detach"], ["-f", "x"], ["--logfile=x"], ["--pidfile=x"], ["--pidfile", "x"]),
            *(["--uid=1"], ["--gid=1"], ["--umask=0"], ["--executable=x"]),
        ],
        "a worker in a pod runs in the foreground",
    ),
    case(
        ARGUMENTS,
        "cel",
        [["--autoscaler-like"], ["--exclude-queues=slow"], ["--queuesize=1"]],
        [
            *(["-A", "x"], ["-bx"], ["-Q", "x"], ["-Qx"], ["-P", "solo"], ["-c", "4"], ["-c4"], ["-Ofair"], ["-lINFO"]),
            *(["--app=x"], ["--broker=x"], ["--result-backend=x"], ["--queues", "x"], ["--pool=solo"]),
            *(["--concurrency=4"], ["--prefetch-multiplier=1"], ["--optimization=fair"], ["--loglevel=INFO"]),
            *(
                ["--autoscale=8,2"],
                ["--autoscale", "8,2"],
                ["-E"],
                ["-EB"],
                ["--task-events"],
                ["--events"],
                ["--without-mingle"],
            ),
            *(["--max-tasks-per-child=1"], ["--max-memory-per-child=1"], ["--time-limit=1"], ["--soft-time-limit=1"]),
        ],
        "this option has a field of its own",
    ),
]

ENTRY = "spec.beat.schedule[]"
TWILIGHTS = [f"{when}_{kind}" for when in ("dawn", "dusk") for kind in ("astronomical", "civil", "nautical")]
BEAT: list[Case] = [
    at_most("spec.beat.schedule", 500, lambda i: {"name": f"e{i}", "task": "t", "every": "1s"}),
    case(
        "spec.beat.schedule",
        "unique",
        [[minimal(ENTRY), {**minimal(ENTRY), "name": "b"}]],
        [[minimal(ENTRY), minimal(ENTRY)]],
    ),
    *required(ENTRY, "name", "task"),
    case(
        ENTRY,
        "cel",
        [
            {"name": "a", "task": "t", "every": "1s"},
            {"name": "a", "task": "t", "crontab": "* * * * *"},
            {"name": "a", "task": "t", "solar": minimal("solar")},
        ],
        [
            {"name": "a", "task": "t"},
            {"name": "a", "task": "t", "every": "1s", "crontab": "* * * * *"},
            {"name": "a", "task": "t", "every": "1s", "solar": minimal("solar")},
        ],
        "set exactly one of crontab, every or solar",
    ),
    *text(f"{ENTRY}.name", 200),
    *text(f"{ENTRY}.task", 253),
    longest(f"{ENTRY}.crontab", 253, lambda n: "* * * * ".ljust(n, "1")),
    case(
        f"{ENTRY}.crontab",
        "pattern",
        ["0 8 * * *", "*/15 0-6,22 1 jan-mar mon,fri"],
        ["0 8 * *", "0 8 * * * *", "@daily", "0  8 * * *"],
    ),
    *duration(f"{ENTRY}.every"),
    *required(f"{ENTRY}.solar", "event", "latitude", "longitude"),
    one_of(f"{ENTRY}.solar.event", "solar_noon", "sunrise", "sunset", *TWILIGHTS),
    *between(f"{ENTRY}.solar.latitude", -90, 90),
    *between(f"{ENTRY}.solar.longitude", -180, 180),
    at_most(f"{ENTRY}.args", 64, lambda i: {"any": [i, None, "x"]}),
    *queue(f"{ENTRY}.queue"),
    longest("spec.beat.scheduler", 253, lambda n: "a:".ljust(n, "b")),
    case("spec.beat.scheduler", "minLength", ["a:b"], [""]),
    case(
        "spec.beat.scheduler",
        "pattern",
        ["django_celery_beat.schedulers:DatabaseScheduler", "celery.beat.Scheduler"],
        ["Scheduler", "a:b:c", "a b:c", "1:b"],
    ),
    *duration("spec.beat.maxInterval"),
    *text("spec.beat.timezone", 64),
    *storage("spec.beat.storage"),
    *probes("spec.beat.probes"),
    one_of("spec.beat.logLevel", *LOG_LEVELS),
    *resources("spec.beat.resources"),
    *pod_template("spec.beat.podTemplate"),
]

CONDITION = "status.conditions[]"
STATUS: list[Case] = [
    *between("status.observedGeneration", 0),
    at_most("status.conditions", 32, lambda i: {**minimal(CONDITION), "type": f"T{i}"}),
    case(
        "status.conditions",
        "unique",
        [[minimal(CONDITION), {**minimal(CONDITION), "type": "Paused"}]],
        [[minimal(CONDITION), minimal(CONDITION)]],
    ),
    *required(CONDITION, "type", "status", "reason", "lastTransitionTime", "observedGeneration"),
    longest(f"{CONDITION}.type", 316),
    one_of(f"{CONDITION}.status", "True", "False", "Unknown"),
    *text(f"{CONDITION}.reason", 1024),
    longest(f"{CONDITION}.message", 32768),
    case(f"{CONDITION}.lastTransitionTime", "format", ["2026-01-02T03:04:05Z"], ["yesterday", "2026-01-02"]),
    *between(f"{CONDITION}.observedGeneration", 0),
    at_most("status.workers", 100, lambda i: {**minimal("status.workers[]"), "name": f"a{i}"}),
    case(
        "status.workers",
        "unique",
        [[minimal("status.workers[]"), {**minimal("status.workers[]"), "name": "b"}]],
        [[minimal("status.workers[]"), minimal("status.workers[]")]],
    ),
    *required("status.workers[]", "name", "desired", "replicas", "ready"),
    longest("status.workers[].name", 63),
    longest("status.workers[].taskDuration", 32),
    *(
        found
        for figure in ("draining", "slots", "busy", "backlog")
        for found in between(f"status.workers[].{figure}", 0)
    ),
    *between("status.workers[].desired", 0),
    *between("status.workers[].replicas", 0),
    *between("status.workers[].ready", 0),
    at_most("status.warnings", 100, lambda i: f"w{i}"),
    longest("status.warnings[]", 4096),
    longest("status.celeryVersion", 253),
    longest("status.summary.workers", 63),
    longest("status.summary.beat", 63),
    longest("status.summary.broker", 63),
    longest("status.summary.backlog", 63),
    case("status.loadTime", "format", ["2026-01-02T03:04:05Z"], ["now", "2026-01-02"]),
]

TABLE: tuple[Case, ...] = (
    *CLUSTER,
    *ENV,
    *CONNECTIONS,
    *WORKERS,
    *AUTOSCALING,
    *EXTRA_ARGS,
    *BEAT,
    *CHILDREN,
    *of_component(ENV, "spec.flower.env"),
    *PODS,
    *overrides([*CLUSTER, *ENV]),
    *STATUS,
)
