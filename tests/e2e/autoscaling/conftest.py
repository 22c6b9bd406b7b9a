"""The second image, which the delivery suite builds."""

from __future__ import annotations

from tests.e2e.delivery.conftest import next_image

__all__ = ["next_image"]
