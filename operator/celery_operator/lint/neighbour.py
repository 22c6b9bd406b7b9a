"""Other CeleryClusters as a rule needs them: what could get in each other's way on one broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import launch_settings
from celery_operator.lint import broker, queues

SHOWN: Final = 10
"""Neighbours that a rule names: a line for each other one of 1,000 on a broker would be 350 MiB of lines for all."""
_BEYOND: Final = 1e12
"""Seconds, 30 thousand years: YAML has whole numbers that no float holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A CeleryCluster on a broker."""

    namespace: str
    name: str
    broker: str
    """See `broker.identity`, with Sentinel's master and the key prefix where there are any."""
    queues: frozenset[str]
    """Those that its worker groups consume, as far as the spec names them."""
    visibility_timeout: float | None
    """Seconds that its pods are started with; None where its broker has none."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @classmethod
    def of(cls, cluster: CeleryCluster) -> Neighbour | None:
        """None for one that shares its broker with nobody, or whose broker is unknown."""
        identity = broker.identity(cluster)
        if identity is None:
            return None
        options = launch_settings.transport_options(cluster.spec)
        # The same Sentinels may know several masters, and behind another key prefix nothing meets.
        apart = [f"#{name}={options[name]}" for name in ("master_name", "global_keyprefix") if options.get(name)]
        return cls(
            namespace=cluster.metadata.namespace,
            name=cluster.metadata.name,
            broker="".join((identity, *apart)),
            queues=queues.consumed(cluster.spec),
            visibility_timeout=visibility_timeout(cluster),
        )


def visibility_timeout(cluster: CeleryCluster) -> float | None:
    """Seconds that the cluster's pods are started with: as asked, else what the operator derives."""
    derived = launch_settings.visibility_timeout(cluster.spec)
    if derived is None:
        return None
    asked = asked_visibility_timeout(cluster)
    return float(derived) if asked is None else asked


def asked_visibility_timeout(cluster: CeleryCluster) -> float | None:
    """Seconds that the spec itself asks for; None where it does not, or where it is no number."""
    asked = launch_settings.transport_options(cluster.spec).get("visibility_timeout")
    if not isinstance(asked, int | float) or isinstance(asked, bool):
        return None
    return float(max(-_BEYOND, min(asked, _BEYOND)))
