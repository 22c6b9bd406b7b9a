"""A beat's own HTTP server with what it keeps for the operator: the runtime's real one, without a Celery."""

from __future__ import annotations

from typing import Any

from celery_operator.observe.beat_news import BeatPod
from celery_operator.observe.worker_report import PodAddress
from celery_operator.runtime.beat_news import News as Kept
from celery_operator.runtime.probe_server import ProbeServer


class Beat:
    """A beat's own HTTP server with what it keeps."""

    def __init__(self, uid: str = "uid-1") -> None:
        self.uid = uid
        self.kept = Kept("boot", uid)
        self._server = ProbeServer({}, self._status, {"/news": self.kept.command})
        self._server.bind(0)
        self._server.serve()
        listener: Any = self._server._listener
        self.port = int(listener.getsockname()[1])

    def _status(self) -> dict[str, Any]:
        return {"bootId": "boot", "component": "beat", "news": self.kept.shown()}

    def pod(self, container: str = "one") -> BeatPod:
        return pod(self.uid, self.port, container)

    def close(self) -> None:
        self._server.close()


def pod(uid: str, port: int, container: str = "one") -> BeatPod:
    address = PodAddress(uid=uid, name=f"pod-of-{uid}", host="127.0.0.1", port=port)
    return BeatPod(address=address, container=container)
