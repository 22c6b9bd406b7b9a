"""Version 2 of the application: version 1 with a task more."""

from __future__ import annotations

from orders import app, work  # type: ignore[import-not-found]

__all__ = ("app", "work")


@app.task(name="orders.pack", bind=True)  # type: ignore[untyped-decorator, unused-ignore]
def pack(self: object, number: int, seconds: float) -> None:
    """Known to version 2 alone."""
    work(number, seconds)
