"""The names of children. They are public: HPAs, alerts and people refer to them, so golden tests pin them."""

from __future__ import annotations

from celery_operator.desired.digest import digest

MAX_LENGTH = 63
STATEFUL_SET_MAX_LENGTH = 52
"""A StatefulSet's pods carry `<name>-<10 characters>` in the label controller-revision-hash, which takes 63."""
_HASH_LENGTH = 8
_WORKER = "-worker-"
_SINGLES = ("-beat", "-flower", "-redis")


def worker(cluster: str, group: str) -> str:
    """The Deployment of a worker group: `<cluster>-worker-<group>`."""
    return _fit(f"{cluster}{_WORKER}{group}", (cluster, "worker", group))


def beat(cluster: str) -> str:
    """The StatefulSet of beat and its claim: `<cluster>-beat`."""
    return _fit(f"{cluster}-beat", (cluster, "beat", ""), STATEFUL_SET_MAX_LENGTH)


def flower(cluster: str) -> str:
    """Flower's Deployment, Service, claim and whatever leads to it: `<cluster>-flower`."""
    return _fit(f"{cluster}-flower", (cluster, "flower", ""))


def client(cluster: str) -> str:
    """The ConfigMap for producers: `<cluster>-client`. No other ConfigMap's name ends like that."""
    return f"{cluster}-client"


def network_policy(cluster: str, component: str) -> str:
    """The NetworkPolicy of a component: `<cluster>-<component>`, which two clusters can never share."""
    return f"{cluster}-{component}"


def redis(cluster: str) -> str:
    """The managed Redis with its Service, Secret and claim: `<cluster>-redis`."""
    return _fit(f"{cluster}-redis", (cluster, "redis", ""), STATEFUL_SET_MAX_LENGTH)


def runtime(cluster: str, content_hash: str) -> str:
    """The immutable ConfigMap with the runtime: `<cluster>-runtime-<hash>`."""
    return f"{cluster}-runtime-{content_hash}"


def before_rollout(cluster: str, content_hash: str) -> str:
    """The Job of hooks.beforeRollout: `<cluster>-before-rollout-<hash>`."""
    name = f"{cluster}-before-rollout-{content_hash}"
    if len(name) <= MAX_LENGTH:
        return name
    suffix = f"-before-rollout-{digest((cluster, content_hash), length=len(content_hash))}"
    return cluster[: MAX_LENGTH - len(suffix)].rstrip("-") + suffix


def service_account(cluster: str) -> str:
    """The ServiceAccount of workers and beat: `<cluster>-celery`."""
    return f"{cluster}-celery"


def node(group: str, pod: str) -> str:
    """The Celery node name of a worker, `<group>@<pod>`; Celery sees it through `-n`."""
    return f"{group}@{pod}"


def _fit(name: str, identity: tuple[str, str, str], limit: int = MAX_LENGTH) -> str:
    """The name, or its beginning and a hash of what it stands for, where it is too long or ambiguous."""
    if len(name) <= limit and _readings(name) == 1:
        return name
    suffix = "-" + digest(identity, length=_HASH_LENGTH)
    return name[: limit - len(suffix)].rstrip("-") + suffix


def _readings(name: str) -> int:
    """In how many ways the name could have been made: `a-worker-b-worker-c` is group c of a-worker-b, too."""
    count = sum(1 for suffix in _SINGLES if name.endswith(suffix))
    at = name.find(_WORKER)
    while at >= 0:
        if at > 0 and at + len(_WORKER) < len(name):
            count += 1
        at = name.find(_WORKER, at + 1)
    return count
