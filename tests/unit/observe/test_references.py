"""Every Secret and ConfigMap that pods read is known, and so is whether it is there and whether its data changed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.desired import connections
from celery_operator.kube.objects import CONFIG_MAP, SECRET, Kind, Manifest, ObjectRef
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.references import A_MOMENT, Readings, Reference, ReferenceReader, references
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]
KEY = {"name": "s", "key": "k"}
SOURCE: Json = {"secretKeyRef": KEY}
ACCESS_KEY: Json = {"accessKeyIdFrom": SOURCE, "secretAccessKeyFrom": SOURCE}
PARTS: Json = {"scheme": "redis", "host": "r"}


def of_key(field: str) -> tuple[str, str, str, str, bool]:
    """The Secret's key, as this field names it."""
    return ("Secret", "s", "k", field, False)


def named(spec: Json) -> list[tuple[str, str, str | None, str, bool]]:
    return [(one.kind.kind, one.name, one.key, one.field, one.optional) for one in references(cluster(spec))]


def readers(spec: Json) -> list[tuple[str, str | None, bool]]:
    """Which objects are read by whom, and whether a pass is blocked where one is missing."""
    return [(one.name, one.only, one.checked) for one in references(cluster(spec))]


def env(**source: Any) -> Json:
    return {"env": [{"name": "A", "valueFrom": source}]}


def template(containers: str = "containers", name: str = "worker", **fields: Any) -> Json:
    return {"podTemplate": {"spec": {containers: [{"name": name, **fields}]}}}


IN_TEMPLATE = ("Secret", "s", "k", "spec.podTemplate", False)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({}, []),
        ({"broker": {"urlFrom": {"secretKeyRef": KEY}}}, [("Secret", "s", "k", "spec.broker.urlFrom", False)]),
        (
            {"resultBackend": {"urlFrom": {"secretKeyRef": KEY}}},
            [("Secret", "s", "k", "spec.resultBackend.urlFrom", False)],
        ),
        (
            {"broker": {"parts": {**PARTS, "usernameFrom": SOURCE, "passwordFrom": SOURCE}}},
            [of_key("spec.broker.parts.usernameFrom"), of_key("spec.broker.parts.passwordFrom")],
        ),
        (
            {
                "resultBackend": {
                    "url": "rediss://r",
                    "tls": {"caFrom": SOURCE, "certificateFrom": SOURCE, "keyFrom": SOURCE},
                }
            },
            [of_key(f"spec.resultBackend.tls.{field}") for field in ("caFrom", "certificateFrom", "keyFrom")],
        ),
        (
            {"broker": {"url": "sqs://", "sqs": {"credentialsFrom": ACCESS_KEY}}},
            [of_key(f"spec.broker.sqs.credentialsFrom.{field}") for field in ACCESS_KEY],
        ),
        (
            {"broker": {"serviceBinding": {"name": "s"}}},
            [("Secret", "s", key, "spec.broker.serviceBinding", key != "type") for key in connections.BINDING_KEYS],
        ),
        (
            {"broker": {"url": "redis://r", "transportOptionsFrom": [{"name": "a.b", **SOURCE}]}},
            [of_key("spec.broker.transportOptionsFrom[a.b]")],
        ),
        (
            {"resultBackend": {"sameAsBroker": True, "transportOptionsFrom": [{"name": "a", **SOURCE}]}},
            [of_key("spec.resultBackend.transportOptionsFrom[a]")],
        ),
        (
            {"broker": {"urlFrom": SOURCE}, "resultBackend": {"sameAsBroker": True}},
            [of_key("spec.broker.urlFrom")],
        ),
        ({"configFrom": [{"name": "token", **SOURCE}]}, [of_key("spec.configFrom[token]")]),
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
        (
            template(env=[{"name": "A", "valueFrom": {"secretKeyRef": {**KEY, "optional": True}}}]),
            [(*IN_TEMPLATE[:4], True)],
        ),
        (template("initContainers", env=[{"name": "A", "valueFrom": {"secretKeyRef": KEY}}]), [IN_TEMPLATE]),
        (
            template(envFrom=[{"configMapRef": {"name": "s"}}]),
            [("ConfigMap", "s", None, "spec.podTemplate", False)],
        ),
        (
            {"workers": [{"name": "web", **template(envFrom=[{"secretRef": {"name": "s"}}])}]},
            [("Secret", "s", None, "spec.workers[web].podTemplate", False)],
        ),
        (
            {"beat": template(name="beat", envFrom=[{"secretRef": {"name": "s"}}])},
            [("Secret", "s", None, "spec.beat.podTemplate", False)],
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


GROUPS: list[Json] = [{"name": "web"}, {"name": "mail"}]
FROM_SECRET: Json = {"envFrom": [{"secretRef": {"name": "s"}}]}
WEB, MAIL, BEAT = "shop-worker-web", "shop-worker-mail", "shop-beat"


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({**env(secretKeyRef=KEY), "beat": {}}, [("s", None, True)]),
        ({"workers": [{**GROUPS[0], **template(**FROM_SECRET)}, GROUPS[1]], "beat": {}}, [("s", WEB, False)]),
        ({"beat": template(name="beat", **FROM_SECRET)}, [("s", BEAT, False)]),
        (
            {"workers": GROUPS, "beat": {}, **template(name="sidecar", **FROM_SECRET)},
            [("s", WEB, False), ("s", MAIL, False), ("s", BEAT, False)],
        ),
        (
            {"workers": GROUPS, "beat": {}, **template("initContainers", name="redis", **FROM_SECRET)},
            [("s", WEB, False), ("s", MAIL, False), ("s", BEAT, False)],
        ),
        ({"workers": GROUPS, "beat": {}, **template(**FROM_SECRET)}, [("s", WEB, False), ("s", MAIL, False)]),
        ({"workers": GROUPS, "beat": {}, **template(name="beat", **FROM_SECRET)}, [("s", BEAT, False)]),
        ({"workers": GROUPS, "beat": {}, **template(name="redis", **FROM_SECRET)}, []),
        ({"workers": GROUPS, "beat": {}, **template(name="flower", **FROM_SECRET)}, []),
    ],
)
def test_who_reads_it(spec: Json, found: list[tuple[str, str | None, bool]]) -> None:
    """As `desired.pod` merges: of the containers that are named after components each has its own."""
    assert readers(spec) == found


