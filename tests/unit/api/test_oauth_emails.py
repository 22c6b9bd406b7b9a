"""Who may see Flower is written as Flower reads it: addresses, or one star. What looks like more lets nobody in."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.unit.desired.clusters import cluster
from tests.unit.desired.fields_of_children import oauth


@pytest.mark.parametrize(
    "emails",
    [
        "ann@example.com",
        "ann@example.com|bob@example.org",
        ".*@example.com",
        "a.*@example.com",
        "a.*z@example.com",
    ],
)
def test_what_flower_understands_is_accepted(emails: str) -> None:
    found = cluster(oauth(emails=emails)).spec.flower
    assert found is not None
    assert found.auth is not None
    assert found.auth.oauth is not None
    assert found.auth.oauth.emails == emails


@pytest.mark.parametrize(
    "emails",
    [
        r".*@example\.com",
        ".*",
        "*@example.com",
        ".*@.*",
        ".*.*@example.com",
        ".*@(example.com|example.org)",
        "ann@example.com|.*@example.org",
        "ann@example.com|",
        "ann@example.com, bob@example.org",
        "ann@example.com\n",
        "",
    ],
)
def test_what_would_let_nobody_in_or_everybody_is_refused(emails: str) -> None:
    with pytest.raises(ValidationError, match="emails"):
        cluster(oauth(emails=emails))
