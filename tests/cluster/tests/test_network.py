"""Places of nodes: no two share what makes them two machines."""

from __future__ import annotations

import ipaddress

from tests.cluster.local.layout import NODE_NETWORK, POD_NETWORK, SERVICE_NETWORK, NodePlace


def test_nodes_share_no_name_address_folder_or_cgroup() -> None:
    places = [NodePlace(number=number) for number in range(1, 10)]
    for attribute in ("name", "address", "pod_range", "cgroup", "folder", "data", "outer_device", "pod_bridge"):
        assert len({getattr(place, attribute) for place in places}) == len(places), attribute


def test_only_the_first_node_is_the_machine_itself() -> None:
    assert NodePlace(number=1).network_namespace is None
    assert NodePlace(number=2).network_namespace == "celery-operator-node-2"


def test_addresses_lie_in_their_networks_and_the_networks_apart() -> None:
    place = NodePlace(number=9)
    networks = [ipaddress.ip_network(one) for one in (NODE_NETWORK, POD_NETWORK, SERVICE_NETWORK)]
    assert ipaddress.ip_address(place.address) in networks[0]
    assert ipaddress.ip_network(place.pod_range).overlaps(networks[1])
    assert not any(a.overlaps(b) for a in networks for b in networks if a is not b)


def test_device_names_fit_the_kernels_fifteen_characters() -> None:
    place = NodePlace(number=9)
    assert max(len(place.outer_device), len(place.pod_bridge)) <= 15


def test_socket_paths_fit_the_kernels_108_bytes() -> None:
    assert len(str(NodePlace(number=9).containerd_socket)) < 108
