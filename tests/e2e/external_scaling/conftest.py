"""metrics-server and KEDA, in the cluster for as long as the tests that need them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import provider
from tests.cluster.addons import KEDA, METRICS_SERVER, Addon, install, remove
from tests.e2e.external_scaling.writes import AuditLog
from tests.e2e.sharing import shared


@pytest.fixture(scope="session")
def metrics_server(kubeconfig: Path, run_folder: Path) -> Iterator[None]:
    """What pods use can be asked for."""
    yield from _installed(METRICS_SERVER, run_folder)


@pytest.fixture(scope="session")
def keda(kubeconfig: Path, run_folder: Path) -> Iterator[None]:
    """KEDA runs and serves external metrics."""
    yield from _installed(KEDA, run_folder)


@pytest.fixture
def audit_log(kubeconfig: Path) -> AuditLog:
    """The writes from now on; a later part is `AuditLog(audit_log.path)`."""
    path = provider().audit_log
    if path is None:
        pytest.skip("nobody can read this cluster's audit log, so who writes what is not known; use CLUSTER=local")
    return AuditLog(path)


def _installed(addon: Addon, run_folder: Path) -> Iterator[None]:
    cluster = provider()
    make, take_away = (lambda: install(addon, cluster)), (lambda: remove(addon, cluster))
    with shared(run_folder, addon.name, make=make, remove=take_away):
        yield
