"""The parts of `make verify`: each takes at most 40 minutes on two cores and can be run alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Tests under ``paths``; ``images`` and a running cluster where real pods are needed."""

    name: str
    paths: tuple[str, ...]
    minutes: int
    """What it is likely to take on two cores."""
    keyword: str | None = None
    """pytest's `-k`, where a folder is too long for one part or holds what must run alone."""
    marker: str | None = "verify"
    """None: all of the folder, so that what is published of it is from one run."""
    images: bool = False
    without_local_cluster: bool = False
    """A local cluster that is up is taken down before: its own start is what is tried."""
    workers: int = 1
    """Processes side by side, since these tests mostly wait. 1: without pytest-xdist."""
    spread: Literal["load", "loadfile"] = "load"
    """load: each test by itself and in the order of the file. loadfile: the tests of a file stay together, where they
    share servers that are slow to start."""

    def pytest_words(self, report: Path) -> list[str]:
        """The arguments of pytest; ``report`` becomes its JUnit file."""
        words = ["-q", f"--junit-xml={report}"]
        if self.marker is not None:
            words += ["-m", self.marker]
        if self.keyword is not None:
            words += ["-k", self.keyword]
        if self.workers > 1:
            words += ["-n", str(self.workers), "--dist", self.spread]
            # One at a time, so that the long ones at the beginning are not all given to the same process.
            words += ["--maxschedchunk=1"] if self.spread == "load" else []
        return [*words, *self.paths]


_PROCESSES: Final = ("tests/integration/delivery",)
_OUTAGES: Final = "away or killed"
_PODS: Final = ("tests/e2e/delivery",)
_ALONE: Final = "node-drain"
"""A drained node takes pods of every cell along."""

PARTS: Final = (
    Part(name="runtime", paths=("tests/integration/runtime",), minutes=27, workers=3, spread="loadfile"),
    Part(name="broker", paths=("tests/integration/broker",), minutes=5, workers=3, spread="loadfile"),
    Part(name="worker-image", paths=("tests/integration/worker_image",), minutes=2, workers=2),
    Part(
        name="delivery-processes",
        paths=_PROCESSES,
        keyword=f"not ({_OUTAGES})",
        marker=None,
        minutes=12,
        workers=4,
    ),
    Part(name="delivery-outages", paths=_PROCESSES, keyword=_OUTAGES, marker=None, minutes=15, workers=4),
    Part(
        name="delivery-pods-redis",
        paths=_PODS,
        keyword=f"redis and not {_ALONE}",
        minutes=30,
        images=True,
        workers=3,
    ),
    Part(
        name="delivery-pods-rabbitmq",
        paths=_PODS,
        keyword=f"rabbitmq and not {_ALONE}",
        minutes=30,
        images=True,
        workers=3,
    ),
    Part(name="delivery-pods-alone", paths=_PODS, keyword=_ALONE, minutes=10, images=True),
    Part(name="autoscaling-pods", paths=("tests/e2e/autoscaling",), keyword="not bursts", minutes=23, images=True),
    Part(name="autoscaling-bursts", paths=("tests/e2e/autoscaling",), keyword="bursts", minutes=36, images=True),
    Part(name="external-scaling", paths=("tests/e2e/external_scaling",), minutes=9, images=True),
    Part(name="random-specs", paths=("tests/integration/crd/test_random_specs.py",), minutes=5),
    # The last one, since whoever comes after it has to make a cluster anew.
    Part(name="cluster", paths=("tests/cluster/tests",), minutes=9, without_local_cluster=True),
)