@pytest.fixture
def reference() -> Reference:
    (one,) = references(cluster(env(secretKeyRef=KEY)))
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
    (one,) = references(cluster(env(secretKeyRef={**KEY, "optional": True})))
    assert one.problem(None) is None


def test_what_is_missing_in_a_pod_template_is_left_to_the_kubelet() -> None:
    (one,) = references(cluster(template(**FROM_SECRET)))
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


SHOP = ClusterKey(namespace="team", name="shop")
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
    reader.took_over(SHOP)
    space.put(kind, name, data)
    after = await read(reader)
    assert before.hashes != after.hashes
    assert after.changed == (f"{kind.kind} {name}",)
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
    assert len(ours.hashes[WEB]) == 8
    assert ours.hashes[WEB] != theirs.hashes[WEB]


async def test_an_optional_object_counts_when_it_exists(space: Namespace) -> None:
    with_flag = await read(ReferenceReader(space, clock=lambda: 0.0))
    space.remove(CONFIG_MAP, "flags")
    without = await read(ReferenceReader(space, clock=lambda: 0.0))
    assert without.missing == ()
    assert with_flag.hashes != without.hashes


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
    assert (await read(reader)).hashes != before.hashes, "it is gone"


async def test_a_required_one_that_is_missing_is_named(space: Namespace, reader: ReferenceReader) -> None:
    before = await read(reader)
    space.remove(SECRET, "broker")
    space.now += 10 * A_MOMENT
    after = await read(reader)
    assert after.missing == (
        "Secret 'broker' does not exist (spec.broker.urlFrom)",
        "Secret 'broker' does not exist (spec.resultBackend.urlFrom)",
    )
    assert after.hashes == before.hashes, "its absence is no change of its data"


async def test_what_is_remembered_of_a_cluster_can_be_forgotten(space: Namespace, reader: ReferenceReader) -> None:
    before = await read(reader)
    reader.forget(SHOP)
    space.remove(CONFIG_MAP, "flags")
    assert (await read(reader)).hashes != before.hashes


OWN: Json = {
    "workers": [{**GROUPS[0], **template(envFrom=[{"secretRef": {"name": "webs"}}])}, GROUPS[1]],
    "beat": template(name="beat", envFrom=[{"secretRef": {"name": "beats"}}]),
}


@pytest.mark.parametrize(("name", "child"), [("webs", WEB), ("beats", BEAT)])
async def test_what_one_child_reads_changes_the_hash_of_that_one(
    space: Namespace, reader: ReferenceReader, name: str, child: str
) -> None:
    space.put(SECRET, "webs", {"A": "YQ=="})
    space.put(SECRET, "beats", {"A": "YQ=="})
    before = await reader.read(cluster({**SPEC, **OWN}))
    assert set(before.hashes) == {WEB, MAIL, BEAT}
    space.put(SECRET, name, {"A": "TkVX"})
    after = await reader.read(cluster({**SPEC, **OWN}))
    assert {each for each in before.hashes if before.hashes[each] != after.hashes[each]} == {child}


