"""Several writers of one CeleryCluster on a real API server: what each keeps, and a repeated apply changes nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from celery_operator.api.schema import crd, render
from tests.integration.crd.objects import minimal
from tests.integration.crd.server import Server
from tests.integration.kubectl import Kubectl
from tests.integration.servers import wait_until
from tests.unit.desired.clusters import BIG, QUICKSTART

pytestmark = pytest.mark.usefixtures("installed")
Json = dict[str, Any]
COPIES = "celery-operator.test"
COPY = f"copies.{COPIES}"
"""Name of a copy of the CRD, in a group of its own: the real one is in use by other tests."""
SUSPENDED: Json = {"suspend": True}
"""Nothing of a cluster runs, and the operator serves it all the same."""
NO_BROKER: Json = {"broker": {"url": "redis://127.0.0.1:1"}}
"""One that refuses at once: what is said of it does not change any more."""
PATIENCE = 120.0


def manifest(spec: Json, name: str = "shop") -> Json:
    return {**minimal(""), "metadata": {"name": name}, "spec": copy.deepcopy(spec)}


def two_groups() -> Json:
    return {**minimal("spec"), "workers": [{"name": "web", "replicas": 1}, {"name": "mail", "replicas": 2}]}


def written(folder: Path, spec: Json) -> Path:
    """The cluster as a file of its user."""
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump(manifest(spec)), encoding="utf-8")
    return path


def stored(kubectl: Kubectl) -> Json:
    found: Json = json.loads(kubectl("get", "cc/shop", "-o", "json", "--show-managed-fields"))
    return found


def managers(found: Json, subresource: str = "") -> set[str]:
    fields = found["metadata"]["managedFields"]
    return {each["manager"] for each in fields if each.get("subresource", "") == subresource}


@pytest.mark.parametrize("words", [(), ("--server-side",)], ids=["client-side", "server-side"])
@pytest.mark.parametrize("spec", [QUICKSTART, BIG], ids=["quickstart", "big"])
def test_a_repeated_apply_changes_nothing(kubectl: Kubectl, tmp_path: Path, spec: Json, words: tuple[str, ...]) -> None:
    path = written(tmp_path, spec)
    kubectl("apply", *words, "-f", path)
    before = stored(kubectl)
    assert before["spec"] == spec
    kubectl("apply", *words, "-f", path)
    after = stored(kubectl)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert kubectl("diff", *words, "-f", path) == ""


def test_diff_shows_an_edit(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("apply", "-f", written(tmp_path, two_groups()))
    edited = written(tmp_path, {**two_groups(), "image": "shop:2"})
    found = kubectl.run("diff", "-f", edited)
    assert found.returncode == 1
    assert "+  image: shop:2" in found.stdout


def test_another_manager_brings_a_group_and_takes_it_away_again(server: Server) -> None:
    server.apply(manifest(two_groups()), "owner")
    team = {**minimal(""), "metadata": {"name": "shop"}}
    both = server.apply({**team, "spec": {"workers": [{"name": "io", "replicas": 3}]}}, "team").body
    assert [group["name"] for group in both["spec"]["workers"]] == ["web", "mail", "io"]
    edited = two_groups() | {"image": "shop:2"}
    again = server.apply(manifest(edited), "owner").body
    assert [group["name"] for group in again["spec"]["workers"]] == ["web", "mail", "io"]
    one_less = edited | {"workers": edited["workers"][:1]}
    without = server.apply(manifest(one_less), "owner").body
    assert [group["name"] for group in without["spec"]["workers"]] == ["web", "io"]
    gone = server.apply({**team, "spec": {}}, "team").body
    assert [group["name"] for group in gone["spec"]["workers"]] == ["web"]


def test_another_manager_sets_one_field_of_a_group(server: Server) -> None:
    spec = two_groups()
    del spec["workers"][0]["replicas"]
    server.apply(manifest(spec), "owner")
    team = {**minimal(""), "metadata": {"name": "shop"}, "spec": {"workers": [{"name": "web", "replicas": 7}]}}
    assert server.apply(team, "team").body["spec"]["workers"][0] == {"name": "web", "replicas": 7}
    assert server.apply(manifest(spec), "owner").body["spec"]["workers"][0] == {"name": "web", "replicas": 7}


def test_a_json_patch_sets_the_number_of_one_group(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("apply", "-f", written(tmp_path, two_groups()))
    patch: list[Json] = [
        {"op": "test", "path": "/spec/workers/1/name", "value": "mail"},
        {"op": "replace", "path": "/spec/workers/1/replicas", "value": 9},
    ]
    kubectl("patch", "cc/shop", "--type=json", "-p", json.dumps(patch))
    assert stored(kubectl)["spec"]["workers"] == [{"name": "web", "replicas": 1}, {"name": "mail", "replicas": 9}]
    patch[0]["value"] = "web"
    refused = kubectl.run("patch", "cc/shop", "--type=json", "-p", json.dumps(patch))
    assert refused.returncode != 0


def test_a_merge_patch_replaces_a_list_and_merges_an_object(kubectl: Kubectl, tmp_path: Path) -> None:
    spec = two_groups() | {"podLabels": {"team": "shop"}}
    kubectl("apply", "-f", written(tmp_path, spec))
    patch = {"spec": {"workers": [{"name": "web", "replicas": 5}], "podLabels": {"tier": "a"}}}
    kubectl("patch", "cc/shop", "--type=merge", "-p", json.dumps(patch))
    found = stored(kubectl)["spec"]
    assert found["workers"] == [{"name": "web", "replicas": 5}]
    assert found["podLabels"] == {"team": "shop", "tier": "a"}


def test_client_side_apply_removes_the_group_that_somebody_else_added(kubectl: Kubectl, tmp_path: Path) -> None:
    """What docs/api.md warns of: it sends a merge patch, although its own manifest has not changed."""
    owners = written(tmp_path, two_groups())
    kubectl("apply", "-f", owners)
    team = {**minimal(""), "metadata": {"name": "shop"}, "spec": {"workers": [{"name": "io"}]}}
    kubectl("apply", "--server-side", "--field-manager=team", "-f", "-", stdin=json.dumps(team))
    assert [group["name"] for group in stored(kubectl)["spec"]["workers"]] == ["web", "mail", "io"]
    kubectl("apply", "-f", owners)
    assert [group["name"] for group in stored(kubectl)["spec"]["workers"]] == ["web", "mail"]


def test_a_strategic_merge_patch_is_refused_as_for_every_custom_resource(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("apply", "-f", written(tmp_path, two_groups()))
    refused = kubectl.run("patch", "cc/shop", "--type=strategic", "-p", '{"spec": {"paused": true}}')
    assert refused.returncode != 0
    assert "paused" not in stored(kubectl)["spec"]


def _served(kubectl: Kubectl) -> bool:
    found = stored(kubectl)
    return bool(found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"])


def _wait_until_served(kubectl: Kubectl) -> None:
    wait_until(lambda: _served(kubectl), timeout=PATIENCE, interval=0.2, what="the operator has seen the spec")


def _wait_until_nothing_is_open(kubectl: Kubectl) -> None:
    """The first status comes before the broker's answer, and another one after it."""

    def known() -> bool:
        found = stored(kubectl).get("status", {}).get("conditions", [])
        told = {condition["type"]: condition["status"] for condition in found}
        return (told.get("BrokerReachable"), told.get("Suspended")) == ("False", "True")

    wait_until(known, timeout=PATIENCE, interval=0.2, what="the operator has tried the broker")


