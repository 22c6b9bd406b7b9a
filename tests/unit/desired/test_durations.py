"""Durations and quantities mean in Python what they mean to Go's time.ParseDuration and resource.Quantity."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.api.scalars import quantity, seconds

NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}

parts = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 999), st.sampled_from(sorted(NANOSECONDS))), min_size=1, max_size=5
)


@given(parts)
def test_a_duration_is_the_sum_of_its_parts(duration: list[tuple[int, int, str]]) -> None:
    text = "".join(f"{whole}.{thousandths:03}{unit}" for whole, thousandths, unit in duration)
    total = sum((whole * 1000 + thousandths) * NANOSECONDS[unit] for whole, thousandths, unit in duration)
    assert seconds(text) == pytest.approx(total / 1000 / 10**9, rel=1e-12)


@pytest.mark.parametrize("text", [".5s", "5.s", "-1s", "+1s", "1e3s", "1µs", "1 h", "h1", "1h30", "٣s", "1s\n", "0"])
def test_what_the_schema_refuses_is_refused_here_too(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


@given(st.integers(0, 10**9), st.sampled_from(["", "k", "M", "G", "T", "P", "E"]))
def test_decimal_suffixes_are_powers_of_a_thousand(number: int, suffix: str) -> None:
    power = ["", "k", "M", "G", "T", "P", "E"].index(suffix)
    assert quantity(f"{number}{suffix}") == number * 1000**power


@given(st.integers(0, 10**6), st.sampled_from(["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]))
def test_binary_suffixes_are_powers_of_1024(number: int, suffix: str) -> None:
    power = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].index(suffix)
    assert quantity(f"{number}{suffix}") == number * 1024**power


@given(st.integers(0, 10**9))
def test_millis_are_thousandths(number: int) -> None:
    assert quantity(f"{number}m") * 1000 == number


@pytest.mark.parametrize("text", ["1e3", "1K", "1mi", "-1", "+1", ".5", "1.", "1 Gi", "", "Gi"])
def test_other_spellings_are_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity(text)


def test_a_quantity_is_exact() -> None:
    assert quantity("0.1") == Decimal("0.1")
