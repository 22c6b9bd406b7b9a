"""What the operator makes of a broker's URL and of RabbitMQ's refusals."""

from __future__ import annotations

import kombu
import pytest
from aiormq.exceptions import ChannelAccessRefused, ChannelLockedResource, ChannelNotFoundEntity

from celery_operator.observe.broker.rabbitmq_connection import virtual_host
from celery_operator.observe.broker.rabbitmq_reader import ready_of


@pytest.mark.parametrize(
    "url",
    [
        "amqp://rabbit", "amqp://rabbit/", "amqp://rabbit//", "amqp://rabbit/%2F", "amqp://rabbit/shop",
        "amqp://rabbit//shop", "amqp://rabbit/shop/eu", "amqp://rabbit/shop%2Feu", "amqp://rabbit/a%252Fb",
        "amqp://u:p%40%2F%23@rabbit:5673/with%20space?ssl_cert_reqs=none", "pyamqp://rabbit/p%C3%A4ckchen",
    ],
)  # fmt: skip
def test_the_virtual_host_is_the_one_that_workers_use(url: str) -> None:
    assert virtual_host(url) == (kombu.Connection(url).virtual_host or "/")


@pytest.mark.parametrize(
    ("error", "ready"),
    [
        (ChannelNotFoundEntity("NOT_FOUND - no queue 'orders' in vhost '/'"), 0),
        (ChannelNotFoundEntity("NOT_FOUND - home node 'rabbit@b' of durable queue 'orders' in vhost '/' is down or inaccessible"), None),  # noqa: E501
        (ChannelNotFoundEntity("NOT_FOUND - failed to perform operation on queue 'orders' in vhost '/' due to timeout"), None),  # noqa: E501
        (ChannelLockedResource("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'orders'"), None),
        (ChannelAccessRefused("ACCESS_REFUSED - access to queue 'orders' refused"), None),
        (ChannelNotFoundEntity(), None),
    ],
)  # fmt: skip
def test_only_a_queue_that_does_not_exist_is_empty(error: ChannelNotFoundEntity, ready: int | None) -> None:
    assert ready_of(error) == ready
