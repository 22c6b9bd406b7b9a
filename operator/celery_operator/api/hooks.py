"""Hooks: what has to be done before something new is rolled out."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from celery_operator.api.model import LIST_ATOMIC, ApiModel
from celery_operator.api.pod import Argument, Resources
from celery_operator.api.scalars import Duration


class BeforeRollout(ApiModel):
    """A Job of spec.image has to succeed before a change of spec.image, spec.config or the hook's command reaches
    workers and beat: migrations, above all; configFrom, other fields and a component's own image run none. It has the
    cluster's environment, and runs before the first pods are made, too. If it fails, old pods go on working, and it
    is tried again when the spec is edited or the Job is deleted."""

    command: Annotated[list[Argument], Field(min_length=1, max_length=64), LIST_ATOMIC]
    """The program and its arguments, for example [python, manage.py, migrate, --noinput]. CELERY_BROKER_URL and
    CELERY_RESULT_BACKEND are set for it as in a worker."""
    timeout: Duration | None = None
    """The longest that all tries together may take; 10m when absent."""
    retries: Annotated[int, Field(ge=0, le=20)] | None = None
    """How often it is tried again by itself when it fails; 0 when absent."""
    resources: Resources | None = None
    """What the hook's container asks for and may use."""


class Hooks(ApiModel):
    """What has to be done at certain moments."""

    before_rollout: BeforeRollout | None = None
    """A Job of spec.image has to succeed before a change of spec.image, spec.config or the hook's command reaches
    workers and beat; configFrom, other fields and a component's own image run none."""
