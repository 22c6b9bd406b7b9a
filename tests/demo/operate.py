"""The steps that show what an operator of the system sees, and that change the number of workers."""

from __future__ import annotations

import json

from tests.demo.install import leader, workers_ready
from tests.demo.kubernetes import CLUSTER, GROUP, NAMESPACE, OPERATOR, WORKERS, Kubernetes
from tests.demo.telling import DemoError, check, eventually, say, show

_SHOWN_METRICS = (
    "celery_operator_reconcile_total",
    "celery_operator_leader_election_master_status",
    "celery_operator_workqueue_depth",
    "process_resident_memory_bytes",
)


def look(kubernetes: Kubernetes) -> None:
    """`kubectl get celeryclusters`, the workers' logs and the operator's metrics."""
    show(f"kubectl -n {NAMESPACE} get celeryclusters", kubernetes.kubectl("get", "celeryclusters"))
    log = kubernetes.kubectl("logs", "-l", WORKERS, "-c", "worker", "--tail=3")
    show(f"kubectl -n {NAMESPACE} logs -l {WORKERS} --tail=3", log)
    check(log.strip(), "the workers' logs can be read")


def metrics(kubernetes: Kubernetes) -> None:
    """Scrape the leader's metrics as Prometheus would."""
    pod = leader(kubernetes)
    if pod is None:
        raise DemoError("nobody holds the operator's Lease any more")
    path = f"/api/v1/namespaces/{OPERATOR}/pods/{pod}:8080/proxy/metrics"
    scraped = kubernetes.kubectl("get", "--raw", path).splitlines()
    shown = [line for line in scraped if line.startswith(_SHOWN_METRICS)]
    show(f"kubectl get --raw {path}", "\n".join(shown))
    check(_value(scraped, "leader_election_master_status") == 1, "its metrics say that this pod leads")
    passes = _value(scraped, "reconcile_total")
    check(passes > 0, f"they count {passes:.0f} reconcile passes")
    memory = next(
        (float(line.split()[1]) for line in scraped if line.startswith("process_resident_memory_bytes ")), 0.0
    )
    check(memory > 0, f"and {memory / 2**20:.0f} MiB of memory in use")


def scale(kubernetes: Kubernetes) -> None:
    """Four workers instead of two, by a JSON patch; the two that run are left alone."""
    before = kubernetes.worker_pods()
    say(
        f"From {len(before)} to 4 workers, by a JSON patch that names the worker group. (`kubectl scale` knows one "
        "number for an object, and a CeleryCluster has one for each worker group; `kubectl edit` works too.)"
    )
    patch = [
        {"op": "test", "path": "/spec/workers/0/name", "value": GROUP},
        {"op": "replace", "path": "/spec/workers/0/replicas", "value": 4},
    ]
    words = ("patch", "celerycluster", CLUSTER, "--type=json", "-p", json.dumps(patch))
    show(
        f"kubectl -n {NAMESPACE} patch celerycluster {CLUSTER} --type=json -p '{words[-1]}'", kubernetes.kubectl(*words)
    )
    eventually(
        lambda: workers_ready(kubernetes.cluster_status()),
        lambda ready: ready == 4,
        claim="4 workers ready",
        within=120,
    )
    after = kubernetes.worker_pods()
    check(len(after) == 4, "4 worker pods exist", seen=after)
    check(before.items() <= after.items(), "the two that ran before are the same pods as before", seen=(before, after))
    show(f"kubectl -n {NAMESPACE} get celeryclusters", kubernetes.kubectl("get", "celeryclusters"))


def _value(lines: list[str], name: str) -> float:
    """The sum of a metric's samples."""
    wanted = [line for line in lines if line.startswith((f"celery_operator_{name}{{", f"celery_operator_{name} "))]
    return sum(float(line.rpartition(" ")[2]) for line in wanted)
