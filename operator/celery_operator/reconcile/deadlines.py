"""Which terminating pods have less time than they believe, decided from the pods alone.

A worker plans its shutdown with the grace period of its pod template. Whoever deletes or drains with a shorter one
changes nothing that the process could see, so the operator tells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from celery_operator.desired.metadata import COMPONENT_LABEL
from celery_operator.desired.probes import PORT_NAME
from celery_operator.desired.worker_deployment import COMPONENT
from celery_operator.kube.objects import Manifest
from celery_operator.observe.worker_report import PodAddress

_ENDED: Final = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """What one pod has to be told. `at` is when it will be killed, `grace` the seconds that were given it."""

    pod: str
    uid: str
    host: str
    port: int
    at: datetime
    grace: float

    @property
    def url(self) -> str:
        """Where the runtime in the pod takes the news."""
        return PodAddress(uid=self.uid, name=self.pod, host=self.host, port=self.port).url("/deadline")

    def left(self, now: datetime) -> float:
        """Seconds until the end; never more than were given, however the clocks of two machines differ."""
        return min(self.grace, (self.at - now).total_seconds())


def find(pods: Iterable[Manifest]) -> tuple[Deadline, ...]:
    """The deadlines of all worker pods that were cut short and can be reached."""
    return tuple(_find(pods))


def is_cut(pod: Manifest) -> bool:
    """Whether this terminating pod has less time than its worker counts with.

    Because somebody gave it less than its template promises, or because a preStop hook uses a part of it up: the
    kubelet counts from the deletion, the worker from SIGTERM, which comes when the hook has ended.
    """
    given = pod["metadata"].get("deletionGracePeriodSeconds")
    promised = (pod.get("spec") or {}).get("terminationGracePeriodSeconds")
    if "deletionTimestamp" not in pod["metadata"] or given is None or promised is None:
        return False
    hooked = any("preStop" in (container.get("lifecycle") or {}) for container in pod["spec"].get("containers") or [])
    return hooked or bool(given < promised)


def _find(pods: Iterable[Manifest]) -> Iterator[Deadline]:
    for pod in pods:
        metadata, status = pod["metadata"], pod.get("status") or {}
        host, port = status.get("podIP"), probe_port(pod)
        worker = (metadata.get("labels") or {}).get(COMPONENT_LABEL) == COMPONENT
        if not worker or not is_cut(pod) or host is None or port is None or status.get("phase") in _ENDED:
            continue
        yield Deadline(
            pod=f"{metadata['namespace']}/{metadata['name']}",
            uid=metadata["uid"],
            host=host,
            port=port,
            at=datetime.fromisoformat(metadata["deletionTimestamp"]),
            grace=float(metadata["deletionGracePeriodSeconds"]),
        )


def probe_port(pod: Manifest) -> int | None:
    """The port of the runtime's HTTP server; None where probes are disabled, and with them the server."""
    for container in pod["spec"].get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("name") == PORT_NAME:
                return int(port["containerPort"])
    return None
