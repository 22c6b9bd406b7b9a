"""Runs the demo's steps in order: `python -m tests.demo`. The exit code is 1 when anything that it claims is not so."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
import time
import uuid

from tests.cluster import ClusterError, tool
from tests.demo import install, operate, tasks
from tests.demo.kubernetes import CLUSTER, NAMESPACE, OPERATOR, Kubernetes
from tests.demo.producer import Producer
from tests.demo.telling import DemoError, heading


def _shell(kubernetes: Kubernetes) -> str:
    """What makes the commands after it work in a shell: nothing of it need be on the PATH."""
    programs = " ".join(f"{name}={shlex.quote(str(tool(name)))}" for name in ("kubectl", "helm"))
    return f"""export KUBECONFIG={shlex.quote(str(kubernetes.kubeconfig))}
  alias {programs}"""


def _where_to_look(kubernetes: Kubernetes) -> str:
    return f"""
What is left stands as it is; a second run starts from there. To see more:
  {_shell(kubernetes)}
  kubectl -n {NAMESPACE} get celeryclusters,pods,events
  kubectl -n {NAMESPACE} describe celerycluster {CLUSTER}
  kubectl -n {OPERATOR} logs deployment/{OPERATOR} --all-pods"""


def _steps(kubernetes: Kubernetes) -> None:
    """Every step after the cluster; raises DemoError or ClusterError at the first that fails."""
    run = uuid.uuid4().hex[:8]
    heading(2, "The images")
    image_mark = install.images(kubernetes)
    heading(3, "The operator, installed by Helm")
    install.operator(kubernetes, image_mark)
    heading(4, "A Celery application, described by one object")
    install.quick_start(kubernetes)
    heading(5, "A producer that submits tasks over HTTP")
    install.producer(kubernetes)
    with kubernetes.forwarded("producer", 8000) as base_url, contextlib.closing(Producer(base_url)) as producer:
        heading(6, "One of each kind of task")
        tasks.one_of_each(producer, run)
        heading(7, "Workflows")
        tasks.workflows(producer)
        heading(8, "The same request twice")
        tasks.duplicate(kubernetes, producer, run)
    heading(9, "Scheduled tasks")
    tasks.beat_fires(kubernetes)
    heading(10, "What an administrator sees")
    operate.look(kubernetes)
    operate.metrics(kubernetes)
    heading(11, "More workers")
    operate.scale(kubernetes)


def _ending(kubernetes: Kubernetes, seconds: float) -> str:
    return f"""
=== Everything above happened, in {seconds:.0f} s. ===
Look around:
  {_shell(kubernetes)}
  kubectl -n {NAMESPACE} get celeryclusters,pods
  kubectl -n {NAMESPACE} describe celerycluster {CLUSTER}
  kubectl -n {NAMESPACE} edit celerycluster {CLUSTER}
  kubectl -n {NAMESPACE} port-forward service/producer 8000     then open http://localhost:8000/docs
  kubectl -n {OPERATOR} logs deployment/{OPERATOR} --all-pods
The operator of the demo serves the namespace {NAMESPACE} alone; `make deploy` installs one that serves all of them.
Clean up:
  kubectl delete namespace {NAMESPACE}                    (the application; the operator stays)
  helm -n {OPERATOR} uninstall {OPERATOR}    (the operator; CeleryClusters and their CRD stay)
  make cluster-down                                (everything)
"""


def main() -> int:
    """Run the demo; 1 with a message when a step fails."""
    began = time.monotonic()
    kubernetes = None
    try:
        heading(1, "A Kubernetes cluster")
        kubernetes = install.cluster_up()
        _steps(kubernetes)
        print(_ending(kubernetes, time.monotonic() - began))
    except (DemoError, ClusterError, subprocess.TimeoutExpired) as trouble:
        hints = "" if kubernetes is None else _where_to_look(kubernetes)
        print(f"\nThe demo failed: {trouble}\n{hints}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
