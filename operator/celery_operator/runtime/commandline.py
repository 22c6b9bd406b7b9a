"""The command line of ``celery`` inside this process, made from the container's arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Sequence, Tuple

from .failures import StartError

COMPONENTS = ("worker", "beat")


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
        raise StartError("ConfigInvalid", "usage: launch.py worker|beat -A APP [Celery's options]")
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


def ignore_unprefixed_variables(command: Any, names: Sequence[str]) -> None:
    """Stop Celery's CLI from reading BROKER_URL or RESULT_BACKEND: applications have such variables of their own,
    and the CLI would put their value in place of the operator's URL."""
    for parameter in command.params:
        if parameter.name in names:
            parameter.envvar = None
            parameter.allow_from_autoenv = False


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
