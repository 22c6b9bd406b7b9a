"""Each field of queues, Flower, client, monitoring and network policies changes the children that it says, no other."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.desired import children
from celery_operator.desired.digest import digest
from tests.unit.desired.clusters import SURROUNDINGS, cluster
from tests.unit.desired.fields_of_children import ROWS, Row


def digests(spec: dict[str, Any]) -> dict[str, str]:
    manifests = children.build(cluster(spec), SURROUNDINGS)
    return {f"{each['kind']} {each['metadata']['name']}": digest(each) for each in manifests}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_field_changes_exactly_its_children(row: Row) -> None:
    before, after = digests(row.without), digests(row.with_it)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == row.changed
