"""Add-ons that few tests need and no cluster starts with: KEDA and metrics-server, as their projects publish them."""

from tests.cluster.addons.catalogue import KEDA, METRICS_SERVER, Addon
from tests.cluster.addons.installation import install, remove

__all__ = ["KEDA", "METRICS_SERVER", "Addon", "install", "remove"]
