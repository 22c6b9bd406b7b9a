"""Starting, watching and ending the cluster's processes, by pid and start time, waiting for each to be gone."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.local.layout import LOGS, PROCESS_MARK
from tests.cluster.local.state import ProcessRecord, State

_PROC = Path("/proc")
_OPEN_FILES = 65536
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")


def start_time_of(pid: int) -> int | None:
    """Start time of a live process in ticks since boot; None when it is gone or only a zombie."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses and may hold blanks and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(record: ProcessRecord) -> bool:
    """Whether this very process lives; False for another one that got its pid."""
    return start_time_of(record.pid) == record.start_time


def start(
    state: State, name: str, command: Sequence[str | Path], *, network_namespace: str | None = None
) -> ProcessRecord:
    """Start a process in a session of its own with its output in the logs folder, and save its record at once."""
    words = [str(word) for word in command]
    # dash raises the limit of open files as far as it may and becomes the program: the pid stays.
    raising = f'n=$(ulimit -Hn); [ "$n" = unlimited ] || [ "$n" -gt {_OPEN_FILES} ] && n={_OPEN_FILES}; ulimit -n "$n"'
    words = ["/bin/sh", "-c", f'{raising}; exec "$0" "$@"', *words]
    if network_namespace:
        # Not `ip netns exec`: that would give the kubelet a mount namespace of its own, and volumes would not be seen.
        words = ["/usr/bin/nsenter", f"--net=/run/netns/{network_namespace}", *words]
    log = LOGS / f"{name.replace('/', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {key: value for key, value in os.environ.items() if key not in _PROXY_VARIABLES}
    env |= {PROCESS_MARK: name, "PATH": f"{env.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"}
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(words[0], words, env, file_actions=actions, setsid=True)
    started = start_time_of(pid)
    if started is None:
        raise ClusterError(f"{name} ended as soon as it was started; see {log}")
    record = ProcessRecord(name=name, pid=pid, start_time=started)
    state.processes.append(record)
    state.save()
    return record


def log_tail(name: str, lines: int = 12) -> str:
    """The last lines that a process wrote."""
    log = LOGS / f"{name.replace('/', '-')}.log"
    text = log.read_text(errors="replace") if log.exists() else ""
    return f"the last lines of {log}:\n" + "\n".join(text.splitlines()[-lines:])


def marked_processes() -> list[ProcessRecord]:
    """Every live process whose environment carries our mark: also shims, and what a killed `up` did not record."""
    found = []
    needle = f"{PROCESS_MARK}=".encode()
    for folder in _PROC.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            for variable in (folder / "environ").read_bytes().split(b"\0"):
                if variable.startswith(needle) and (started := start_time_of(int(folder.name))) is not None:
                    name = variable.removeprefix(needle).decode(errors="replace")
                    found.append(ProcessRecord(name=name, pid=int(folder.name), start_time=started))
    return found


def end(records: Iterable[ProcessRecord], *, grace_seconds: float = 0, timeout_seconds: float = 20) -> None:
    """End processes and wait until each is gone: SIGTERM and a grace when asked for, then SIGKILL.

    Raises ClusterError when one survives SIGKILL for `timeout_seconds` (it hangs in the kernel).
    """
    handles = [(record, handle) for record in records if (handle := _open(record)) is not None]
    try:
        if grace_seconds:
            _signal(handles, signal.SIGTERM)
            handles = _wait(handles, grace_seconds)
        _signal(handles, signal.SIGKILL)
        left = _wait(handles, timeout_seconds)
    finally:
        for _, handle in handles:
            with contextlib.suppress(OSError):
                os.close(handle)
    if left:
        names = ", ".join(f"{record.name} (pid {record.pid})" for record, _ in left)
        raise ClusterError(f"these processes survived SIGKILL for {timeout_seconds:.0f} s: {names}")


def _open(record: ProcessRecord) -> int | None:
    # The order matters: a pidfd that is opened before the check cannot mean another process afterwards.
    try:
        handle = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return None
    if is_alive(record):
        return handle
    os.close(handle)
    return None


def _signal(handles: Sequence[tuple[ProcessRecord, int]], number: int) -> None:
    for _, handle in handles:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)


def _wait(handles: Sequence[tuple[ProcessRecord, int]], seconds: float) -> list[tuple[ProcessRecord, int]]:
    deadline = time.monotonic() + seconds
    left = []
    for record, handle in handles:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(record.pid, os.WNOHANG)
            os.close(handle)
        else:
            left.append((record, handle))
    return left
