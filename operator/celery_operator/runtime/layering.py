"""Puts together what a process of an application is configured with: alike for worker, beat, Flower and client."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from . import configuration, declared_queues, secret_settings, tls
from .addresses import SENTINEL
from .environment import Settings
from .setting_names import canonical_all
from .table import Choice

SENTINEL_DEFAULTS: Mapping[str, Any] = {"socket_timeout": 5.0, "socket_connect_timeout": 2.0, "retry": None}
"""Seconds. As soon as anything else is said of the Sentinels, redis-py waits for ever for one that hangs.

No second try: the next Sentinel is asked instead. From redis-py 6 on each of a worker's six pools of connections would
try one that is gone for 4 s or more, eleven times (8.1: a worker took its next task 22 s after a failover).
"""


def layers(settings: Settings, choice: Choice) -> configuration.Layers:
    """The layers of ``settings``, with what the table chose. Celery must be importable."""
    entries = {}
    if settings.component == "beat":
        from . import beat_schedule

        entries = {"beat_schedule": beat_schedule.entries(settings.beat.schedule)}
    config = secret_settings.added(canonical_all(settings.config), settings.secrets)
    return configuration.build(
        urls={**configuration.url_settings(settings.broker_url, settings.result_backend), **_certificates(settings)},
        config=config,
        forced=choice.forced,
        defaults=choice.defaults,
        merged=_merged(choice.merged, _sentinels(settings)),
        entries=entries,
        queues=declared_queues.build(settings.queues),
    )


def _certificates(settings: Settings) -> Dict[str, Any]:
    """Celery's settings for TLS where the CeleryCluster names certificates."""
    out: Dict[str, Any] = {}
    if settings.broker_tls is not None and settings.broker_url:
        out["broker_use_ssl"] = tls.broker_options(settings.broker_tls, settings.broker_url)
    if settings.result_backend_tls is not None and settings.result_backend:
        out["redis_backend_use_ssl"] = tls.redis_options(settings.result_backend_tls)
    return out


def _sentinels(settings: Settings) -> Dict[str, Mapping[str, Any]]:
    """``sentinel_kwargs`` that are ours, by the setting that they belong into."""
    out: Dict[str, Mapping[str, Any]] = {}
    for setting, address, files in (
        (secret_settings.BROKER_OPTIONS, settings.broker_url, settings.broker_tls),
        (secret_settings.BACKEND_OPTIONS, settings.result_backend, settings.result_backend_tls),
    ):
        if address and address.startswith(SENTINEL):
            out[setting] = {**SENTINEL_DEFAULTS, **({} if files is None else tls.sentinel_options(files))}
    return out


def _merged(
    chosen: Mapping[str, Mapping[str, Any]], sentinels: Mapping[str, Mapping[str, Any]]
) -> Dict[str, Mapping[str, Any]]:
    """The table's keys of dict settings, with how Sentinels are asked."""
    out = dict(chosen)
    for setting, ours in sentinels.items():
        out[setting] = {**out.get(setting, {}), configuration.SENTINEL_KWARGS: ours}
    return out
