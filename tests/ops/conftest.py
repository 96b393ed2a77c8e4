"""nginx with the configuration that is shipped, in front of a server that notes what reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nginx import Nginx, running_nginx
from tests.support.upstream import Upstream, running_upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture
def proxy(upstream: Upstream, tmp_path: Path) -> Iterator[Nginx]:
    with running_nginx(tmp_path / "nginx", upstream.port) as running:
        yield running
