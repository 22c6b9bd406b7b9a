"""pod-security-unset: nobody said whether images may run as root."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.desired import hook_job
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    asked = [each.pod_security for each in (*spec.workers, *([spec.beat] if spec.beat is not None else []))]
    if hook_job.wanted(spec) is not None:
        asked.append(hook_job.pod_security(spec))
    if spec.pod_security is None and None in asked:
        yield (
            "spec.podSecurity is not set, so images may run as root; set it to Restricted, or to Compatible to "
            "keep this and silence the hint"
        )


RULE = Rule(
    id="pod-security-unset",
    severity="hint",
    title="podSecurity is not set",
    why="Without it the pods have no privileges, but their image may still run as root and write to its file system. "
    "An image that need not do that is safer under `Restricted`, which namespaces may ask for besides. `Compatible` "
    "says that somebody has thought about it.",
    wrong="{}",
    right="podSecurity: Restricted",
    messages=_messages,
)
