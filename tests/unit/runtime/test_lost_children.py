"""How long a task waits whose pool child died."""

from __future__ import annotations

import pytest

from celery_operator.runtime.lost_children import CELERYS, delay


@pytest.mark.parametrize(
    ("retries", "seconds"),
    [(None, 0), (0, 0), (1, 1), (2, 3), (3, 7), (7, 127), (8, CELERYS), (9, CELERYS), (60, CELERYS), (10**9, CELERYS)],
)
def test_the_delay_doubles_up_to_celerys_own(retries: int | None, seconds: int) -> None:
    assert delay(retries) == seconds
