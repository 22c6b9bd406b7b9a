"""The command line of ``celery`` inside this process, made from the container's arguments."""

from __future__ import annotations

import contextlib
import importlib
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any, List, Mapping, Sequence, Tuple

from .failures import StartError
from .guard import harmless

COMPONENTS = ("worker", "beat", "flower")


@dataclass(frozen=True)
class Command:
    """``celery -A <application> <component> <options>``"""

    component: str
    application: str
    options: Tuple[str, ...]

    def argv(self, extra: Sequence[str] = ()) -> List[str]:
        """sys.argv for Celery's main: ours before the user's, so that the user's last word wins."""
        return ["celery", "-A", self.application, self.component, *extra, *self.options]


def parse(arguments: Sequence[str]) -> Command:
    """``worker -A APP …`` as the operator writes it. Raises StartError(ConfigInvalid)."""
    if not arguments or arguments[0] not in COMPONENTS:
        raise StartError("ConfigInvalid", "usage: launch.py worker|beat|flower -A APP [Celery's options]")
    rest = list(arguments[1:])
    for index, word in enumerate(rest):
        if word in ("-A", "--app") and index + 1 < len(rest):
            return Command(arguments[0], rest[index + 1], tuple(rest[:index] + rest[index + 2 :]))
        if word.startswith("--app="):
            return Command(arguments[0], word[len("--app=") :], tuple(rest[:index] + rest[index + 1 :]))
    raise StartError("ConfigInvalid", "the option -A APP is missing")


def option(options: Sequence[str], *names: str) -> str:
    """The value of the last option with one of ``names``, as Celery would take it; empty when absent."""
    found = ""
    for index, word in enumerate(options):
        for name in names:
            if word == name and index + 1 < len(options):
                found = options[index + 1]
            elif name.startswith("--") and word.startswith(name + "="):
                found = word[len(name) + 1 :]
            elif not name.startswith("--") and word.startswith(name) and len(word) > len(name):
                found = word[len(name) :].lstrip("=")
    return found


_SHELL = "click_repl"
"""The package behind ``celery amqp repl``, for people at a terminal."""

_USES_SHELL = "celery.bin.amqp"
"""The module of Celery that imports it whatever the command is: prompt_toolkit comes with it, 60 ms of CPU a worker."""


def program() -> Any:
    """The module celery.bin.celery, imported without the shell of ``celery amqp``.

    Only while that one module of Celery's is imported something else stands for the shell: an application, and a plugin
    of Celery's command line, that imports click_repl gets the real one.
    """
    if _SHELL not in sys.modules and _USES_SHELL not in sys.modules:
        for needed in ("amqp", "celery.bin.base"):
            importlib.import_module(needed)  # before, so that no other code runs meanwhile
        stand_in: Any = ModuleType(_SHELL)
        stand_in.register_repl = _no_shell
        sys.modules[_SHELL] = stand_in
        # Should a newer Celery want more of the shell than that, celery.bin.celery tries again with the real one.
        with contextlib.suppress(ImportError, AttributeError):
            importlib.import_module(_USES_SHELL)
        del sys.modules[_SHELL]
    return importlib.import_module("celery.bin.celery")


def _no_shell(*_: Any, **__: Any) -> None:
    """In place of click_repl.register_repl, which adds a command to ``celery amqp``."""


OWNED_GLOBALS = ("app", "broker", "result_backend", "loader", "config", "workdir")
"""Options of ``celery`` whose variables are anybody's: BROKER_URL, APP, WORKDIR … The application is loaded already."""

HARMLESS = ("NO_COLOR",)
"""A convention of all programs."""

OWNED = ("hostname", "queues", "exclude_queues", "pool", "concurrency", "detach", "pidfile", "uid", "gid", "beat",
         "purge", "without_mingle", "without_gossip")  # fmt: skip
"""Options that have a field in the CeleryCluster, or would break a container."""


def ignore_variables(command: Any, component: str) -> None:
    """Stop Celery's CLI from reading variables in place of what the operator says: BROKER_URL, CELERY_WORKER_POOL …"""
    for parameter in command.params:
        if parameter.name in OWNED_GLOBALS:
            _ignore(parameter)
    for parameter in command.commands[component].params:
        if parameter.name in OWNED:
            _ignore(parameter)


def _ignore(parameter: Any) -> None:
    parameter.envvar = None
    parameter.allow_from_autoenv = False


@harmless
def variables_that_are_read(component: str, environ: Mapping[str, str]) -> List[str]:
    """Warnings about variables that Celery's CLI takes as options, beside those that are ignored."""
    command = program().celery
    warnings: List[str] = []
    for parameter, prefix, owned in (
        *((found, "CELERY", OWNED_GLOBALS) for found in command.params),
        *((found, "CELERY_" + component.upper(), OWNED) for found in command.commands[component].params),
    ):
        if parameter.name in owned:
            continue
        warnings.extend(
            "the environment variable %s sets Celery's %s; say it in the CeleryCluster, or rename the variable"
            % (variable, parameter.opts[-1])
            for variable in _variables(parameter, prefix)
            if environ.get(variable)
        )
    return warnings


def _variables(parameter: Any, prefix: str) -> List[str]:
    """Variables that click reads for one option, by its own rules."""
    explicit = parameter.envvar or []
    names = [explicit] if isinstance(explicit, str) else list(explicit)
    if getattr(parameter, "allow_from_autoenv", False) and parameter.name:
        names.append("%s_%s" % (prefix, parameter.name.upper().replace("-", "_")))
    return [name for name in names if name not in HARMLESS]


def shown_usage_errors() -> List[Any]:
    """A list that gets every usage error that click prints from now on: it ends the process without its cause."""
    from click.exceptions import NoSuchOption, UsageError

    shown: List[Any] = []
    _remember(UsageError, shown)
    # Celery has given this one a method of its own.
    _remember(NoSuchOption, shown)
    return shown


def _remember(kind: Any, shown: List[Any]) -> None:
    original = kind.show

    def show(self: Any, *args: Any, **kwargs: Any) -> None:
        shown.append(self)
        original(self, *args, **kwargs)

    kind.show = show
