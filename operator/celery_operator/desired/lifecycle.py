"""The container's lifecycle hooks, and the time that the one before the end takes from nobody else."""

from __future__ import annotations

import math
from typing import Any, Final

from celery_operator.api.extras import Lifecycle
from celery_operator.api.scalars import seconds

_DEFAULT_SECONDS: Final = 30


def build(lifecycle: Lifecycle | None) -> dict[str, Any]:
    """The container's `lifecycle`; empty where no hook is asked for. Kubernetes knows no timeout of a hook."""
    if lifecycle is None:
        return {}
    exclude = {"pre_stop": {"timeout"}}
    return lifecycle.model_dump(by_alias=True, exclude_none=True, exclude=exclude)


def pre_stop_seconds(lifecycle: Lifecycle | None) -> int:
    """What the hook before the end takes at the most, in seconds: the pod's grace period runs from its beginning, and
    SIGTERM is sent when it has ended. Without room of its own it would eat the time of the running tasks."""
    if lifecycle is None or lifecycle.pre_stop is None:
        return 0
    asked = lifecycle.pre_stop.timeout
    return _DEFAULT_SECONDS if asked is None else math.ceil(seconds(asked))
