"""The client's verbs, as a real API server answers them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from celery_operator.kube.client import REQUEST_TIMEOUT, KubeClient
from celery_operator.kube.errors import Conflict, Invalid, NoCluster, NotFound, NotLeader, Unavailable
from celery_operator.kube.objects import CONFIG_MAP, DEPLOYMENT, NAMESPACE, Kind, Manifest, ObjectRef
from tests.integration.kube.conftest import FIELD_MANAGER, GROUP, SOON, Network
from tests.integration.waiting import eventually


def config_map(namespace: str, name: str = "x", **data: str) -> Manifest:
    metadata = {"namespace": namespace, "name": name, "labels": {"for": name}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(namespace: str, **spec: Any) -> Manifest:
    """Build a Deployment whose pods no node takes, so that nothing but the test changes it."""
    container = {"name": "main", "image": "example.invalid/none"}
    template = {
        "metadata": {"labels": {"for": "x"}},
        "spec": {"nodeSelector": {"no": "node"}, "containers": [container]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "x"},
        "spec": {"selector": {"matchLabels": {"for": "x"}}, "template": template, **spec},
    }


def thing(namespace: str, size: int) -> Manifest:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Thing",
        "metadata": {"namespace": namespace, "name": "x"},
        "spec": {"size": size},
    }


async def test_apply_creates_changes_and_removes_what_is_no_longer_sent(client: KubeClient, namespace: str) -> None:
    created = await client.apply(config_map(namespace, a="1", b="2"), field_manager=FIELD_MANAGER)
    assert created["data"] == {"a": "1", "b": "2"}
    assert created["metadata"]["uid"]
    changed = await client.apply(config_map(namespace, b="3"), field_manager=FIELD_MANAGER)
    assert changed["data"] == {"b": "3"}
    assert await client.get(ObjectRef.of(changed)) == changed


async def test_applying_the_same_again_writes_nothing(client: KubeClient, namespace: str) -> None:
    first = await client.apply(config_map(namespace, a="1"), field_manager=FIELD_MANAGER)
    second = await client.apply(config_map(namespace, a="1"), field_manager=FIELD_MANAGER)
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_replicas_of_a_second_manager_survive_the_first_ones_apply(client: KubeClient, namespace: str) -> None:
    await client.apply(deployment(namespace, replicas=2), field_manager="celery-operator")
    partial = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "x"},
        "spec": {"replicas": 3},
    }
    scaled = await client.apply(partial, field_manager="celery-operator-scale")
    assert scaled["spec"]["replicas"] == 3
    assert scaled["spec"]["template"]["spec"]["containers"][0]["name"] == "main"
    again = await client.apply(deployment(namespace), field_manager="celery-operator")
    assert again["spec"]["replicas"] == 3


async def test_a_stale_resource_version_in_an_apply_is_a_conflict(client: KubeClient, namespace: str) -> None:
    first = await client.apply(config_map(namespace, a="1"), field_manager=FIELD_MANAGER)
    await client.apply(config_map(namespace, a="2"), field_manager=FIELD_MANAGER)
    stale = config_map(namespace, a="3")
    stale["metadata"]["resourceVersion"] = first["metadata"]["resourceVersion"]
    with pytest.raises(Conflict):
        await client.apply(stale, field_manager=FIELD_MANAGER)


async def test_without_force_a_foreign_field_is_a_conflict_that_names_it(client: KubeClient, namespace: str) -> None:
    await client.apply(config_map(namespace, a="1"), field_manager="somebody")
    with pytest.raises(Conflict) as caught:
        await client.apply(config_map(namespace, a="2"), field_manager=FIELD_MANAGER, force=False)
    assert caught.value.causes == ('.data.a: conflict with "somebody"',)


async def test_a_dry_run_checks_everything_and_stores_nothing(client: KubeClient, namespace: str) -> None:
    answer = await client.apply(config_map(namespace, a="1"), field_manager=FIELD_MANAGER, dry_run=True)
    assert answer["data"] == {"a": "1"}
    assert await client.get(ObjectRef.of(answer)) is None
    with pytest.raises(Invalid):
        await client.apply(deployment(namespace, replicas=-1), field_manager=FIELD_MANAGER, dry_run=True)


async def test_an_invalid_object_names_every_problem_with_its_field(client: KubeClient, namespace: str) -> None:
    bad = deployment(namespace, replicas=-1)
    bad["spec"]["template"]["spec"]["containers"][0]["name"] = "no spaces"
    with pytest.raises(Invalid) as caught:
        await client.apply(bad, field_manager=FIELD_MANAGER)
    assert caught.value.status == 422
    assert [cause.split(":")[0] for cause in caught.value.causes] == [
        "spec.replicas",
        "spec.template.spec.containers[0].name",
    ]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"replcas": 1}, ".spec.replcas: field not declared in schema"),
        ({"replicas": "two"}, ".spec.replicas: expected numeric (int or float), got string"),
    ],
)
async def test_an_unknown_field_or_a_wrong_type_is_invalid_although_the_server_says_500(
    client: KubeClient, namespace: str, change: dict[str, Any], cause: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await client.apply(deployment(namespace, **change), field_manager=FIELD_MANAGER)
    assert caught.value.causes == (cause,)


@pytest.mark.parametrize("megabytes", [1.6, 2.5, 4])
async def test_an_object_that_is_too_large_is_invalid(
    client: KubeClient, namespace: str, things: Kind, megabytes: float
) -> None:
    # etcd, its client inside the API server, and the API server's own reader each have a limit.
    large = thing(namespace, 1)
    large["spec"]["text"] = "x" * int(megabytes * 1_000_000)
    with pytest.raises(Invalid, match="large"):
        await client.apply(large, field_manager=FIELD_MANAGER)


async def test_creating_a_second_time_says_that_the_name_is_taken(client: KubeClient, namespace: str) -> None:
    await client.create(config_map(namespace), field_manager=FIELD_MANAGER)
    with pytest.raises(Conflict) as caught:
        await client.create(config_map(namespace), field_manager=FIELD_MANAGER)
    assert caught.value.already_exists


async def test_a_missing_namespace_is_not_found(client: KubeClient) -> None:
    with pytest.raises(NotFound):
        await client.apply(config_map("nowhere-at-all"), field_manager=FIELD_MANAGER)


async def test_a_delete_with_another_uid_deletes_nothing(client: KubeClient, namespace: str) -> None:
    created = await client.create(config_map(namespace), field_manager=FIELD_MANAGER)
    ref = ObjectRef.of(created)
    with pytest.raises(Conflict):
        await client.delete(ref, uid="00000000-0000-0000-0000-000000000000")
    assert await client.get(ref) is not None
    await client.delete(ref, uid=created["metadata"]["uid"])
    assert await client.get(ref) is None
    await client.delete(ref)  # that it is gone already is fine


async def test_a_status_is_replaced_and_the_spec_left(client: KubeClient, namespace: str, things: Kind) -> None:
    created = await client.apply(thing(namespace, 1), field_manager=FIELD_MANAGER)
    ref, uid = ObjectRef.of(created), created["metadata"]["uid"]
    before = {"count": 1, "text": "old", "list": [1, 2, 3]}
    await client.replace_status(ref, before, uid=uid, field_manager=FIELD_MANAGER)
    replaced = await client.replace_status(ref, {"count": 1, "list": [4]}, uid=uid, field_manager=FIELD_MANAGER)
    assert replaced["status"] == {"count": 1, "list": [4]}
    assert replaced["spec"] == {"size": 1}
    assert replaced["metadata"]["generation"] == 1


async def test_a_spec_apply_leaves_the_status(client: KubeClient, namespace: str, things: Kind) -> None:
    created = await client.apply(thing(namespace, 1), field_manager=FIELD_MANAGER)
    uid = created["metadata"]["uid"]
    await client.replace_status(ObjectRef.of(created), {"count": 1}, uid=uid, field_manager=FIELD_MANAGER)
    changed = await client.apply(thing(namespace, 2), field_manager=FIELD_MANAGER)
    assert changed["status"] == {"count": 1}


async def test_a_status_is_of_one_object_and_not_of_its_successor(
    client: KubeClient, namespace: str, things: Kind
) -> None:
    former = await client.apply(thing(namespace, 1), field_manager=FIELD_MANAGER)
    ref, uid = ObjectRef.of(former), former["metadata"]["uid"]
    await client.delete(ref, uid=uid)
    with pytest.raises(NotFound):
        await client.replace_status(ref, {"count": 1}, uid=uid, field_manager=FIELD_MANAGER)
    successor = await client.apply(thing(namespace, 2), field_manager=FIELD_MANAGER)
    with pytest.raises(NotFound, match="is another object than the one that the status is of"):
        await client.replace_status(ref, {"count": 1}, uid=uid, field_manager=FIELD_MANAGER)
    assert await client.get(ref) == successor


async def test_a_status_field_that_the_schema_lacks_is_invalid(
    client: KubeClient, namespace: str, things: Kind
) -> None:
    created = await client.apply(thing(namespace, 1), field_manager=FIELD_MANAGER)
    ref, uid = ObjectRef.of(created), created["metadata"]["uid"]
    status = {"count": 1, "nonsense": 1}
    with pytest.raises(Invalid) as caught:
        await client.replace_status(ref, status, uid=uid, field_manager=FIELD_MANAGER)
    assert caught.value.unknown_fields == ("status.nonsense",)
    written = await client.replace_status(ref, status, uid=uid, field_manager=FIELD_MANAGER, field_validation="Ignore")
    assert written["status"] == {"count": 1}


async def test_a_list_reads_all_pages_and_completes_its_items(
    client: KubeClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"m{number:02}" for number in range(7)]
    for name in names:
        await client.create(config_map(namespace, name), field_manager=FIELD_MANAGER)
    monkeypatch.setattr("celery_operator.kube.client.LIST_CHUNK", 3)
    items = await client.list(CONFIG_MAP, namespace=namespace, label_selector="for")
    assert [item["metadata"]["name"] for item in items] == names
    assert {(item["apiVersion"], item["kind"]) for item in items} == {("v1", "ConfigMap")}
    one = await client.list(CONFIG_MAP, namespace=namespace, label_selector="for=m03")
    assert [item["metadata"]["name"] for item in one] == ["m03"]
    assert namespace in {item["metadata"]["namespace"] for item in await client.list(CONFIG_MAP)}


async def test_a_kind_that_is_not_served(client: KubeClient, namespace: str) -> None:
    kind = Kind(api_version="nowhere.example/v1", kind="Nothing", plural="nothings")
    assert await client.get(ObjectRef(kind=kind, namespace=namespace, name="x")) is None
    with pytest.raises(NotFound):
        await client.list(kind)


async def test_who_may_not_write_reads_only(kubeconfig: Path, namespace: str) -> None:
    seen: list[tuple[str, str, int]] = []
    async with await KubeClient.connect(
        kubeconfig=kubeconfig,
        may_write=lambda: False,
        observe=lambda verb, kind, code, _: seen.append((verb, kind, code)),
    ) as client:
        ref = ObjectRef(kind=CONFIG_MAP, namespace=namespace, name="x")
        writes: list[Callable[[], Any]] = [
            lambda: client.apply(config_map(namespace), field_manager=FIELD_MANAGER),
            lambda: client.create(config_map(namespace), field_manager=FIELD_MANAGER),
            lambda: client.delete(ref),
            lambda: client.replace_status(ref, {}, uid="x", field_manager=FIELD_MANAGER),
            lambda: client.merge_patch(ref, {}, field_manager=FIELD_MANAGER),
        ]
        for write in writes:
            with pytest.raises(NotLeader):
                await write()
        assert await client.get(ref) is None
    assert seen == [("get", "ConfigMap", 404)]


@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "kept connection"])
async def test_a_read_survives_one_reset(
    relayed_kubeconfig: Path, network: Network, namespace: str, warm: bool
) -> None:
    async with await KubeClient.connect(kubeconfig=relayed_kubeconfig) as client:
        ref = ObjectRef(kind=NAMESPACE, namespace=None, name=namespace)
        if warm:
            await client.get(ref)
        network.freeze_answers()
        reading = asyncio.create_task(client.get(ref))
        await network.answer_withheld.wait()
        network.reset()
        network.heal()
        assert await reading


async def test_a_write_whose_connection_was_reset_is_not_repeated(
    relayed_kubeconfig: Path, network: Network, namespace: str
) -> None:
    async with await KubeClient.connect(kubeconfig=relayed_kubeconfig) as client:
        network.freeze_answers()
        writing = asyncio.create_task(client.create(config_map(namespace), field_manager=FIELD_MANAGER))
        await network.answer_withheld.wait()
        network.reset()
        network.heal()
        # The server may have done it or not: only the next pass can tell, so the client must not guess.
        with pytest.raises(Unavailable):
            await writing


async def test_a_server_that_does_not_answer_is_unavailable_after_the_timeout(
    relayed_kubeconfig: Path, network: Network, namespace: str
) -> None:
    ref = ObjectRef(kind=DEPLOYMENT, namespace=namespace, name="x")

    async def answered(client: KubeClient) -> bool:
        try:
            return await client.get(ref) is None
        except Unavailable:  # half a second may be too little for a busy server, too
            return False

    async with await KubeClient.connect(kubeconfig=relayed_kubeconfig, timeout=0.5) as client:
        await eventually(lambda: answered(client), bool, within=SOON)
        network.freeze_answers()
        started = time.monotonic()
        with pytest.raises(Unavailable, match=r"get Deployment: no answer within 0\.5 s"):
            await client.get(ref)
        assert time.monotonic() - started < REQUEST_TIMEOUT / 2, "it has a timeout of its own"
        network.cut()
        with pytest.raises(Unavailable):
            await client.get(ref)
        network.heal()
        await eventually(lambda: answered(client), bool, within=SOON)


async def test_without_a_named_cluster_there_is_no_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kubeconfig: Path
) -> None:
    # An ambient kubeconfig in the home folder must not be found.
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(kubeconfig.read_text())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NoCluster, match="KUBECONFIG"):
        await KubeClient.connect()
    with pytest.raises(NoCluster, match="missing-file"):
        await KubeClient.connect(kubeconfig=tmp_path / "missing-file")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with await KubeClient.connect() as client:
        assert await client.list(NAMESPACE)
