"""Rules that somebody has read, and wants to hear no more of: named in an annotation of the CeleryCluster."""

from __future__ import annotations

from typing import Final

from celery_operator.api.cluster import CeleryCluster

ANNOTATION: Final = "celery-operator.dev/ignore-warnings"
"""Ids of rules between commas. An annotation, because it changes nothing of what runs."""


def silenced(cluster: CeleryCluster) -> frozenset[str]:
    """The ids that the annotation names."""
    text = (cluster.metadata.annotations or {}).get(ANNOTATION, "")
    return frozenset(filter(None, (name.strip() for name in text.split(","))))
