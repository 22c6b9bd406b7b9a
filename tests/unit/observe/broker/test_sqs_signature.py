"""Signatures of requests, as AWS makes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from celery_operator.observe.broker.address import AccessKey
from celery_operator.observe.broker.sqs_signature import signed

KEY = AccessKey(id="AKIDEXAMPLE", secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
SCOPE = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"


def test_the_example_of_aws() -> None:
    """`post-vanilla` of the Signature Version 4 test suite."""
    found = signed({"host": "example.amazonaws.com"}, b"", access_key=KEY, region="us-east-1", service="service", at=AT)
    assert found == {
        "host": "example.amazonaws.com",
        "x-amz-date": "20150830T123600Z",
        "authorization": f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host;x-amz-date, "
        "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    }


def test_the_moment_is_the_same_in_any_zone() -> None:
    def at(moment: datetime) -> dict[str, str]:
        return signed({"host": "h"}, b"{}", access_key=KEY, region="r", service="sqs", at=moment)

    assert at(AT) == at(AT.astimezone(timezone(timedelta(hours=9))))
    assert at(AT) != at(AT + timedelta(seconds=1))
