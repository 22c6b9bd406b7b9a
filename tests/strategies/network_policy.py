"""NetworkPolicies with further rules."""

from __future__ import annotations

from hypothesis import strategies as st

from celery_operator.api import network_policy
from tests.strategies.model import Json, Objects, of
from tests.strategies.scalars import ports

_PEERS: list[Json] = [
    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
    {"namespaceSelector": {"matchLabels": {"team": "shop"}}, "podSelector": {}},
]
_PORTS: list[Json] = [{"port": 5432, "protocol": "TCP"}, {"port": 8000, "endPort": 9000}, {"port": "metrics"}]


def _rules(side: str) -> st.SearchStrategy[list[Json]]:
    rule: Objects = st.fixed_dictionaries(
        {},
        optional={
            side: st.lists(st.sampled_from(_PEERS), max_size=2),
            "ports": st.lists(st.sampled_from(_PORTS), max_size=2),
        },
    )
    return st.lists(rule, max_size=2)


policies = of(
    network_policy.NetworkPolicies,
    {},
    {
        "brokerPorts": st.lists(ports, max_size=3, unique=True),
        "extraIngress": _rules("from"),
        "extraEgress": _rules("to"),
    },
)
