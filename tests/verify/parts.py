"""The parts of `make verify`: each takes at most 40 minutes on two cores and can be run alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Tests with the marker `verify` under ``paths``; ``images`` and a running cluster where real pods are needed."""

    name: str
    paths: tuple[str, ...]
    keyword: str | None = None
    """pytest's `-k`, where a folder is too long for one part."""
    images: bool = False


PARTS: Final = (
    Part(name="cluster", paths=("tests/cluster/tests",)),
    Part(name="runtime", paths=("tests/integration/runtime",)),
    Part(name="worker-image", paths=("tests/integration/worker_image",)),
    Part(name="delivery-processes", paths=("tests/integration/delivery",), keyword="not away and not killed"),
    Part(name="delivery-outages", paths=("tests/integration/delivery",), keyword="away or killed"),
    Part(name="delivery-pods", paths=("tests/e2e/delivery",), images=True),
    Part(name="autoscaling-pods", paths=("tests/e2e/autoscaling",), keyword="not bursts", images=True),
    Part(name="autoscaling-bursts", paths=("tests/e2e/autoscaling",), keyword="bursts", images=True),
)
