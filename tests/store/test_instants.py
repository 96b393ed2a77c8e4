"""Instants: whole milliseconds since 1970."""

from __future__ import annotations

import pytest

from media_service.store import instants


def test_now_is_told_in_whole_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instants, "time", lambda: 1_700_000_000.2349)
    assert instants.now_ms() == 1_700_000_000_234
