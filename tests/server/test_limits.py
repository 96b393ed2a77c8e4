"""The limit on open files is raised as far as the system lets us."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from media_service.server.limits import raise_descriptor_limit


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    yield soft, hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_soft_limit_becomes_the_hard_one(limits: tuple[int, int]) -> None:
    raise_descriptor_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (limits[1], limits[1])


def test_few_descriptors_are_worth_a_warning(
    limits: tuple[int, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("media_service.server.limits.COMFORTABLE_DESCRIPTORS", limits[1] + 1)
    raise_descriptor_limit()
    assert f"only {limits[1]} files" in caplog.text
