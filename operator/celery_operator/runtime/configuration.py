"""Puts our settings into an application's configuration while it loads, before any task binds.

Settings after ``--`` on the command line come too late: a task that was touched at import has already copied
acks_late, and the worker has read its prefetch. Precedence, highest first:

1. broker and backend URLs, and what a typed field of the CeleryCluster says
2. spec.config
3. the application's own code, whenever it sets it
4. our defaults
5. Celery's defaults
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from . import declared_queues
from .failures import redactor
from .guard import harmless
from .setting_names import canonical, spellings

_BROKER_LEFTOVERS = (
    "broker_read_url",
    "broker_write_url",
    "broker_transport",
    "broker_host",
    "broker_port",
    "broker_user",
    "broker_password",
    "broker_vhost",
)
"""What an application may have set beside the URL; each would be mixed into ours."""

_OTHER_ADDRESSES = ("broker_read_url", "broker_write_url")
"""Would beat ours in Celery itself, silently."""

SENTINEL_KWARGS = "sentinel_kwargs"
"""The transport option with what Sentinels themselves are asked with: a dict that is shared in its turn."""


@dataclass(frozen=True)
class Layers:
    """Settings by canonical name. ``merged`` fills missing keys of a dict, ``entries`` overwrites keys of one.

    ``queues``: kombu.Queue objects, which come before those of the application that have other names.
    ``overridden`` collects what the application set and we do not use, in words for users.
    """

    forced: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    merged: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    queues: Tuple[Any, ...] = ()
    overridden: List[str] = field(default_factory=list)

    def overrides(self, name: str, value: Any) -> None:
        """The application's ``value`` of the broker's addresses is not used: never say which address that is."""
        said = (
            "the application sets %s; its value is not used, since the CeleryCluster says where the broker is: "
            "remove it from the application" % name
        )
        if name in _OTHER_ADDRESSES and value and said not in self.overridden:
            self.overridden.append(said)


def url_settings(broker_url: Optional[str], result_backend: Optional[str]) -> Dict[str, Any]:
    """Forced settings for the URLs.

    The read and write URLs become None here, not ours: older Celery shows them unmasked in ``inspect conf``;
    the environment carries them.
    """
    forced: Dict[str, Any] = {}
    if broker_url:
        forced["broker_url"] = broker_url
        forced.update(dict.fromkeys(_BROKER_LEFTOVERS))
    if result_backend:
        forced["result_backend"] = result_backend
    return forced


class Changes(Dict[str, Any]):
    """The top map of an application's settings, in which ours cannot be overwritten.

    An application may write ``app.conf.x = …`` at any time after the load; a write to a forced setting is
    ignored, one to a merged setting is merged again.
    """

    def __init__(self, own: Mapping[str, Any], layers: Layers) -> None:
        super().__init__()
        self._layers = layers
        self.update(own)
        for name, value in layers.forced.items():
            super().__setitem__(name, value)

    def __setitem__(self, key: str, value: Any) -> None:
        name = canonical(key) if isinstance(key, str) else key
        if name in self._layers.forced:
            self._layers.overrides(name, value)
            return
        super().__setitem__(key, merge(name, value, self._layers))

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self.get(key)

    def pop(self, key: str, *default: Any) -> Any:
        if canonical(key) in self._layers.forced:
            return self.get(key, *default)
        return super().pop(key, *default)

    def clear(self) -> None:
        super().clear()
        super().update(self._layers.forced)

    def __reduce__(self) -> Tuple[Any, ...]:
        # Children that are spawned, not forked, get plain settings: the values are already right.
        return dict, (dict(self),)


def merge(name: str, value: Any, layers: Layers) -> Any:
    """``value`` as the application will see it, for settings that we share with it."""
    if name in layers.merged and (value is None or isinstance(value, Mapping)):
        value = _filled(layers.merged[name], value or {})
    if name in layers.entries and (value is None or isinstance(value, Mapping)):
        value = {**(value or {}), **layers.entries[name]}
    if name == declared_queues.SETTING and layers.queues:
        value = declared_queues.merged(value, layers.queues)
    return value


def _filled(ours: Mapping[str, Any], own: Mapping[str, Any]) -> Dict[str, Any]:
    """``own`` with what is missing in it; of the Sentinels, too: whoever says their password says no more."""
    out = {**ours, **own}
    if isinstance(ours.get(SENTINEL_KWARGS), Mapping) and isinstance(own.get(SENTINEL_KWARGS), Mapping):
        out[SENTINEL_KWARGS] = {**ours[SENTINEL_KWARGS], **own[SENTINEL_KWARGS]}
    return out


def apply(settings: Any, layers: Layers) -> None:
    """Put ``layers`` into a celery.app.utils.Settings that has just been read."""
    _note_other_addresses(settings, layers)
    names = [*layers.merged, *layers.entries, *([declared_queues.SETTING] if layers.queues else [])]
    shared = {name: _shared(settings, name, layers) for name in names}
    changes = Changes(settings.changes, layers)
    for name, value in shared.items():
        if name not in layers.forced:
            for spelling in spellings(name, list(changes)):
                dict.pop(changes, spelling)
            changes[name] = value
    lowest = list(settings.defaults)
    lowest.insert(len(lowest) - 1, dict(layers.defaults))
    settings.__dict__.update(changes=changes, defaults=lowest, maps=[changes, *lowest])


def _shared(settings: Any, name: str, layers: Layers) -> Any:
    if name in layers.forced:
        return merge(name, layers.forced[name], layers)
    own = settings.get(name)
    return dict(own) if isinstance(own, Mapping) else own


def build(
    urls: Mapping[str, Any],
    config: Mapping[str, Any],
    forced: Mapping[str, Any],
    defaults: Mapping[str, Any],
    merged: Mapping[str, Mapping[str, Any]],
    entries: Mapping[str, Mapping[str, Any]],
    queues: Tuple[Any, ...] = (),
) -> Layers:
    """Layers with shared settings of spec.config merged. Names are canonical already."""
    layers = Layers(merged=merged, entries=entries, queues=queues)
    wanted = {name: merge(name, value, layers) for name, value in config.items()}
    return Layers(
        forced={**wanted, **forced, **urls},
        defaults={name: value for name, value in defaults.items() if name not in wanted},
        merged=merged,
        entries=entries,
        queues=queues,
    )


def _note_other_addresses(settings: Any, layers: Layers) -> None:
    for mapping in settings.maps:
        for name in _OTHER_ADDRESSES:
            for spelling in spellings(name, list(mapping)):
                if name in layers.forced:
                    layers.overrides(name, mapping[spelling])


def install(layers: Layers) -> None:
    """Make every Celery application of this process load its configuration with ``layers``."""
    from celery.app import base

    original_detect: Callable[..., Any] = base.detect_settings  # type: ignore[attr-defined]
    original_load: Callable[[Any], Any] = base.Celery._load_config  # type: ignore[attr-defined]

    def detect_settings(*args: Any, **kwargs: Any) -> Any:
        # Inside _load_config, before on_after_configure: its receivers touch tasks (add_periodic_task(t.s())).
        settings = original_detect(*args, **kwargs)
        apply(settings, layers)
        return settings

    def load_config(app: Any) -> Any:
        settings = original_load(app)
        if not isinstance(settings.changes, Changes):
            apply(settings, layers)
        return settings

    base.detect_settings = detect_settings  # type: ignore[attr-defined]
    base.Celery._load_config = load_config  # type: ignore[attr-defined]


@harmless
def effective(conf: Any, names: Iterable[str]) -> Dict[str, Any]:
    """Values in force for the settings that we derived, for /status: no URLs, no secrets, JSON types only."""
    shown: Dict[str, Any] = {}
    for name in sorted(set(names)):
        if "url" in name or name in _BROKER_LEFTOVERS or name == "result_backend" or _names_secret(name):
            continue
        value = conf.get(name)
        shown[name] = _plain(value)
    return shown


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return redactor.clean(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if not _secret(str(key))}
    if isinstance(value, (list, tuple)):
        items: List[Any] = [_plain(item) for item in value]
        return items
    return type(value).__name__


_SECRET_SETTINGS = ("password", "passwd", "secret", "token", "credential", "access_key")
"""In names of settings: redis_password, s3_secret_access_key, security_key_password, and what applications add."""


def _names_secret(name: str) -> bool:
    """Whether a setting says by its name that nobody else is to read it: everybody may read /status."""
    return any(word in name.lower() for word in _SECRET_SETTINGS)


def _secret(name: str) -> bool:
    """Whether a key within a setting may hold something secret: more of these do than of the settings themselves."""
    return _names_secret(name) or any(word in name.lower() for word in ("key", "ssl", "kwargs"))