@pytest.mark.usefixtures("operator")
def test_the_operator_adds_nothing_to_what_a_user_wrote(kubectl: Kubectl, tmp_path: Path) -> None:
    spec = two_groups() | SUSPENDED
    path = written(tmp_path, spec)
    kubectl("apply", "-f", path)
    before = stored(kubectl)
    _wait_until_served(kubectl)
    after = stored(kubectl)
    for found in (before, after):
        del found["metadata"]["managedFields"], found["metadata"]["resourceVersion"]
        found.pop("status", None)
    assert after == before
    assert kubectl("diff", "-f", path) == ""
    assert managers(stored(kubectl), "status") == {"celery-operator"}
    assert managers(stored(kubectl)) == {"kubectl-client-side-apply"}


@pytest.mark.usefixtures("operator")
def test_a_continuous_delivery_tool_that_forces_keeps_what_the_operator_wrote(kubectl: Kubectl, tmp_path: Path) -> None:
    """As Argo CD does with ServerSideApply=true: again and again, with force, under its own name."""
    words = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller")
    spec = two_groups() | SUSPENDED | NO_BROKER
    path = written(tmp_path, spec)
    kubectl("apply", *words, "-f", path)
    _wait_until_served(kubectl)
    _wait_until_nothing_is_open(kubectl)
    children = ("deployments,configmaps,serviceaccounts", "-l", "app.kubernetes.io/instance=shop")
    before, written_before = stored(kubectl), _versions(kubectl, *children)
    kubectl("apply", *words, "-f", path)
    after = stored(kubectl)
    assert after["status"] == before["status"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert managers(after, "status") == {"celery-operator"}
    assert managers(after) == {"argocd-controller"}
    assert kubectl("diff", *words, "-f", path) == ""
    edited = written(tmp_path, spec | {"podLabels": {"team": "shop"}})
    kubectl("apply", *words, "-f", edited)
    _wait_until_served(kubectl)
    assert _versions(kubectl, *children).keys() == written_before.keys()


def _versions(kubectl: Kubectl, *words: str) -> dict[str, str]:
    items = json.loads(kubectl("get", *words, "-o", "json"))["items"]
    return {f"{item['kind']} {item['metadata']['name']}": item["metadata"]["uid"] for item in items}


@pytest.fixture
def copied_crd(kubeconfig: Path, kubectl: Kubectl, tmp_path: Path) -> Iterator[Path]:
    """The CRD under another group, which is gone after the test."""
    definition = crd()
    # Names of its own as well, or `kubectl get cc` of other tests would mean either.
    names = {"kind": "Copy", "listKind": "CopyList", "plural": "copies", "singular": "copy"}
    definition["spec"] |= {"group": COPIES, "names": names}
    definition["metadata"]["name"] = COPY
    path = tmp_path / "crd.yaml"
    path.write_text(render(definition), encoding="utf-8")
    yield path
    kubectl("delete", "crd", COPY, "--ignore-not-found", "--wait=true", "--timeout=110s")


@pytest.mark.parametrize(
    "words",
    [("create",), ("apply",), ("apply", "--server-side")],
    ids=["create", "client-side apply", "server-side apply"],
)
def test_the_crd_is_installed_by(kubectl: Kubectl, copied_crd: Path, words: tuple[str, ...]) -> None:
    kubectl(*words, "-f", copied_crd)
    name = f"crd/{COPY}"
    established = "jsonpath={.status.conditions[?(@.type=='Established')].status}"

    def is_established() -> bool:
        # A CRD without any status yet is an error to jsonpath.
        return kubectl.run("get", name, "-o", established).stdout == "True"

    wait_until(is_established, timeout=PATIENCE, interval=0.2, what="the CRD is established")
    if words[0] == "apply":
        version = kubectl("get", name, "-o", "jsonpath={.metadata.generation}")
        kubectl(*words, "-f", copied_crd)
        assert kubectl("get", name, "-o", "jsonpath={.metadata.generation}") == version
