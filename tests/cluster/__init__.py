"""A real Kubernetes cluster as test tooling: the user's own, kind, or plain processes of this machine.

from tests.cluster import provider, tool

cluster = provider()
cluster.up(nodes=1)
helm = tool("helm")
"""

from tests.cluster.choice import provider
from tests.cluster.errors import ClusterError, UnsupportedByProvider
from tests.cluster.protocol import Provider
from tests.cluster.toolchain import tool

__all__ = ["ClusterError", "Provider", "UnsupportedByProvider", "provider", "tool"]
