"""Celery settings and transport options whose values are in Secrets: one variable each, and one with their names."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping

from .addresses import BROKER, RESULT_BACKEND, text
from .failures import StartError, redactor

CONFIG = "CELERY_OPERATOR_CONFIG"

BROKER_OPTIONS = "broker_transport_options"
BACKEND_OPTIONS = "result_backend_transport_options"


@dataclass(frozen=True)
class SecretSettings:
    """Values by the names that the CeleryCluster gives them; a dot in an option's name goes one level down."""

    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    broker_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    backend_options: Mapping[str, str] = field(default_factory=dict, repr=False)


def read(environ: Mapping[str, str]) -> SecretSettings:
    """What is in the environment; from now on no value is ever printed."""
    return SecretSettings(
        config=_values(CONFIG, "FROM", environ),
        broker_options=_values(BROKER, "OPTIONS", environ),
        backend_options=_values(RESULT_BACKEND, "OPTIONS", environ),
    )


def _values(prefix: str, suffix: str, environ: Mapping[str, str]) -> Dict[str, str]:
    listed = json.loads(environ.get("%s_%s" % (prefix, suffix)) or "[]")
    values = {name: text(environ["%s_SECRET_%d" % (prefix, index)]) for index, name in enumerate(listed)}
    redactor.add(values.values())
    return values


def added(config: Mapping[str, Any], secrets: SecretSettings) -> Dict[str, Any]:
    """Settings by canonical name, with the secret ones. Celery must be importable.

    Raises StartError(ConfigInvalid) where an option would go below one that is no map.
    """
    from .setting_names import canonical_all

    out = {**config, **canonical_all(secrets.config)}
    for setting, options in ((BROKER_OPTIONS, secrets.broker_options), (BACKEND_OPTIONS, secrets.backend_options)):
        for name, value in options.items():
            out[setting] = _set(setting, out.get(setting), name.split("."), value)
    return out


def _set(path: str, options: Any, names: Any, value: str) -> Dict[str, Any]:
    """A copy of ``options`` with the value at the end of ``names``."""
    if options is not None and not isinstance(options, Mapping):
        raise StartError("ConfigInvalid", "%s is no map of names to values, so nothing can be added to it" % path)
    name, below = names[0], names[1:]
    own = dict(options or {})
    own[name] = _set("%s.%s" % (path, name), own.get(name), below, value) if below else value
    return own
