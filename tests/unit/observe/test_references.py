"""Every Secret and ConfigMap that pods read is known, and so is whether it is there and whether its data changed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.kube.objects import CONFIG_MAP, SECRET, Kind, Manifest, ObjectRef
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.references import A_MOMENT, Readings, Reference, ReferenceReader, references
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]
KEY = {"name": "s", "key": "k"}


def named(spec: Json) -> list[tuple[str, str, str | None, str, bool]]:
    return [(one.kind.kind, one.name, one.key, one.field, one.optional) for one in references(cluster(spec).spec)]


def env(**source: Any) -> Json:
    return {"env": [{"name": "A", "valueFrom": source}]}


def template(containers: str = "containers", **fields: Any) -> Json:
    return {"podTemplate": {"spec": {containers: [{"name": "worker", **fields}]}}}


IN_TEMPLATE = ("Secret", "s", "k", "spec.podTemplate", True)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({}, []),
        ({"broker": {"urlFrom": {"secretKeyRef": KEY}}}, [("Secret", "s", "k", "spec.broker.urlFrom", False)]),
        (
            {"resultBackend": {"urlFrom": {"secretKeyRef": KEY}}},
            [("Secret", "s", "k", "spec.resultBackend.urlFrom", False)],
        ),
        (env(secretKeyRef=KEY), [("Secret", "s", "k", "spec.env[A]", False)]),
        (env(configMapKeyRef=KEY), [("ConfigMap", "s", "k", "spec.env[A]", False)]),
        (env(secretKeyRef={**KEY, "optional": True}), [("Secret", "s", "k", "spec.env[A]", True)]),
        (env(configMapKeyRef={**KEY, "optional": True}), [("ConfigMap", "s", "k", "spec.env[A]", True)]),
        (env(fieldRef={"fieldPath": "metadata.name"}), []),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, [("Secret", "s", None, "spec.envFrom[0]", False)]),
        ({"envFrom": [{"configMapRef": {"name": "s"}}]}, [("ConfigMap", "s", None, "spec.envFrom[0]", False)]),
        (
            {"envFrom": [{"configMapRef": {"name": "s", "optional": True}}]},
            [("ConfigMap", "s", None, "spec.envFrom[0]", True)],
        ),
        ({"broker": {"redis": {}}, "resultBackend": {"redis": {}}}, []),
        (template(env=[{"name": "A", "valueFrom": {"secretKeyRef": KEY}}]), [IN_TEMPLATE]),
        (template("initContainers", env=[{"name": "A", "valueFrom": {"secretKeyRef": KEY}}]), [IN_TEMPLATE]),
        (
            template(envFrom=[{"configMapRef": {"name": "s"}}]),
            [("ConfigMap", "s", None, "spec.podTemplate", True)],
        ),
        (
            {"workers": [{"name": "web", **template(envFrom=[{"secretRef": {"name": "s"}}])}]},
            [("Secret", "s", None, "spec.workers[web].podTemplate", True)],
        ),
        (
            {"beat": template(envFrom=[{"secretRef": {"name": "s"}}])},
            [("Secret", "s", None, "spec.beat.podTemplate", True)],
        ),
        (template(env=[{"name": "A", "$patch": "delete"}]), []),
        (template(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]), []),
        (template(env=[{"name": "A", "valueFrom": "x"}], envFrom=[{"secretRef": {"name": 7}}, {"secretRef": 7}]), []),
        (template(env="x", envFrom={"a": 1}), []),
        ({"podTemplate": {"spec": {"containers": {"a": 1}}}}, []),
    ],
)
def test_what_is_read(spec: Json, found: list[tuple[str, str, str | None, str, bool]]) -> None:
    assert named(spec) == found


@pytest.fixture
def reference() -> Reference:
    (one,) = references(cluster(env(secretKeyRef=KEY)).spec)
    return one


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        (None, "Secret 's' does not exist (spec.env[A])"),
        ({}, "Secret 's' has no key 'k' (spec.env[A])"),
        ({"data": None}, "Secret 's' has no key 'k' (spec.env[A])"),
        ({"data": {"other": "eA=="}}, "Secret 's' has no key 'k' (spec.env[A])"),
        ({"data": {"k": ""}}, None),
        ({"binaryData": {"k": "eA=="}}, None),
    ],
)
def test_what_is_missing_is_named_with_the_field_that_needs_it(
    reference: Reference, secret: Json | None, problem: str | None
) -> None:
    assert reference.problem(secret) == problem


def test_what_is_optional_is_never_missing() -> None:
    (one,) = references(cluster(env(secretKeyRef={**KEY, "optional": True})).spec)
    assert one.problem(None) is None


# The hash


class Namespace:
    """Objects that can be read, and how often they were."""

    def __init__(self) -> None:
        self.objects: dict[ObjectRef, Manifest] = {}
        self.reads = 0
        self.now = 0.0

    def put(self, kind: Kind, name: str, data: Json, **metadata: Any) -> None:
        ref = ObjectRef(kind=kind, namespace="team", name=name)
        self.objects[ref] = {"metadata": {"name": name, **metadata}, "data": data}

    def remove(self, kind: Kind, name: str) -> None:
        del self.objects[ObjectRef(kind=kind, namespace="team", name=name)]

    async def get(self, ref: ObjectRef) -> Manifest | None:
        self.reads += 1
        return self.objects.get(ref)


SPEC: Json = {
    "broker": {"urlFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}},
    "resultBackend": {"urlFrom": {"secretKeyRef": {"name": "broker", "key": "results"}}},
    "env": [{"name": "FLAG", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "f", "optional": True}}}],
    "envFrom": [{"secretRef": {"name": "all"}}],
}


@pytest.fixture
def space() -> Namespace:
    """A namespace with everything that SPEC names."""
    space = Namespace()
    space.put(SECRET, "broker", {"url": "dQ==", "results": "cg==", "unused": "eA=="})
    space.put(SECRET, "all", {"A": "YQ==", "B": "Yg=="})
    space.put(CONFIG_MAP, "flags", {"f": "on", "unused": "x"})
    return space


@pytest.fixture
def reader(space: Namespace) -> ReferenceReader:
    return ReferenceReader(space, clock=lambda: space.now)


async def read(reader: ReferenceReader, uid: str = "cluster-uid") -> Readings:
    return await reader.read(cluster(SPEC, uid=uid))


async def test_a_look_costs_one_request_for_each_object(space: Namespace, reader: ReferenceReader) -> None:
    await read(reader)
    assert space.reads == 3


async def test_without_references_nothing_is_read(space: Namespace, reader: ReferenceReader) -> None:
    assert await reader.read(cluster()) == Readings()
    assert space.reads == 0


@pytest.mark.parametrize(
    ("kind", "name", "data"),
    [
        (SECRET, "broker", {"url": "TkVX", "results": "cg=="}),
        (SECRET, "broker", {"url": "dQ==", "results": "TkVX"}),
        (SECRET, "broker", {"url": "cg==", "results": "dQ=="}),
        (SECRET, "all", {"A": "TkVX", "B": "Yg=="}),
        (SECRET, "all", {"A": "YQ=="}),
        (SECRET, "all", {"A": "YQ==", "B": "Yg==", "C": "Yw=="}),
        (CONFIG_MAP, "flags", {"f": "off"}),
    ],
)
async def test_changed_data_change_the_hash(
    space: Namespace, reader: ReferenceReader, kind: Kind, name: str, data: Json
) -> None:
    before = await read(reader)
    space.put(kind, name, data)
    after = await read(reader)
    assert before.hash != after.hash
    assert before.missing == after.missing == ()


async def test_labels_recreation_other_keys_and_their_order_do_not(space: Namespace, reader: ReferenceReader) -> None:
    before = await read(reader)
    space.put(SECRET, "broker", {"results": "cg==", "url": "dQ==", "unused": "eQ=="}, labels={"a": "b"}, uid="new")
    space.put(SECRET, "all", {"B": "Yg==", "A": "YQ=="}, resourceVersion="9")
    space.put(CONFIG_MAP, "flags", {"f": "on"})
    assert await read(reader) == before
    assert await read(ReferenceReader(space, clock=lambda: 0.0)) == before, "another process says the same"


async def test_the_hash_is_short_and_salted(space: Namespace, reader: ReferenceReader) -> None:
    ours, theirs = await read(reader), await read(ReferenceReader(space, clock=lambda: 0.0), uid="another")
    assert ours.hash is not None
    assert len(ours.hash) == 8
    assert ours.hash != theirs.hash


async def test_an_optional_object_counts_when_it_exists(space: Namespace) -> None:
    with_flag = await read(ReferenceReader(space, clock=lambda: 0.0))
    space.remove(CONFIG_MAP, "flags")
    without = await read(ReferenceReader(space, clock=lambda: 0.0))
    assert without.missing == ()
    assert with_flag.hash != without.hash


async def test_an_optional_object_that_is_replaced_changes_nothing(space: Namespace, reader: ReferenceReader) -> None:
    before = await read(reader)
    space.remove(CONFIG_MAP, "flags")
    space.now = A_MOMENT
    assert await read(reader) == before, "it is away for a moment"
    space.put(CONFIG_MAP, "flags", {"f": "on"})
    space.now += A_MOMENT
    assert await read(reader) == before
    space.remove(CONFIG_MAP, "flags")
    space.now += A_MOMENT + 1
    assert (await read(reader)).hash != before.hash, "it is gone"


async def test_a_required_one_that_is_missing_is_named(space: Namespace, reader: ReferenceReader) -> None:
    before = await read(reader)
    space.remove(SECRET, "broker")
    space.now += 10 * A_MOMENT
    after = await read(reader)
    assert after.missing == (
        "Secret 'broker' does not exist (spec.broker.urlFrom)",
        "Secret 'broker' does not exist (spec.resultBackend.urlFrom)",
    )
    assert after.hash == before.hash, "its absence is no change of its data"


async def test_what_is_remembered_of_a_cluster_can_be_forgotten(space: Namespace, reader: ReferenceReader) -> None:
    before = await read(reader)
    reader.forget(ClusterKey(namespace="team", name="shop"))
    space.remove(CONFIG_MAP, "flags")
    assert (await read(reader)).hash != before.hash


@given(st.binary(max_size=8), st.binary(max_size=8))
async def test_the_hash_differs_exactly_when_the_data_do(one: bytes, other: bytes) -> None:
    hashes = []
    for value in (one, other):
        space = Namespace()
        space.put(SECRET, "broker", {"url": base64.b64encode(value).decode(), "results": ""})
        space.put(SECRET, "all", {})
        hashes.append((await read(ReferenceReader(space, clock=lambda: 0.0))).hash)
    assert (hashes[0] == hashes[1]) == (one == other)
