"""Loads the user's application in a guarded step, through the function that ``celery -A`` uses."""

from __future__ import annotations

import contextlib
import inspect
import traceback
from typing import Any, Iterator, Optional

from .failures import StartError

_COMMAND_LINE = ("click", "click_didyoumean", "click_plugins")
"""What ends a process that was asked for help, or does not take its options."""

_NOT_THE_USERS = (
    "celery",
    "kombu",
    "vine",
    "importlib",
    "_frozen_importlib",
    "contextlib",
    "celery_operator",
    "celery_operator_runtime",
)


def load(name: str) -> Any:
    """The Celery application ``name`` with its configuration read.

    Raises StartError AppNotFound (no such module, or no application in it), AppImportFailed (the module's own
    code failed) or ConfigInvalid (its settings cannot be read).
    """
    from celery import Celery
    from celery.app.utils import find_app

    module = name.partition(":")[0]
    with failures_of_import(name, module):
        app = find_app(name)
    if not isinstance(app, Celery):
        raise StartError("AppNotFound", _not_an_application(name, app), module=module)
    with failures_of_configuration(module):
        app.conf.finalize()  # type: ignore[attr-defined]
    return app


def _not_an_application(name: str, found: Any) -> str:
    attribute = name.partition(":")[2]
    if attribute and inspect.isroutine(found):
        # Celery's own command line calls no factory either.
        return "%s is a function; write `app = %s()` into the module and name that attribute" % (name, attribute)
    return "%s is a %s, not a Celery application; name the module or module:attribute that holds it" % (
        name,
        type(found).__name__,
    )


@contextlib.contextmanager
def failures_of_import(name: str, module: str) -> Iterator[None]:
    """Map what importing raises to a StartError; SystemExit too: it must not look like a clean end."""
    try:
        yield
    except StartError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(error.name + ".")) and not users_frame(error):
            raise StartError(
                "AppNotFound",
                "the application %s was not found: there is no module %s in the image; "
                "check spec.app, and spec.workingDir or PYTHONPATH" % (name, error.name),
                module=module,
            ) from error
        raise _import_failed(module, error) from error
    except AttributeError as error:
        if users_frame(error):
            raise _import_failed(module, error) from error
        raise StartError("AppNotFound", "%s holds no Celery application: %s" % (name, error), module=module) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(module, error) from error


@contextlib.contextmanager
def failures_of_configuration(module: str) -> Iterator[None]:
    """Map what reading the application's settings raises to StartError(ConfigInvalid)."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise StartError(
            "ConfigInvalid",
            "the settings of %s cannot be read: %s: %s" % (module, type(error).__name__, error),
            module=module,
        ) from error


def _import_failed(module: str, error: BaseException) -> StartError:
    return StartError(
        "AppImportFailed",
        "importing %s failed: %s: %s" % (module, type(error).__name__, error),
        module=_innermost(error, module) or module,
    )


def users_frame(error: BaseException) -> bool:
    """Whether code of the user's (neither Celery's, Python's import system's nor ours) ran on the way to ``error``."""
    return any(
        str(frame.f_globals.get("__name__", "")).partition(".")[0] not in _NOT_THE_USERS
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def ended_by_the_user(ended: SystemExit) -> bool:
    """Whether neither Celery, its command line nor this runtime called sys.exit, but what the application brings."""
    frames = [frame for frame, _ in traceback.walk_tb(ended.__traceback__)]
    last = str(frames[-1].f_globals.get("__name__", "")).partition(".")[0] if frames else "celery"
    return last not in (*_NOT_THE_USERS, *_COMMAND_LINE)


def _innermost(error: BaseException, module: str) -> Optional[str]:
    """The deepest module of the application's own package on the traceback: the one to look into."""
    package = module.partition(".")[0]
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] == package:
            found = name
    return found
