"""Plans that write nothing of the spec: it is refused, something is missing, or the cluster is paused."""

from __future__ import annotations

from celery_operator.reconcile.plan import Plan
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.settled import (
    group,
    settled,
)
from tests.unit.reconcile.world import World


def test_missing_references_block_every_write() -> None:
    world, _ = settled()
    world.missing = ("Secret 'a' does not exist (spec.env[A])", "Secret 'b' does not exist (spec.env[B])")
    plan = world.plan(cluster({**group(replicas=9, concurrency=9), "beat": {}}))
    assert plan.is_empty
    assert plan.blocked is not None
    assert (plan.blocked.reason, plan.blocked.problems) == ("ReferenceMissing", world.missing)
    assert plan.blocked.retry == 5.0


def test_an_invalid_spec_blocks_every_write_and_names_every_problem() -> None:
    world, _ = settled()
    plan = world.plan(cluster({"config": {"broker_url": "x", "worker_pool": "y"}, "beat": {}}))
    assert plan.is_empty
    assert plan.blocked is not None
    assert plan.blocked.reason == "InvalidSpec"
    assert plan.blocked.retry is None
    assert len(plan.blocked.problems) == 2


def test_a_template_that_cannot_be_merged_blocks_every_write() -> None:
    world, _ = settled()
    bad = {"podTemplate": {"spec": {"containers": [{"name": "worker", "args": []}]}}}
    plan = world.plan(cluster({**bad, "beat": {}}))
    assert plan.is_empty
    assert plan.blocked is not None
    assert plan.blocked.reason == "InvalidSpec"
    assert "spec.podTemplate.spec.containers[worker].args" in plan.blocked.problems[0]


def test_a_template_of_the_hook_that_cannot_be_merged_blocks_every_write() -> None:
    world, _ = settled()
    bad = {"podTemplate": {"spec": {"containers": [{"name": "hook", "command": ["sh"]}]}}}
    plan = world.plan(cluster({**bad, "hooks": {"beforeRollout": {"command": ["migrate"]}}, "beat": {}}))
    assert plan.is_empty
    assert plan.blocked is not None
    assert plan.blocked.reason == "InvalidSpec"
    assert "spec.podTemplate.spec.containers[hook].command" in plan.blocked.problems[0]


def test_paused_writes_and_deletes_nothing() -> None:
    world, _ = settled({"beat": {}})
    world.missing = ("Secret 'a' does not exist (spec.env[A])",)
    assert world.plan(cluster({**group(replicas=9), "paused": True, "image": "new"})) == Plan(held=True)
    assert world.plan(cluster({"beat": {}, "paused": True})) == Plan()
    world.applied.clear()  # a new process remembers no apply, and must not call that a change
    assert world.plan(cluster({"beat": {}, "paused": True})) == Plan()


def test_a_bad_spec_is_told_while_paused_too() -> None:
    plan = World().plan(cluster({"paused": True, "config": {"broker_url": "x"}}))
    assert plan.is_empty
    assert plan.blocked is not None
