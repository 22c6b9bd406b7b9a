"""What Amazon SQS answers, and what is told of it: by codes alone, for its texts name accounts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from celery_operator.observe.broker.address import AccessKey
from celery_operator.observe.broker.sqs_connection import SqsConnection, SqsError
from celery_operator.observe.broker.sqs_layout import Endpoint

KEY = AccessKey(id="key", secret="hidden")


@asynccontextmanager
async def answering(response: web.Response) -> AsyncIterator[Endpoint]:
    """A server that gives that answer to everybody."""

    async def answer(_: web.Request) -> web.Response:
        return response

    application = web.Application()
    application.router.add_post("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield Endpoint(url=f"http://127.0.0.1:{port}", region="eu-west-1", access_key=KEY)
    finally:
        await runner.cleanup()


async def refusal(response: web.Response) -> SqsError:
    connection = SqsConnection()
    try:
        async with answering(response) as endpoint:
            with pytest.raises(SqsError) as caught:
                await connection.ask(endpoint, "GetQueueUrl", QueueName="mail")
    finally:
        await connection.close()
    return caught.value


def of_type(name: str, status: int = 400, *, older: str = "") -> web.Response:
    """An error of the JSON protocol, with its code in the older one."""
    document = {"__type": name, "message": "account 123456789012 and hidden"}
    return web.Response(status=status, text=json.dumps(document), headers={"x-amzn-query-error": older})


ABSENT = "AWS.SimpleQueueService.NonExistentQueue;Sender"


@pytest.mark.parametrize(
    ("response", "reason", "kind"),
    [
        (of_type("com.amazonaws.sqs#QueueDoesNotExist", older=ABSENT), "QueueAbsent", "absent"),
        (of_type("com.amazonaws.sqs#QueueDoesNotExist"), "QueueAbsent", "absent"),
        (of_type("com.amazon.coral.service#AccessDeniedException"), "PermissionDenied", "refused"),
        (of_type("com.amazon.coral.service#InvalidParameterValueException"), "QueueNameInvalid", "refused"),
        (of_type("com.amazon.coral.service#UnrecognizedClientException"), "AuthenticationFailed", "failed"),
        (of_type("com.amazon.coral.service#InvalidSignatureException", 403), "AuthenticationFailed", "failed"),
        (of_type("com.amazon.coral.service#ExpiredTokenException", 403), "AuthenticationFailed", "failed"),
        (of_type("com.amazonaws.sqs#RequestThrottled"), "Throttled", "failed"),
        (of_type("com.amazon.coral.service#ThrottlingException"), "Throttled", "failed"),
        (of_type("com.amazonaws.sqs#SomethingNew"), "ReadingRefused", "failed"),
        (
            web.Response(status=403, text="<ErrorResponse><Code>InvalidClientTokenId</Code></ErrorResponse>"),
            "AuthenticationFailed",
            "failed",
        ),
        (web.Response(status=503, text="<html>busy</html>"), "ReadingRefused", "failed"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "ReadingRefused", "failed"),
        (web.Response(text="<html>welcome</html>"), "ReadingRefused", "failed"),
        (web.Response(text="[]"), "ReadingRefused", "failed"),
        (web.Response(body=b" " * 300_000), "ConnectionFailed", "failed"),
    ],
)
def test_what_an_answer_means(response: web.Response, reason: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("celery_operator.observe.broker.sqs_connection.TIMEOUT", 60.0)
    found = asyncio.run(refusal(response))
    assert (found.problem.reason, found.kind) == (reason, kind)
    assert "hidden" not in found.problem.message
    assert "123456789012" not in found.problem.message
