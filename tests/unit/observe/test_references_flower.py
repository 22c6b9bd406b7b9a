"""What Flower alone reads rolls Flower alone, and holds nothing back where it is missing."""

from __future__ import annotations

from typing import Any

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
