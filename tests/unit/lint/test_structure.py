"""What the API server would refuse or drop is named with its path, before anything is applied."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.api.schema import crd
from celery_operator.lint.structure import problems
from tests.unit.desired.clusters import BIG, QUICKSTART, manifest

Json = dict[str, Any]
SPEC: Json = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def found(spec: Json) -> list[str]:
    return list(problems(manifest(spec)["spec"], SPEC, "spec"))


def group(**fields: Any) -> Json:
    return {"workers": [{"name": "web", **fields}]}


@pytest.mark.parametrize("spec", [{}, QUICKSTART, BIG], ids=["smallest", "quickstart", "big"])
def test_good_specs_are_good(spec: Json) -> None:
    assert found(spec) == []


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"imagee": "x"}, "spec.imagee: there is no such field; did you mean image?"),
        (group(replica=2), "spec.workers[web].replica: there is no such field; did you mean replicas?"),
        (group(zzz=2), "spec.workers[web].zzz: there is no such field"),
        ({"image": None}, "spec.image: it has no value; give it one, or remove it"),
        ({"image": 5}, "spec.image: must be a text, and is a number or a truth value; put it in quotes"),
        ({"image": True}, "spec.image: must be a text, and is a number or a truth value; put it in quotes"),
        ({"image": ""}, "spec.image: must have 1 characters or more, and has 0"),
        ({"workers": {}}, "spec.workers: must be a list, and is an object"),
        ({"workers": []}, "spec.workers: must have 1 entries or more, and has 0"),
        ({"workers": [{"replicas": 1}]}, "spec.workers[0].name: is missing"),
        ({"workers": [{"name": "a"}, {"name": "a"}]}, "spec.workers[a]: stands in the list twice"),
        (group(queues=["a", "a"]), "spec.workers[web].queues[1]: stands in the list twice"),
        (group(replicas="2"), "spec.workers[web].replicas: must be a whole number, and is '2'"),
        (group(replicas=1.5), "spec.workers[web].replicas: must be a whole number, and is 1.5"),
        (group(replicas=True), "spec.workers[web].replicas: must be a whole number, and is true"),
        (group(replicas=-1), "spec.workers[web].replicas: must be 0 or more, and is -1"),
        (group(replicas=100001), "spec.workers[web].replicas: must be 100000 or less, and is 100001"),
        (group(concurrency="many"), "spec.workers[web].concurrency: 'many' does not match ^auto$"),
        (group(concurrency=[4]), "spec.workers[web].concurrency: must be a whole number or a text, and is a list"),
        (
            group(pool="fork"),
            "spec.workers[web].pool: must be one of prefork, threads, gevent, eventlet, solo, custom, ",
        ),
        (group(maxMemoryPerChild="lots"), "spec.workers[web].maxMemoryPerChild: 'lots' does not match "),
        ({"paused": "yes"}, "spec.paused: must be true or false, and is 'yes'"),
        ({"podLabels": {"a": 1}}, "spec.podLabels[a]: must be a text, and is a number"),
        ({"broker": {"url": 3}}, "spec.broker.url: must be a text, and is a number"),
        ({"env": [{"name": "PIN", "value": 48151623}]}, "spec.env[PIN].value: must be a text, and is a number"),
        ({"app": "redis://:hunter2@r"}, "spec.app: a URL does not match "),
        ({"app": ":hunter2@r:6379"}, "spec.app: a text that may hold a password does not match "),
        ({"app": "somebody@example.com"}, "spec.app: 'somebody@example.com' does not match "),
        ({"workers": "amqp:user:hunter2@r"}, "spec.workers: must be a list, and is a text that may hold a password"),
    ],
)
def test_a_mistake_is_named_with_its_path(spec: Json, problem: str) -> None:
    (line,) = found(spec)
    assert line.startswith(problem)
    assert "hunter2" not in line
    assert "48151623" not in line


def test_all_mistakes_are_named_at_once() -> None:
    assert len(found({"image": 5, "app": 5, **group(replicas="2", pool="x")})) == 4


def test_free_settings_may_be_anything() -> None:
    assert found({"config": {"a": None, "b": [1, {"c": True}]}}) == []
