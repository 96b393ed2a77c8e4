"""Instants as the catalog keeps them."""

from __future__ import annotations

from time import time


def now_ms() -> int:
    """Unix milliseconds."""
    return int(time() * 1000)
