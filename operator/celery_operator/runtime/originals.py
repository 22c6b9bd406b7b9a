"""The operating system's own threads and sockets, taken before gevent or eventlet replace them.

Imported first of all. Under a green pool a patched thread is a greenlet and answers nothing while a task burns
CPU; these primitives keep the probe thread a real thread. ``_socket`` is the C module below ``socket``: its
``accept`` does not build sockets through the patched module.
"""

from __future__ import annotations

import _socket
from _thread import allocate_lock, get_ident, start_new_thread

__all__ = ("Socket", "allocate_lock", "get_ident", "socket_module", "start_new_thread")

Socket = _socket.socket
socket_module = _socket
