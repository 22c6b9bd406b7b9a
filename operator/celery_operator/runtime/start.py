"""Composes the runtime: settings, versions, the user's application, hooks; then Celery in this very process."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Any, List, Mapping, NoReturn, Optional, Sequence

from . import (
    application,
    cgroup,
    commandline,
    configuration,
    declared_queues,
    environment,
    failures,
    flower,
    layering,
    other_program,
    process_tree,
    table,
    tls,
    versions,
)
from .broker_stack import main_thread
from .deadline import Deadline
from .environment import Settings
from .failures import StartError
from .probe_server import Command, ProbeServer
from .setting_names import canonical_all
from .shutdown import Shutdown
from .versions import Installed

assert main_thread

logger = logging.getLogger("celery.operator")

USAGE = 2
"""click's exit code for a command line that it cannot read."""


def main(arguments: Sequence[str]) -> NoReturn:
    """Run ``celery worker``, ``celery beat`` or ``celery flower``; ends the process with Celery's exit code, or 78."""
    try:
        if list(arguments[:1]) == [other_program.COMMAND]:
            other_program.replace_process(arguments[1:])
        runtime = prepare(arguments)
    except StartError as error:
        sys.exit(failures.report(error, error.__cause__))
    except Exception as error:  # noqa: BLE001 - nothing runs yet; a traceback could show a secret, a report cannot
        unexpected = StartError("StartFailed", "%s: %s" % (type(error).__name__, error))
        sys.exit(failures.report(unexpected, error))
    sys.exit(run(runtime))


class Runtime:
    """What ``prepare`` made: the command and the module that started it, for telling failures."""

    def __init__(self, command: commandline.Command, app: Any, state: Any) -> None:
        self.command = command
        self.app = app
        self.state = state

    @property
    def serving(self) -> bool:
        """Whether Celery got as far as running: what fails after that is Celery's to tell."""
        started = getattr(self.state, "pool_started", None) or getattr(self.state, "set_up", None)
        return started is not None


def prepare(arguments: Sequence[str]) -> Runtime:
    """Everything up to running Celery. Raises StartError."""
    command = commandline.parse(arguments)
    settings = environment.read(command.component, os.environ)
    environment.publish(settings, os.environ)
    sys.argv = command.argv()
    found = versions.installed()
    versions.check_celery(found)
    celery = _import_celery()
    _patch_for_green_pools(celery)
    versions.check_broker(found, settings.broker_url)
    declared_queues.check(found, settings.broker_url, settings.queues)
    choice = table.choose(found, settings)
    layers = layering.layers(settings, choice)
    tls.keep_server_names()
    configuration.install(layers)
    app = application.load(command.application)
    state, extra = _hooks(app, settings, found, command)
    secret = canonical_all(settings.secrets.config)
    names = [name for name in (*layers.forced, *layers.defaults, *layers.merged) if name not in secret]
    state.effective = configuration.effective(app.conf, names) or {}
    for warning in _warnings(command, layers):
        state.warnings.append(warning)
        logger.warning("celery-operator: %s", warning)
    sys.argv = command.argv([*choice.flags, *_concurrency(settings), *extra])
    return Runtime(command, app, state)


def _concurrency(settings: Settings) -> List[str]:
    if settings.component != "worker" or settings.concurrency != "auto":
        return []
    return ["-c", str(cgroup.concurrency(settings.cpu_request))]


def _warnings(command: commandline.Command, layers: configuration.Layers) -> List[str]:
    """What the user should know and nothing can repair."""
    return [
        *(process_tree.warnings() or ()),
        *(commandline.variables_that_are_read(command.component, os.environ) or ()),
        *layers.overridden,
    ]


def run(runtime: Runtime) -> int:
    """Celery's main, in this process. Failures before the worker or beat runs get a termination message."""
    program = commandline.program()
    commandline.ignore_variables(program.celery, runtime.command.component)
    shown = commandline.shown_usage_errors()
    try:
        return int(program.main() or 0)
    except StartError as error:
        return failures.report(error, error.__cause__)
    except SystemExit as ended:
        if runtime.serving:
            raise
        if application.ended_by_the_user(ended):
            return failures.report(_start_failed(runtime, ended), ended)
        if ended.code != USAGE:
            raise
        return failures.report(_usage(runtime, shown))
    except Exception as error:
        if runtime.serving:
            raise
        return failures.report(_start_failed(runtime, error), error)


