"""Durations and quantities mean what Kubernetes and Go mean by them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from celery_operator.api.scalars import quantity, seconds


@pytest.mark.parametrize(
    ("text", "length"),
    [("1s", 1), ("300ms", 0.3), ("90s", 90), ("1h30m", 5400), ("1.5h", 5400), ("2us", 2e-6), ("7ns", 7e-9)],
)
def test_seconds(text: str, length: float) -> None:
    assert seconds(text) == pytest.approx(length)


@pytest.mark.parametrize("text", ["", "1", "s", "1 s", "1d", "-1s", "1s1", "1.s"])
def test_seconds_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("value", "amount"),
    [(3, "3"), ("0.5", "0.5"), ("250m", "0.25"), ("1k", "1000"), ("800Mi", "838860800"), ("1Gi", "1073741824")],
)
def test_quantity(value: int | str, amount: str) -> None:
    assert quantity(value) == Decimal(amount)


@pytest.mark.parametrize("value", ["", "Mi", "1kb", "-1", "1 Gi", "1e3"])
def test_quantity_refuses(value: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity(value)
