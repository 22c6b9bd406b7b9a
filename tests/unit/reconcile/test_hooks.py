"""Nothing new reaches workers and beat before the hook has succeeded; what runs goes on, whatever becomes of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_operator.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    POD_DISRUPTION_BUDGET,
    STATEFUL_SET,
)
from celery_operator.reconcile.hooks import ANNOTATION
from tests.unit.reconcile.hooked import BEAT, MIGRATE, NEW, OLD, PLAIN, WEB, at, end, go, image, jobs, running
from tests.unit.reconcile.world import World, ref

Json = dict[str, Any]


def test_first_pods_wait_for_the_first_run() -> None:
    world, shop = World(), at(OLD)
    plan = go(world, shop)
    assert plan.hook is not None
    assert plan.hook.reason == "BeforeRolloutRunning"
    assert WEB not in world.objects
    assert BEAT not in world.objects
    (job,) = jobs(world)
    assert job.name.startswith("shop-before-rollout-")
    assert {key.kind for key in world.objects} >= {CONFIG_MAP}, "what the hook's pod mounts is there"
    end(world)
    assert go(world, shop).hook is None
    assert image(world, WEB) == image(world, BEAT) == "example.com/shop:1"


def test_the_templates_that_wait_are_tried_before_the_hook_is_started() -> None:
    plan = World().plan(at(OLD))
    assert {step.ref for step in plan.withheld} == {WEB, BEAT}
    assert [step.ref.kind for step in plan.applies][-1] == JOB


@pytest.mark.parametrize("change", [{"image": "new"}, {"config": {"task_track_started": True}}])
def test_a_new_image_or_config_waits_and_old_pods_go_on(change: Json) -> None:
    world = running(OLD)
    before = copy.deepcopy({child: world.objects[child]["spec"]["template"] for child in (WEB, BEAT)})
    plan = go(world, at(OLD | change, 4))
    assert plan.hook is not None
    assert {child: world.objects[child]["spec"]["template"] for child in (WEB, BEAT)} == before
    end(world)
    assert go(world, at(OLD | change, 4)).hook is None
    assert {child: world.objects[child]["spec"]["template"] for child in (WEB, BEAT)} != before


def test_a_new_command_is_run_although_no_pod_changes() -> None:
    world = running(OLD)
    before = copy.deepcopy({child: world.objects[child]["spec"]["template"] for child in (WEB, BEAT)})
    other = at({**OLD, "hooks": {"beforeRollout": {"command": ["true"]}}}, 4)
    assert go(world, other).hook is not None
    end(world)
    assert go(world, other).hook is None
    assert {child: world.objects[child]["spec"]["template"] for child in (WEB, BEAT)} == before


@pytest.mark.parametrize(
    "change",
    [
        {"env": [{"name": "A", "value": "1"}]},
        {"workers": [{"name": "web", "replicas": 2, "image": "its-own"}]},
        {"workers": [{"name": "web", "replicas": 2}, {"name": "mail"}]},
        {"beat": {"timezone": "UTC"}},
        {"configFrom": [{"name": "redbeat_redis_url", "secretKeyRef": {"name": "s", "key": "k"}}]},
        {"broker": {"url": "redis://other/0"}},
    ],
    ids=["env", "a group's own image", "a new group", "beat's schedule", "configFrom", "broker"],
)
def test_what_is_neither_image_nor_config_runs_no_hook(change: Json) -> None:
    world = running(OLD)
    world.objects = {key: live for key, live in world.objects.items() if key.kind != JOB}  # its log was not wanted
    assert go(world, at(OLD | change, 4)).hook is None
    assert jobs(world) == {}


def test_a_hook_that_fails_is_told_and_nothing_new_is_rolled_out() -> None:
    world = running(OLD)
    go(world, at(NEW, 4))
    failed = end(world, "Failed", reason="BackoffLimitExceeded", message="Job has reached the limit")
    plan = go(world, at(NEW, 4))
    assert plan.hook is not None
    assert plan.hook.failed
    assert plan.hook.reason == "BeforeRolloutFailed"
    assert repr(failed.name) in plan.hook.message
    assert "BackoffLimitExceeded (Job has reached the limit)" in plan.hook.message
    assert "delete the Job to run it once more" in plan.hook.message
    assert image(world, WEB) == image(world, BEAT) == "example.com/shop:1"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({}, False),
        ({"startTime": "2026-01-01T00:00:00Z", "ready": 0}, True),
        ({"startTime": "2026-01-01T00:00:00Z", "active": 1}, False),
        ({"startTime": "2026-01-01T00:00:00Z", "uncountedTerminatedPods": {"failed": ["pod-uid"]}}, False),
        ({"startTime": "2026-01-01T00:00:00Z", "uncountedTerminatedPods": {}, "failed": 1}, False),
    ],
    ids=["not seen yet", "refused", "runs", "has just ended", "between two tries"],
)
def test_a_hook_that_gets_no_pod_names_what_refuses_it(status: Json, told: bool) -> None:
    """A namespace that enforces `restricted` refuses the pod and takes the Job, which says nothing of that."""
    world = World()
    go(world, at(OLD))
    (job,) = jobs(world)
    world.objects[job]["status"] = status
    hook = world.plan(at(OLD)).hook
    assert hook is not None
    assert hook.reason == "BeforeRolloutRunning"
    advice = f"a namespace that asks for podSecurity: Restricted; see kubectl describe job {job.name}"
    assert ("it has no pod yet" in hook.message and advice in hook.message) is told


def test_a_hook_that_never_had_a_pod_has_no_log_to_see() -> None:
    world = World()
    go(world, at(OLD))
    late = end(world, "Failed", reason="DeadlineExceeded", message="Job was active longer than specified deadline")
    world.objects[late]["status"]["startTime"] = "2026-01-01T00:00:00Z"
    hook = go(world, at(OLD)).hook
    assert hook is not None
    assert hook.failed
    assert (
        "it never had a pod, because of a quota, or a namespace that asks for podSecurity: Restricted" in hook.message
    )
    assert "see its log" not in hook.message
    assert "delete the Job to run it once more" in hook.message


def test_an_edit_of_the_spec_tries_again() -> None:
    world = running(OLD)
    go(world, at(NEW, 4))
    first = world.objects[end(world, "Failed")]["metadata"]["uid"]
    fixed = NEW | {"env": [{"name": "DATABASE", "value": "right"}]}
    assert go(world, at(fixed, 5)).hook is not None
    (again,) = [live for live in jobs(world).values() if not live.get("status")]
    assert again["metadata"]["uid"] != first
    end(world)
    assert go(world, at(fixed, 5)).hook is None
    assert image(world, WEB) == "new"


def test_a_failed_job_that_somebody_deletes_is_run_again() -> None:
    world = running(OLD)
    go(world, at(NEW, 4))
    del world.objects[end(world, "Failed")]
    plan = go(world, at(NEW, 4))
    assert plan.hook is not None
    assert not plan.hook.failed
    assert any(not job.get("status") for job in jobs(world).values())


def test_a_failed_job_that_is_being_deleted_is_waited_for() -> None:
    world = running(OLD)
    go(world, at(NEW, 4))
    world.objects[end(world, "Failed")]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    plan = world.plan(at(NEW, 5))
    assert plan.is_empty
    assert plan.hook is not None
    assert "starts again when" in plan.hook.message


def test_back_to_what_runs_needs_no_hook() -> None:
    world = running(OLD)
    go(world, at(NEW, 4))
    end(world, "Failed")
    assert go(world, at(OLD, 5)).hook is None
    assert image(world, WEB) == "example.com/shop:1"


def test_two_hooks_never_run_at_a_time() -> None:
    world = running(OLD)
    go(world, at(NEW, 4))
    newest = {**OLD, "image": "newest"}
    plan = go(world, at(newest, 5))
    assert plan.hook is not None
    assert "of the former spec has ended" in plan.hook.message
    assert len([job for job in jobs(world).values() if not job.get("status")]) == 1
    end(world)
    go(world, at(newest, 5))
    assert image(world, WEB) == "example.com/shop:1", "what the former hook was for is wanted no more"
    end(world)
    assert go(world, at(newest, 5)).hook is None
    assert image(world, WEB) == "newest"


def test_the_last_job_is_kept_for_its_log_and_no_other() -> None:
    world = running(OLD)
    for generation, tag in enumerate(("a", "b", "c"), start=4):
        spec = OLD | {"image": tag}
        go(world, at(spec, generation))
        last = end(world)
        go(world, at(spec, generation))
        assert list(jobs(world)) == [last]


def test_a_job_that_is_gone_is_not_run_again_for_pods_that_have_what_it_was_for() -> None:
    world = running(OLD)
    world.objects = {key: live for key, live in world.objects.items() if key.kind != JOB}
    assert world.plan(at(OLD)).is_empty


def test_scaling_and_repairs_do_not_wait() -> None:
    world = running(OLD)
    go(world, at(NEW | {"workers": [{"name": "web", "replicas": 5}]}, 4))
    assert world.objects[WEB]["spec"]["replicas"] == 5
    assert image(world, WEB) == "example.com/shop:1"
    world.objects[BEAT]["spec"]["replicas"] = 2
    del world.objects[WEB]["metadata"]["labels"]["celery-operator.dev/worker-group"]
    go(world, at(NEW | {"workers": [{"name": "web", "replicas": 5}]}, 4))
    assert world.objects[BEAT]["spec"]["replicas"] == 1
    assert world.objects[WEB]["metadata"]["labels"]["celery-operator.dev/worker-group"] == "web"
    assert image(world, WEB) == image(world, BEAT) == "example.com/shop:1"


def test_a_rotated_password_does_not_wait_for_a_hook_that_failed() -> None:
    world = World()
    world.references = {"shop-worker-web": "before", "shop-beat": "before"}
    go(world, at(OLD))
    end(world)
    go(world, at(OLD))
    go(world, at(NEW, 4))
    end(world, "Failed")
    world.references = {"shop-worker-web": "after", "shop-beat": "after"}
    go(world, at(NEW, 4))
    for child in (WEB, BEAT):
        metadata = world.objects[child]["spec"]["template"]["metadata"]
        assert metadata["annotations"]["celery-operator.dev/references-hash"] == "after"
        assert image(world, child) == "example.com/shop:1"


def test_a_renamed_group_works_on_until_the_new_one_may_start() -> None:
    world = running(OLD)
    renamed = NEW | {"workers": [{"name": "mail", "replicas": 2}]}
    go(world, at(renamed, 4))
    assert WEB in world.objects
    assert ref(POD_DISRUPTION_BUDGET, "shop-worker-web") in world.objects
    end(world)
    go(world, at(renamed, 4))
    assert WEB not in world.objects
    assert image(world, ref(DEPLOYMENT, "shop-worker-mail")) == "new"


def test_paused_starts_no_hook() -> None:
    world = running(OLD)
    plan = world.plan(at(NEW | {"paused": True}, 4))
    assert plan.is_empty
    assert plan.held


def test_suspended_starts_no_hook_and_nothing_old_comes_back_before_it_is_done() -> None:
    world = running(OLD)
    suspended = NEW | {"suspend": True}
    go(world, at(suspended, 4))
    assert [job["status"]["conditions"][0]["type"] for job in jobs(world).values()] == ["Complete"]
    assert (world.objects[WEB]["spec"]["replicas"], world.objects[BEAT]["spec"]["replicas"]) == (0, 0)
    go(world, at(NEW, 5))
    assert (world.objects[WEB]["spec"]["replicas"], world.objects[BEAT]["spec"]["replicas"]) == (0, 0)
    end(world)
    go(world, at(NEW, 5))
    assert (world.objects[WEB]["spec"]["replicas"], world.objects[BEAT]["spec"]["replicas"]) == (2, 1)
    assert image(world, WEB) == "new"


def test_a_hook_that_is_removed_lets_the_rest_go() -> None:
    world = running(OLD)
    go(world, at(NEW, 4))
    without = {**PLAIN, "image": "new"}
    assert go(world, at(without, 5)).hook is None
    assert image(world, WEB) == "new"
    assert ANNOTATION not in world.objects[WEB]["metadata"].get("annotations", {})
    assert len([job for job in jobs(world).values() if not job.get("status")]) == 1, "what runs may end"


def test_somebody_elses_job_is_left_alone_and_told_of() -> None:
    world = World()
    shop = at(OLD)
    go(world, shop)
    (mine,) = jobs(world)
    world.objects[mine]["metadata"]["ownerReferences"] = []
    plan = world.plan(shop)
    assert plan.is_empty
    assert plan.taken == (f"Job {mine.name!r} exists and belongs to somebody else; rename or delete it",)
    assert plan.requeue_after is not None


def test_the_password_of_the_managed_redis_comes_before_the_hook() -> None:
    world, shop = World(), at(OLD | {"broker": {"redis": {}}})
    plan = world.plan(shop)
    assert plan.create_redis_secret
    go(world, shop)
    assert len(jobs(world)) == 1


specs = st.builds(
    lambda image_, hooked, suspend, groups: {
        "image": image_,
        "workers": [{"name": name} for name in groups],
        "beat": {},
        **(MIGRATE if hooked else {}),
        **({"suspend": True} if suspend else {}),
    },
    st.sampled_from(["a", "b"]),
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from(["web", "mail"]), min_size=1, max_size=2, unique=True),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(specs, st.sampled_from(["Complete", "Failed"])), min_size=1, max_size=5))
def test_no_image_is_ever_applied_for_which_the_hook_did_not_succeed(sequence: list[tuple[Json, str]]) -> None:
    world, done = World(), set()
    for generation, (spec, verdict) in enumerate(sequence, start=1):
        for _ in range(4):
            plan = go(world, at(spec, generation))
            still = [job for job in jobs(world).values() if not job.get("status")]
            if plan.hook is None or not still:
                break
            job = world.objects[end(world, verdict)]
            if verdict == "Complete":
                done.add(job["spec"]["template"]["spec"]["containers"][0]["image"])
        if "hooks" not in spec:
            done.add(spec["image"])  # asked for without one
        for child in (child for child in world.objects if child.kind in (DEPLOYMENT, STATEFUL_SET)):
            assert image(world, child) in done
