"""Many tasks at once, sent from the producer's pod: Celery makes the messages, and one pipeline brings them to Redis.

What is measured begins when Redis has answered. The pod's clock is this machine's: both local clusters run here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from tests.e2e.space import Space

_SCRIPT: Final = """
import json, sys, time
from celery.states import READY_STATES
from kombu.utils.json import dumps
from celery_tasks.tasks.load import io_bound

count, seconds, wait = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
app = io_bound.app
with app.connection_for_write() as connection:
    channel, messages = connection.default_channel, []
    channel._put = lambda queue, message, **_: messages.append((queue, message))
    producer, arguments = app.amqp.Producer(channel), {"requests": 1, "latency_seconds": seconds}
    keys = [
        app.backend.get_key_for_task(io_bound.apply_async(kwargs=arguments, producer=producer).id)
        for _ in range(count)
    ]
    with channel.conn_or_acquire() as client:
        pipe = client.pipeline(transaction=False)
        for queue, message in messages:
            priority = channel._get_message_priority(message, reverse=False)
            pipe.lpush(channel._q_for_pri(queue, priority), dumps(message))
        pipe.execute()
    acknowledged = time.time()

def ended():
    values = app.backend.client.mget(keys)
    return sum(value is not None and json.loads(value)["status"] in READY_STATES for value in values)

while (done := ended() if wait else 0) < count and time.time() < acknowledged + wait:
    time.sleep(0.05)
print(json.dumps({"acknowledged": acknowledged, "ended": time.time(), "done": done}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """When Redis had all messages, and when the last task had ended if it was waited for; seconds since the epoch."""

    acknowledged: float
    ended: float
    done: int
    """Tasks that had ended."""


def publish(space: Space, count: int, seconds: float, *, wait: float = 0.0) -> Published:
    """Send ``count`` tasks that sleep for ``seconds`` to the queue `default`; wait up to ``wait`` s for their end."""
    words = ("exec", "-i", "deployment/producer", "--", "python", "-", count, seconds, wait)
    said = space.kubectl(*words, stdin=_SCRIPT).splitlines()
    return Published(**json.loads(said[-1]))