def _usage(runtime: Runtime, shown: Sequence[Any]) -> StartError:
    """What click printed before it ended the process."""
    return StartError(
        "ConfigInvalid",
        "celery %s does not take its options: %s; check extraArgs"
        % (runtime.command.component, shown[-1].format_message() if shown else "see the log"),
        exception=type(shown[-1]).__name__ if shown else None,
    )


def _start_failed(runtime: Runtime, error: BaseException) -> StartError:
    module = runtime.command.application.partition(":")[0]
    reason = "AppImportFailed" if isinstance(error, (ImportError, SystemExit)) else "StartFailed"
    return StartError(
        reason, "%s did not start: %s: %s" % (runtime.command.component, type(error).__name__, error), module=module
    )


def _import_celery() -> Any:
    try:
        return importlib.import_module("celery")
    except ModuleNotFoundError as error:
        if error.name != "celery":
            raise StartError("UnsupportedVersion", "celery cannot be imported: %s" % error) from error
        raise StartError(
            "CeleryMissing",
            "there is no Celery in the image for %s; install it, or set spec.command to the Python that has it"
            % sys.executable,
            exception="ModuleNotFoundError",
        ) from error


def _patch_for_green_pools(celery: Any) -> None:
    """What celery's own main does first: gevent and eventlet must patch before anything else is imported."""
    try:
        celery.maybe_patch_concurrency()
        importlib.import_module("kombu.connection")
    except ImportError as error:
        raise StartError(
            "StartFailed" if error.name in ("gevent", "eventlet", "greenlet") else "UnsupportedVersion",
            "Celery cannot start: %s; the pool gevent or eventlet needs the package of that name, "
            "and kombu must be of the same time as celery" % error,
        ) from error


def _hooks(app: Any, settings: Settings, found: Installed, command: commandline.Command) -> Any:
    """The component's state and the options that its hooks need on the command line."""
    if command.component == "worker":
        return _worker_hooks(app, settings, found, command), []
    if command.component == "flower":
        return flower.prepare(settings, found), []
    return _beat_hooks(app, settings, found)


def _worker_hooks(app: Any, settings: Settings, found: Installed, command: commandline.Command) -> Any:
    from . import (
        child_settings,
        delivery,
        forks,
        handed_over,
        kombu_repairs,
        lone_failures,
        lost_children,
        prompt_answers,
        worker_steps,
    )
    from .drain import Drain
    from .worker_state import WorkerState

    kombu_repairs.install()
    lost_children.install()
    lone_failures.install(settings.pool)
    prompt_answers.install()
    if settings.pool == "prefork":
        handed_over.install()
        child_settings.install(app, settings, found)
    state = WorkerState(settings, found, commandline.option(command.options, "-n", "--hostname"))
    deadline = Deadline(settings.grace_period_seconds, settings.pod_uid)
    drain = Drain(settings.pod_uid, state)
    commands: Mapping[str, Command] = {"/deadline": deadline.command, "/drain": drain.command}
    # First: a worker that says it is ready has warned already.
    delivery.install(app, state, command.options)
    worker_steps.install(app, state, _server(settings, state, commands), drain)
    state.sections["deadlineSeconds"] = deadline.shown
    Shutdown(settings, found, deadline, state.would_be_alive).install()
    process_tree.protect_children()
    forks.install()
    return state


def _beat_hooks(app: Any, settings: Settings, found: Installed) -> Any:
    from . import beat_news, beat_scheduler, beat_scheduler_class
    from .beat_state import BeatState

    state = BeatState(settings, found)
    server = _server(settings, state, {beat_news.PATH: state.news.command})
    builder = beat_scheduler.install(app, state, server)
    beat_scheduler_class.builders.append(builder)
    option: List[str] = ["-S", "%s:%s" % (beat_scheduler_class.__name__, beat_scheduler_class.NAME)]
    return state, option


def _server(settings: Settings, state: Any, commands: Optional[Mapping[str, Command]] = None) -> ProbeServer:
    answers = {"/livez": state.livez, "/readyz": state.readyz, "/startupz": state.startupz}
    server = ProbeServer(answers, state.status, commands)
    if settings.probe_port is not None:
        server.bind(settings.probe_port)
    return server
