"""What a kubelet is told about those who come to it."""

from __future__ import annotations

from typing import Any

from tests.cluster.local.layout import NodePlace
from tests.cluster.local.node import _kubelet_configuration


def test_a_kubelet_asks_the_api_server_who_comes_and_what_they_may() -> None:
    """metrics-server has a token and no certificate; without authorization any pod's token would open every kubelet."""
    told: dict[str, Any] = _kubelet_configuration(NodePlace(number=2))
    assert told["authentication"]["webhook"] == {"enabled": True}
    assert told["authentication"]["anonymous"] == {"enabled": False}
    assert told["authorization"] == {"mode": "Webhook"}
