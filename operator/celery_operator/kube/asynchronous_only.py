"""Keeps the synchronous half of the official client out of the process: 9 MiB that nothing here ever calls.

`import kubernetes.aio` runs `kubernetes/__init__.py` first, which imports the synchronous client, and with it urllib3,
requests, OAuth and WebSocket libraries; kopf imports it as well, as one of the libraries whose objects it understands.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from typing import Final

_PACKAGES: Final = ("kubernetes", "kubernetes.aio")
"""Those whose own code does nothing but import all of their parts; the outer one first."""
_ABSENT: Final = "kubernetes.client"
"""What kopf asks for, and does without where it is not installed."""


def enforce() -> None:
    """To be called before anything of `kubernetes` or kopf is imported; later calls change nothing.

    The packages are there from then on without having run, so that a module of theirs is imported alone. An import of
    the synchronous client fails as if it were not installed.
    """
    for name in _PACKAGES:
        spec = None if name in sys.modules else find_spec(name)
        if spec is None:
            return
        package = sys.modules[name] = module_from_spec(spec)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, package)
    # None: Python's own word for a module that must not be imported.
    sys.modules[_ABSENT] = None  # type: ignore[assignment]
