"""What Flower alone reads rolls Flower alone, and holds nothing back where it is missing."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.kube.objects import SECRET, Manifest, ObjectRef
from celery_operator.observe.references import ReferenceReader, references
from tests.unit.desired.clusters import cluster
from tests.unit.desired.fields_of_children import oauth, secret

Json = dict[str, Any]


class Secrets:
    """Secrets by name; others do not exist."""

    def __init__(self, **data: Json) -> None:
        self.data = data

    async def get(self, ref: ObjectRef) -> Manifest | None:
        found = self.data.get(ref.name)
        return None if found is None or ref.kind != SECRET else {"data": found}


def test_the_secrets_of_auth_cookies_and_the_management_api_are_flowers_own() -> None:
    spec = oauth()
    spec["flower"]["cookieSecretFrom"] = secret(key="cookie")
    spec["broker"] = {"url": "amqp://r", "management": {"urlFrom": secret("rabbit", "api")}}
    found = {(each.name, each.key, each.only, each.checked) for each in references(cluster(spec))}
    assert found == {
        ("s", "id", "shop-flower", False),
        ("s", "secret", "shop-flower", False),
        ("s", "cookie", "shop-flower", False),
        ("rabbit", "api", "shop-flower", False),
    }


async def test_a_new_password_of_flower_rolls_flower_and_no_worker() -> None:
    parsed = cluster({"env": [{"name": "A", "valueFrom": secret("app")}], "flower": {"auth": {"basicFrom": secret()}}})
    secrets = Secrets(app={"k": "MQ=="}, s={"k": "b2xk"})
    reader = ReferenceReader(secrets, clock=lambda: 0.0)
    before = (await reader.read(parsed)).hashes

    secrets.data["s"] = {"k": "bmV3"}
    after = (await reader.read(parsed)).hashes

    assert before["shop-flower"] != after["shop-flower"]
    assert before["shop-worker-web"] == after["shop-worker-web"]


async def test_a_missing_secret_of_flower_blocks_nothing() -> None:
    parsed = cluster({"flower": {"auth": {"basicFrom": secret()}}})
    assert (await ReferenceReader(Secrets(), clock=lambda: 0.0).read(parsed)).missing == ()


ENVIRONMENT: Json = {
    "broker": {"urlFrom": secret("broker")},
    "env": [{"name": "A", "valueFrom": secret("variable")}],
    "envFrom": [{"secretRef": {"name": "whole"}}],
    "initContainers": [{"name": "wait", "envFrom": [{"secretRef": {"name": "init"}}]}],
}


async def rolled(spec: Json, changed: str) -> set[str]:
    """The children whose hash another text in this Secret changes."""
    parsed = cluster(spec)
    secrets = Secrets(**{each.name: {"k": "MQ=="} for each in references(parsed)})
    reader = ReferenceReader(secrets, clock=lambda: 0.0)
    before = (await reader.read(parsed)).hashes
    secrets.data[changed] = {"k": "Mg=="}
    after = (await reader.read(parsed)).hashes
    return {child for child in before if before[child] != after[child]}


@pytest.mark.parametrize(
    ("changed", "foreign", "own"),
    [("broker", True, True), ("variable", False, True), ("whole", False, True), ("init", False, True)],
)
async def test_flower_follows_what_its_image_makes_it_read(changed: str, foreign: bool, own: bool) -> None:
    both, worker = {"shop-worker-web", "shop-flower"}, {"shop-worker-web"}
    assert await rolled({**ENVIRONMENT, "flower": {}}, changed) == (both if foreign else worker)
    assert await rolled({**ENVIRONMENT, "flower": {"loadApplication": True}}, changed) == (both if own else worker)


async def test_a_flower_that_reads_nothing_has_no_hash() -> None:
    parsed = cluster({"envFrom": [{"secretRef": {"name": "whole"}}], "flower": {}})
    found = await ReferenceReader(Secrets(whole={"k": "MQ=="}), clock=lambda: 0.0).read(parsed)
    assert set(found.hashes) == {"shop-worker-web"}


async def test_a_variable_that_every_worker_replaces_is_flowers_and_blocks_nothing() -> None:
    own = [{"name": "web", "env": [{"name": "A", "value": "mine"}]}]
    shared = {"env": [{"name": "A", "valueFrom": secret("variable")}], "workers": own}
    assert await rolled({**shared, "flower": {"loadApplication": True}}, "variable") == {"shop-flower"}
    assert references(cluster({**shared, "flower": {}})) == []

    parsed = cluster({**shared, "flower": {"loadApplication": True}})
    assert (await ReferenceReader(Secrets(), clock=lambda: 0.0).read(parsed)).missing == ()


@pytest.mark.parametrize(("load_application", "reads"), [(True, {"theirs", "own"}), (False, {"own"})])
async def test_flower_follows_the_pod_templates_that_it_has(load_application: bool, reads: set[str]) -> None:
    def reading(name: str) -> Json:
        container = {"name": "flower", "env": [{"name": name.upper(), "valueFrom": secret(name)}]}
        return {"spec": {"containers": [container]}}

    flower = {"loadApplication": load_application, "podTemplate": reading("own")}
    spec = {"podTemplate": reading("theirs"), "flower": flower}
    found = {each.name for each in references(cluster(spec)) if each.only == "shop-flower"}
    assert found == reads
