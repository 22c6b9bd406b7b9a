"""What is done for a workload while its new pod template waits: drift around that template, and nothing new in it."""

from __future__ import annotations

from typing import Any, Final

from celery_operator.desired.metadata import REFERENCES_HASH_ANNOTATION, TEMPLATE_HASH_ANNOTATION
from celery_operator.kube.objects import Manifest
from celery_operator.reconcile import hooks

_OF_THE_TEMPLATE: Final = (TEMPLATE_HASH_ANNOTATION, hooks.ANNOTATION)
"""Annotations that say something of the pod template, and stay as they are with it."""


def around_template(live: Manifest, wanted: Manifest) -> Manifest | None:
    """What is to be applied; None where nothing is.

    The template is the live one, because the former one is known to nobody any more; only data that pods read at their
    start and that changed since reach them, for an outdated password helps nobody.
    """
    former = live["metadata"].get("annotations") or {}
    annotations = {key: value for key, value in _annotations(wanted).items() if key not in _OF_THE_TEMPLATE}
    annotations |= {key: former[key] for key in _OF_THE_TEMPLATE if key in former}
    template = _with_references(live["spec"]["template"], wanted["spec"]["template"])
    kept = {
        **wanted,
        "metadata": {**wanted["metadata"], "annotations": annotations},
        "spec": {**wanted["spec"], "template": template},
    }
    return None if _contains(live, kept) else kept


def _with_references(live: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    before, now = (_annotations(template).get(REFERENCES_HASH_ANNOTATION) for template in (live, wanted))
    if before is None or now is None or before == now:
        return live
    annotations = {**_annotations(live), REFERENCES_HASH_ANNOTATION: now}
    return {**live, "metadata": {**live["metadata"], "annotations": annotations}}


def _annotations(found: dict[str, Any]) -> dict[str, Any]:
    return (found.get("metadata") or {}).get("annotations") or {}


def _contains(live: Any, wanted: Any) -> bool:
    """Whether an apply of what is wanted would change nothing; lists have to be equal."""
    if not isinstance(wanted, dict):
        return bool(live == wanted)
    return isinstance(live, dict) and all(key in live and _contains(live[key], each) for key, each in wanted.items())
