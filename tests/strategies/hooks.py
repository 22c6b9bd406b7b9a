"""What is done before a rollout."""

from __future__ import annotations

from hypothesis import strategies as st

from celery_operator.api import hooks
from tests.strategies.model import of
from tests.strategies.pod import arguments, resources
from tests.strategies.scalars import durations

_before_rollout = of(
    hooks.BeforeRollout,
    {"command": arguments},
    {"timeout": durations(), "retries": st.integers(0, 20), "resources": resources()},
)
all_hooks = of(hooks.Hooks, {}, {"beforeRollout": _before_rollout})
