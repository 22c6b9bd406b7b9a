"""A process that speaks as thousands of workers do: heartbeats to the brokers' databases, and /status on one port.

Usage: python -m benchmarks.autoscaling.simulated_workers HTTP_PORT REDIS_PORT, with one `DATABASE NODENAME` a line on
standard input. In a process of its own, so that its processor time is nobody else's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
import uuid
from typing import Final

import redis.asyncio

FREQUENCY: Final = 2.0
"""Seconds between two heartbeats, as Celery's default has it."""
_AT_ONCE: Final = 100

_STATUS: Final = {
    "protocol": 1,
    "component": "worker",
    "bootId": "simulated",
    "startedSince": "2026-01-01T00:00:00Z",
    "slots": 4,
    "active": 1,
    "reserved": 0,
    "held": 0,
    "eta": 0,
    "processed": 10,
    "shuttingDown": False,
    "drain": {"draining": False, "drained": False, "seconds": 0.0},
    # As long as a real one, most of which is settings.
    "effective": {f"setting_{number}": f"value {number}" for number in range(70)},
}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = json.dumps(_STATUS).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode("ascii") + body)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


def _message(nodename: str, number: int) -> str:
    """What kombu publishes for one heartbeat."""
    event = {
        "type": "worker-heartbeat", "hostname": nodename, "utcoffset": 0, "pid": 1, "clock": number, "freq": FREQUENCY,
        "active": (number // 3 + len(nodename)) % 3, "processed": number * 2, "loadavg": [0.1, 0.2, 0.3],
        "sw_ident": "py-celery", "sw_ver": "5.7.0", "sw_sys": "Linux", "timestamp": time.time(),
    }  # fmt: skip
    envelope = {
        "body": base64.b64encode(json.dumps(event).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"hostname": nodename},
        "properties": {
            "delivery_mode": 1,
            "delivery_info": {"exchange": "celeryev", "routing_key": "worker.heartbeat"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return json.dumps(envelope)


async def _beat(port: int, nodes: list[tuple[str, str]]) -> None:
    """Every worker once in each period, spread over it."""
    client = redis.asyncio.Redis(port=port)
    number = 0
    while True:
        began, number = time.monotonic(), number + 1
        for start in range(0, len(nodes), _AT_ONCE):
            pipeline = client.pipeline(transaction=False)
            for database, nodename in nodes[start : start + _AT_ONCE]:
                pipeline.publish(f"/{database}.celeryev/worker.heartbeat", _message(nodename, number))
            await pipeline.execute()
            due = began + FREQUENCY * (start + _AT_ONCE) / len(nodes)
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def _main(http_port: int, redis_port: int) -> None:
    nodes = [(database, name) for database, name in (line.split() for line in sys.stdin)]
    server = await asyncio.start_server(_answer, "127.0.0.1", http_port, backlog=1024)
    print("ready", flush=True)
    await asyncio.gather(server.serve_forever(), _beat(redis_port, nodes))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