async def test_a_child_that_reads_nothing_has_no_hash(space: Namespace, reader: ReferenceReader) -> None:
    space.put(SECRET, "webs", {"A": "YQ=="})
    assert set((await reader.read(cluster({**OWN, "beat": {}}))).hashes) == {WEB}


async def test_what_all_children_read_changes_the_hashes_of_all(space: Namespace, reader: ReferenceReader) -> None:
    before = await reader.read(cluster({**SPEC, **OWN}))
    space.put(CONFIG_MAP, "flags", {"f": "off"})
    after = await reader.read(cluster({**SPEC, **OWN}))
    assert [child for child in (WEB, MAIL, BEAT) if before.hashes[child] == after.hashes[child]] == []


async def test_a_required_one_of_a_pod_template_that_is_gone_rolls_nothing(
    space: Namespace, reader: ReferenceReader
) -> None:
    """Pods that were replaced then could not start."""
    space.put(SECRET, "webs", {"A": "YQ=="})
    before = await reader.read(cluster(OWN))
    space.remove(SECRET, "webs")
    space.now += 10 * A_MOMENT
    assert await reader.read(cluster(OWN)) == before
    space.put(SECRET, "webs", {"A": "TkVX"})
    assert (await reader.read(cluster(OWN))).hashes != before.hashes


async def test_what_changed_is_named_until_it_was_taken_over(space: Namespace, reader: ReferenceReader) -> None:
    assert (await read(reader)).changed == (), "nobody knows what it was before"
    reader.took_over(SHOP)
    assert (await read(reader)).changed == ()
    space.put(SECRET, "broker", {"url": "TkVX", "results": "cg=="})
    assert (await read(reader)).changed == ("Secret broker",)
    space.put(CONFIG_MAP, "flags", {"f": "off"})
    assert (await read(reader)).changed == ("ConfigMap flags", "Secret broker"), "the pass that saw it first failed"
    reader.took_over(SHOP)
    assert (await read(reader)).changed == ()
    reader.forget(SHOP)
    assert (await read(reader)).changed == ()


@given(st.binary(max_size=8), st.binary(max_size=8))
async def test_the_hash_differs_exactly_when_the_data_do(one: bytes, other: bytes) -> None:
    hashes = []
    for value in (one, other):
        space = Namespace()
        space.put(SECRET, "broker", {"url": base64.b64encode(value).decode(), "results": ""})
        space.put(SECRET, "all", {})
        hashes.append((await read(ReferenceReader(space, clock=lambda: 0.0))).hashes[WEB])
    assert (hashes[0] == hashes[1]) == (one == other)


# What a component sets for itself


OTHER = {"secretKeyRef": {"name": "other", "key": "k"}}
WEB, MAIL, BEAT = "shop-worker-web", "shop-worker-mail", "shop-beat"


def two_groups(**web: Any) -> Json:
    return {"workers": [{"name": "web", **web}, {"name": "mail"}], "beat": {}}


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({"env": [{"name": "B", "valueFrom": OTHER}]}, [("Secret", "other", "k", "spec.workers[web].env[B]", False)]),
        (
            {"envFrom": [{"configMapRef": {"name": "other"}}]},
            [("ConfigMap", "other", None, "spec.workers[web].envFrom[0]", False)],
        ),
        (
            {"initContainers": [{"name": "a", "env": [{"name": "B", "valueFrom": OTHER}]}]},
            [("Secret", "other", "k", "spec.workers[web].initContainers", False)],
        ),
        (
            {"sidecars": [{"name": "a", "image": "i", "envFrom": [{"secretRef": {"name": "other"}}]}]},
            [("Secret", "other", None, "spec.workers[web].sidecars", False)],
        ),
    ],
)
def test_what_a_component_reads_is_its_own(own: Json, found: list[tuple[str, str, str | None, str, bool]]) -> None:
    assert named(two_groups(**own)) == found
    assert [only for _, only, _ in readers(two_groups(**own))] == [WEB]


def test_a_variable_that_a_component_replaces_is_read_by_the_others_alone() -> None:
    spec = {**env(secretKeyRef=KEY), **two_groups(env=[{"name": "A", "valueFrom": OTHER}])}
    assert sorted(readers(spec)) == [("other", WEB, True), ("s", BEAT, True), ("s", MAIL, True)]


def test_a_variable_that_nobody_replaces_is_read_by_all() -> None:
    spec = {**env(secretKeyRef=KEY), **two_groups(env=[{"name": "B", "value": "1"}])}
    assert readers(spec) == [("s", None, True)]


def test_containers_of_the_cluster_belong_to_every_child() -> None:
    sidecar = {"name": "proxy", "image": "i", "env": [{"name": "B", "valueFrom": OTHER}]}
    spec = {**two_groups(), "sidecars": [sidecar]}
    assert readers(spec) == [("other", WEB, False), ("other", MAIL, False), ("other", BEAT, False)]
