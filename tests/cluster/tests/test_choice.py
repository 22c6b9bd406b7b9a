"""Which cluster is used: never one that the user did not name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cluster.choice import Choice, choose
from tests.cluster.current import CurrentProvider
from tests.cluster.errors import ClusterError, UnsupportedByProvider


def _never() -> bool:
    raise AssertionError("this must not even be asked")


def _choose(
    environment: Mapping[str, str],
    *,
    local_is_up: Callable[[], bool] = lambda: False,
    docker_works: Callable[[], bool] = lambda: False,
    node_image_exists: Callable[[], bool] = _never,
) -> Choice:
    return choose(environment, local_is_up=local_is_up, docker_works=docker_works, node_image_exists=node_image_exists)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text("{}")
    return path


def test_kind_is_chosen_where_docker_can_have_the_node_image() -> None:
    assert _choose({}, docker_works=lambda: True, node_image_exists=lambda: True).name == "kind"


def test_local_is_chosen_where_docker_cannot_pull_the_node_image() -> None:
    choice = _choose({}, docker_works=lambda: True, node_image_exists=lambda: False)
    assert choice.name == "local"
    assert "cannot pull" in choice.reason


def test_local_is_chosen_without_docker() -> None:
    choice = _choose({})
    assert choice.name == "local"
    assert "no Docker answers" in choice.reason


def test_a_local_cluster_that_is_up_is_kept_without_asking_docker() -> None:
    assert _choose({}, local_is_up=lambda: True, docker_works=_never).name == "local"


def test_ambient_kubeconfig_is_ignored(kubeconfig: Path) -> None:
    assert _choose({"KUBECONFIG": str(kubeconfig)}).name == "local"


def test_a_named_kubeconfig_alone_is_not_enough(kubeconfig: Path) -> None:
    assert _choose({"CELERY_OPERATOR_KUBECONFIG": str(kubeconfig)}).name == "local"


def test_current_needs_a_named_kubeconfig_even_with_an_ambient_one(kubeconfig: Path) -> None:
    with pytest.raises(ClusterError, match="needs CELERY_OPERATOR_KUBECONFIG"):
        _choose({"CLUSTER": "current", "KUBECONFIG": str(kubeconfig)}, docker_works=_never)


def test_current_refuses_a_path_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no such file"):
        _choose({"CLUSTER": "current", "CELERY_OPERATOR_KUBECONFIG": str(tmp_path / "missing")})


def test_current_is_chosen_when_both_are_named(kubeconfig: Path) -> None:
    environment = {"CLUSTER": "current", "CELERY_OPERATOR_KUBECONFIG": str(kubeconfig)}
    assert _choose(environment, local_is_up=_never, docker_works=_never).name == "current"


@pytest.mark.parametrize("name", ["kind", "local"])
def test_a_named_provider_is_taken_without_looking_further(name: str) -> None:
    assert _choose({"CLUSTER": name}, local_is_up=_never, docker_works=_never).name == name


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match="auto, current, kind, local"):
        _choose({"CLUSTER": "minikube"})


def test_nodes_of_the_users_own_cluster_are_not_stopped(kubeconfig: Path) -> None:
    with pytest.raises(UnsupportedByProvider, match="CLUSTER=local"):
        CurrentProvider(kubeconfig).stop_node("node-1")
