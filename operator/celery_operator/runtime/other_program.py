"""Another program than Celery with Celery's addresses in its environment: ``launch.py exec PROGRAM [ARGUMENTS]``.

For hooks such as a migration: the application's settings may read CELERY_BROKER_URL while they are imported, and only
the pod itself knows how to compose it.
"""

from __future__ import annotations

import os
from typing import List, NoReturn, Sequence

from . import environment
from .failures import StartError

COMMAND = "exec"
COMPONENT = "hook"


def replace_process(arguments: Sequence[str]) -> NoReturn:
    """Become the program. Raises StartError when it cannot be started, or when the settings cannot be read."""
    settings = environment.read(COMPONENT, os.environ)
    environment.publish(settings, os.environ)
    program: List[str] = list(arguments)
    if not program:
        raise StartError("ConfigInvalid", "there is no program to run; set the hook's command")
    try:
        os.execvp(program[0], program)  # noqa: S606 - what the CeleryCluster says, without a shell
    except OSError as error:
        raise StartError(
            "StartFailed", "%s cannot be started: %s; check the hook's command" % (program[0], error.strerror)
        ) from error
