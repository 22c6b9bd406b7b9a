"""Says why an application could not start: on stderr, in the container's termination message, by exit code 78.

The operator cannot read logs; the termination message is how it names the module that does not import.
No URL and no secret may pass through here.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from typing import Iterable, List, Optional

EXIT_CODE = 78
"""EX_CONFIG of sysexits.h: starting again will not help until somebody changes something."""

DEFAULT_LOG = "/dev/termination-log"
"""The kubelet's default terminationMessagePath."""

MESSAGE_LIMIT = 300

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://\S+")


class StartError(Exception):
    """The application cannot start; ``reason`` is one of the termination message's reasons."""

    def __init__(self, reason: str, message: str, module: Optional[str] = None, exception: Optional[str] = None):
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.module = module
        self.exception = exception


class Redactor:
    """Takes URLs and known secrets out of text. Secrets are added as soon as they are read."""

    def __init__(self) -> None:
        self._secrets: List[str] = []

    def add(self, secrets: Iterable[str]) -> None:
        """Remember strings that must never be printed."""
        known = set(self._secrets).union(secret for secret in secrets if secret)
        self._secrets = sorted(known, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """``text`` without URLs and secrets."""
        for secret in self._secrets:
            if len(secret) >= 4:
                text = text.replace(secret, "***")
            elif secret in text:
                # A password this short is part of every other word: masking it would spell it out.
                return "(hidden: the text contains a secret)"
        return _URL.sub("(URL hidden)", text)


redactor = Redactor()


def report(error: StartError, cause: Optional[BaseException] = None) -> int:
    """Print the reason and the cause's traceback, write the termination message; returns the exit code."""
    message = one_line(error.message)
    if cause is not None:
        lines = traceback.format_exception(type(cause), cause, cause.__traceback__)
        sys.stderr.write(redactor.clean("".join(lines)))
    sys.stderr.write("celery-operator: %s: %s\n" % (error.reason, message))
    sys.stderr.flush()
    exception = error.exception or (type(cause).__name__ if cause is not None else None)
    write_termination_message(
        {
            "celeryOperator": 1,
            "reason": error.reason,
            "exception": exception,
            "module": error.module,
            "message": message,
        }
    )
    return EXIT_CODE


def one_line(text: str) -> str:
    """``text`` redacted, on one line, at most 300 characters."""
    flat = " ".join(redactor.clean(text).split())
    return flat if len(flat) <= MESSAGE_LIMIT else flat[: MESSAGE_LIMIT - 1] + "…"


def write_termination_message(message: object) -> None:
    """Best effort: outside Kubernetes the file's folder may not exist or be writable."""
    path = os.environ.get("CELERY_OPERATOR_TERMINATION_LOG", DEFAULT_LOG)
    try:
        with open(path, "w", encoding="utf-8") as log:
            log.write(json.dumps(message) + "\n")
    except OSError:
        return
