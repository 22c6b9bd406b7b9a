"""Who may take a Lease: the part of the election that needs no server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from celery_operator.kube.client import KubeClient
from celery_operator.kube.lease import LeaseElector, LeaseRecord


def record(holder: str, *, duration: float = 15) -> LeaseRecord:
    return LeaseRecord(
        holder=holder, duration=duration, renew_time="2001-01-01T00:00:00Z", transitions=0, resource_version="1"
    )


@pytest.mark.parametrize(
    ("holder", "unchanged_for", "free"),
    [
        ("", 0, True),  # released
        ("me", 0, True),  # my own, from before my restart
        ("other", 0, False),
        ("other", 14.9, False),
        ("other", 15, True),  # silent for its whole duration
    ],
)
def test_a_lease_is_free_when_released_or_ours_or_silent(holder: str, unchanged_for: float, free: bool) -> None:
    # The renewal time inside is decades old in every case: the holder's clock decides nothing.
    assert record(holder).free_for("me", unchanged_for=unchanged_for) is free


def test_the_holders_own_duration_counts_not_ours() -> None:
    assert not record("other", duration=60).free_for("me", unchanged_for=30)


def test_a_lease_that_nobody_ever_held_is_read() -> None:
    empty = LeaseRecord.of({"metadata": {"resourceVersion": "7"}, "spec": {}})
    assert empty.free_for("me", unchanged_for=0)
    assert empty.transitions == 0


async def nothing() -> None:
    return None


def elector(
    *, identity: str = "me", lease_duration: float = 15, renew_deadline: float = 10, retry_period: float = 2
) -> LeaseElector:
    callback: Callable[[], Awaitable[None]] = nothing
    return LeaseElector(
        cast("KubeClient", None),
        namespace="n",
        name="x",
        identity=identity,
        lease_duration=lease_duration,
        renew_deadline=renew_deadline,
        retry_period=retry_period,
        on_started=callback,
        on_lost=callback,
    )


def test_nobody_holds_before_the_first_renewal() -> None:
    assert not elector().holds()
    assert not elector().is_leader


@pytest.mark.parametrize(("lease_duration", "renew_deadline", "retry_period"), [(10, 10, 2), (15, 2, 2), (15, 10, 0)])
def test_times_that_allow_two_leaders_are_refused(
    lease_duration: float, renew_deadline: float, retry_period: float
) -> None:
    with pytest.raises(ValueError, match="lease_duration > renew_deadline > retry_period"):
        elector(lease_duration=lease_duration, renew_deadline=renew_deadline, retry_period=retry_period)


def test_an_empty_identity_is_refused() -> None:
    with pytest.raises(ValueError, match="identity"):
        elector(identity="")
