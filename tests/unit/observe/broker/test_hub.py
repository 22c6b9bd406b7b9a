"""When the hub reads, for whom, and what it does with a broker that fails: on a clock that does not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import HEARTBEATS_REFUSED, Depth, Heartbeat, Problem, Reading, Unreadable
from celery_operator.observe.key import ClusterKey
from tests.unit.observe.broker.world import DOWN, A, B, World, at, wish
from tests.unit.observe.virtual_time import run


def test_clusters_of_a_broker_are_read_in_one_batch_every_two_seconds() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        world.hub.use(A, wish("mail"))
        world.hub.use(B, wish("mail", "reports", unacked=True))
        await asyncio.sleep(7)
        assert world.broker(at("redis://one")).reads == [
            (when, frozenset({"mail", "reports"}), True) for when in (0.0, 2.0, 4.0, 6.0)
        ]
        assert world.reading(A).depths == {"mail": Depth(ready=4)}
        assert world.reading(B).depths == {"mail": Depth(ready=4), "reports": Depth(ready=7)}
        assert world.reading(A).at == 6.0
        assert world.told == [(when, key) for when in (0.0, 2.0, 4.0, 6.0) for key in (A, B)]
        await world.hub.stop()
        assert world.broker(at("redis://one")).open == 0

    run(test)


def test_a_cluster_in_a_hurry_is_read_every_second() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        world.hub.use(A, wish("mail"))
        world.hub.use(B, wish("mail", fast=True))
        await asyncio.sleep(3.5)
        assert world.broker(at("redis://one")).times() == [0, 1, 2, 3]
        world.hub.forget(B)
        await asyncio.sleep(5)
        assert world.broker(at("redis://one")).times() == [0, 1, 2, 3, 4, 6, 8]
        await world.hub.stop()

    run(test)


def test_one_cluster_in_a_hurry_does_not_hurry_the_others() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        broker = world.broker(at("redis://one"))
        world.hub.use(A, wish("mail"))
        world.hub.use(B, wish("reports", fast=True))
        await asyncio.sleep(6.5)
        assert broker.times() == [0, 1, 2, 3, 4, 5, 6]
        assert [when for when, key in world.told if key == B] == [0, 1, 2, 3, 4, 5, 6]
        assert [when for when, key in world.told if key == A] == [0, 2, 4, 6]
        assert world.reading(A).at == 6.0
        broker.more = 1
        await asyncio.sleep(1)
        assert [when for when, key in world.told if key == A][4:] == [7], "what changed is told at once"
        broker.notes = (DOWN.problem,)
        await asyncio.sleep(1)
        assert [when for when, key in world.told if key == A][5:] == [8]
        broker.trouble = DOWN
        await asyncio.sleep(1)
        assert [when for when, key in world.told if key == A][6:] == [9]
        await world.hub.stop()

    run(test)


def test_the_reader_knows_which_queues_are_waited_for() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        world.hub.use(A, wish("mail"))
        world.hub.use(B, wish("reports", "bills", fast=True))
        await asyncio.sleep(0.5)
        world.hub.forget(B)
        await asyncio.sleep(3)
        assert world.broker(at("redis://one")).urgent == [frozenset({"reports", "bills"}), frozenset(), frozenset()]
        await world.hub.stop()

    run(test)


def test_what_is_wrong_beside_the_queues_is_in_the_reading_until_it_is_right_again() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        note = Problem(reason="ManagementUnreachable", message="it does not answer")
        world.broker(at("redis://one")).notes = (note,)
        world.hub.use(A, wish("mail"))
        await asyncio.sleep(0.5)
        assert world.reading(A) == Reading(at=0.0, depths={"mail": Depth(ready=4)}, notes=(note,))
        world.broker(at("redis://one")).notes = ()
        await asyncio.sleep(2)
        assert world.reading(A).notes == ()
        await world.hub.stop()

    run(test)


def test_other_queues_are_read_at_once_and_the_same_wish_changes_nothing() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        world.hub.use(A, wish("mail"))
        await asyncio.sleep(0.5)
        world.hub.use(A, wish("mail"))
        await asyncio.sleep(0.1)
        world.hub.use(A, wish("mail", "reports"))
        assert world.reading(A).depths == {"mail": Depth(ready=4)}
        await asyncio.sleep(0.1)
        assert world.reading(A).depths == {"mail": Depth(ready=4), "reports": Depth(ready=7)}
        assert world.broker(at("redis://one")).times() == [0, 0.6]
        await world.hub.stop()

    run(test)


def test_many_clusters_that_come_one_after_another_are_read_together() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        for number in range(100):
            world.hub.use(ClusterKey(namespace="shop", name=str(number)), wish(f"queue-{number}"))
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.5)
        assert world.broker(at("redis://one")).times() == [0, 0.2]
        assert all(world.hub.reading(ClusterKey(namespace="shop", name=str(number))) for number in range(100))
        await world.hub.stop()

    run(test)


def test_a_reading_never_lacks_queues_that_were_wished_for_while_it_was_made() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        world.broker(at("redis://one")).takes = 1.0
        world.hub.use(A, wish("mail"))
        await asyncio.sleep(0.5)
        world.hub.use(A, wish("mail", "reports"))
        await asyncio.sleep(0.6)
        assert world.hub.reading(A) is None
        await asyncio.sleep(1.2)
        assert set(world.reading(A).depths) == {"mail", "reports"}
        await world.hub.stop()

    run(test)


def test_a_broker_that_fails_is_asked_less_and_less_often_until_it_answers() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        broker = world.broker(at("redis://one"))
        broker.trouble = DOWN
        world.hub.use(A, wish("mail", fast=True))
        await asyncio.sleep(37)
        assert broker.times() == [0, 2, 6, 16, 26, 36]
        assert [when for when, _ in world.told] == [0, 2, 6, 16, 26, 36]
        assert world.reading(A) == Reading(at=36.0, problem=DOWN.problem)
        broker.trouble = None
        await asyncio.sleep(11.5)
        assert broker.times()[6:] == [46, 47, 48]
        assert world.reading(A).problem is None
        await world.hub.stop()

    run(test)


def test_a_failing_broker_is_not_asked_sooner_for_a_new_cluster_which_is_told_why() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        broker = world.broker(at("redis://one"))
        broker.trouble = DOWN
        world.hub.use(A, wish("mail"))
        await asyncio.sleep(7)
        world.hub.use(B, wish("reports"))
        assert world.reading(B).problem == DOWN.problem
        await asyncio.sleep(1)
        assert broker.times() == [0, 2, 6]
        await world.hub.stop()

    run(test)


@pytest.mark.parametrize("trouble", [RuntimeError("redis://:secret@host"), ValueError("secret"), KeyError("secret")])
def test_whatever_goes_wrong_in_a_reader_is_a_problem_without_its_text(trouble: Exception) -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        broker = world.broker(at("redis://one"))
        broker.trouble = trouble
        world.hub.use(A, wish("mail"))
        await asyncio.sleep(1)
        problem = world.reading(A).problem
        assert problem is not None
        assert problem.reason == "ReadingFailed"
        assert "secret" not in problem.message
        broker.trouble = None
        await asyncio.sleep(2)
        assert world.reading(A).problem is None
        await world.hub.stop()

    run(test)


def test_a_reader_that_never_comes_back_is_cut_off() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        world.broker(at("redis://one")).takes = 1e6
        world.hub.use(A, wish("mail"))
        world.hub.use(B, wish("mail", url="redis://two"))
        await asyncio.sleep(5.5)
        problem = world.reading(A).problem
        assert problem is not None
        assert problem.reason == "TimedOut"
        assert world.broker(at("redis://two")).times() == [0, 2, 4]
        await world.hub.stop()

    run(test)


def test_an_address_that_leads_nowhere_is_told_and_asked_for_nowhere() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        nowhere = Problem(reason="BindingInvalid", message="correct it")
        world.hub.use(A, replace(wish("mail"), address=BrokerAddress(url="", problem=nowhere)))
        await asyncio.sleep(1)
        assert world.reading(A).problem == nowhere
        assert world.brokers == {}
        await world.hub.stop()

    run(test)


def test_another_address_is_read_at_once_and_the_former_one_left() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        world.broker(at("redis://one")).trouble = DOWN
        world.hub.use(A, wish("mail"))
        await asyncio.sleep(7)
        world.hub.use(A, wish("mail", url="redis://two"))
        assert world.hub.reading(A) is None
        await asyncio.sleep(0.01)
        assert world.reading(A).depths == {"mail": Depth(ready=4)}
        assert world.broker(at("redis://two")).times() == [7]
        await asyncio.sleep(20)
        assert world.broker(at("redis://one")).times() == [0, 2, 6]
        assert world.broker(at("redis://one")).open == 0
        await world.hub.stop()

    run(test)


def test_a_transport_that_nobody_reads_is_a_problem() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        world.hub.use(A, wish("mail", url="sqs://key:secret@"))
        await asyncio.sleep(0.01)
        problem = world.reading(A).problem
        assert problem is not None
        assert (problem.reason, "secret" in problem.message) == ("TransportNotSupported", False)
        await world.hub.stop()

    run(test)


def test_the_last_heartbeat_of_each_worker_is_kept_for_a_minute() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        world.hub.use(A, wish("mail"))
        world.hub.use(B, wish("mail", url="redis://two"))
        await asyncio.sleep(0.01)
        beats = world.broker(at("redis://one")).beats
        beats.put_nowait(Heartbeat(nodename="x@1", at=clock(), active=1, processed=1))
        beats.put_nowait(Heartbeat(nodename="y@1", at=clock(), active=0, processed=0))
        await asyncio.sleep(40)
        last = Heartbeat(nodename="x@1", at=clock(), active=2, processed=3)
        beats.put_nowait(last)
        await asyncio.sleep(19)
        assert set(world.hub.heartbeats(A)) == {"x@1", "y@1"}
        await asyncio.sleep(4)
        assert world.hub.heartbeats(A) == {"x@1": last}
        assert world.hub.heartbeats(B) == {}
        await asyncio.sleep(41)
        assert world.hub.heartbeats(A) == {}
        await world.hub.stop()

    run(test)


def test_heartbeats_are_a_view_and_no_copy() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        world.hub.use(A, wish("mail"))
        world.hub.use(B, wish("mail"))
        await asyncio.sleep(0.01)
        heartbeats = world.hub.heartbeats(A)
        world.broker(at("redis://one")).beats.put_nowait(Heartbeat(nodename="x@1", at=clock(), active=1, processed=1))
        await asyncio.sleep(0.01)
        assert set(heartbeats) == {"x@1"}
        assert world.hub.heartbeats(B) is heartbeats
        with pytest.raises(TypeError):
            heartbeats["y@1"] = heartbeats["x@1"]  # type: ignore[index]
        await world.hub.stop()

    run(test)


def test_listening_begins_again_with_pauses_and_with_the_first_reading_after_an_outage() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        broker = world.broker(at("redis://one"))
        broker.trouble = DOWN
        world.hub.use(A, wish("mail"))
        await asyncio.sleep(17)
        assert [round(when, 3) for when in broker.listens] == [0, 2, 6, 16]
        broker.trouble = None
        await asyncio.sleep(10)
        assert [round(when, 3) for when in broker.listens] == [0, 2, 6, 16, 26]
        broker.beats.put_nowait(RuntimeError("lost"))
        await asyncio.sleep(2.5)
        assert len(broker.listens) == 6
        await world.hub.stop()

    run(test)


def test_an_error_of_who_is_told_does_not_end_the_readings() -> None:
    async def test(clock: Callable[[], float]) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        world = World(clock, complaint=RuntimeError("a bug"))
        world.hub.use(A, wish("mail"))
        await asyncio.sleep(5)
        assert world.broker(at("redis://one")).times() == [0, 2, 4]
        await world.hub.stop()

    run(test)


def test_who_is_not_known_has_nothing() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        world.hub.forget(A)
        assert world.hub.reading(A) is None
        assert world.hub.heartbeats(A) == {}
        await world.hub.stop()

    run(test)


def test_heartbeats_that_are_refused_are_noted_until_they_are_allowed() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        refused = Problem(reason=HEARTBEATS_REFUSED, message="allow PSUBSCRIBE")
        broker = world.broker(at("redis://one"))
        broker.deaf = Unreadable(refused)
        broker.notes = (DOWN.problem,)
        world.hub.use(A, wish("mail"))
        await asyncio.sleep(60)
        assert world.reading(A).notes == (DOWN.problem, refused)
        assert world.reading(A).problem is None
        broker.deaf, broker.notes = None, ()
        await asyncio.sleep(20)
        assert world.reading(A).notes == ()
        broker.beats.put_nowait(ConnectionError("lost"))
        await asyncio.sleep(20)
        assert world.reading(A).notes == (), "no refusal"
        await world.hub.stop()

    run(test)
