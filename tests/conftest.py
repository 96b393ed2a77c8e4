"""Fixtures of all tests: nothing may leak; one service, with nginx in front of it, for the many tests that read or add.

A test that needs settings of its own, a restart or a kill starts its own with `running_server(tmp_path, ...)`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import uvloop

from tests.support.films import Films
from tests.support.leaks import leaves_nothing_behind, pytest_runtest_call
from tests.support.nginx import Nginx, running_nginx
from tests.support.processes import adopt_orphans
from tests.support.server import Server, running_server

__all__ = ["leaves_nothing_behind", "pytest_runtest_call"]  # pytest finds fixtures and hooks here by name


def pytest_configure() -> None:
    """Make what leaks visible, and what is no leak not look like one."""
    adopt_orphans()  # a process whose parent died becomes ours: what a killed service leaves behind is seen
    uvloop.new_event_loop().close()  # libuv opens a pipe at its first use and keeps it as long as the process lives


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    """Small films by description, each made once."""
    return Films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that many tests share: add to it, read from it, but do not count on an empty catalog or stop it."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def nginx(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx with k8s/nginx.conf in front of `server`."""
    with running_nginx(tmp_path_factory.mktemp("nginx"), server.port) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the ends of the logs of the shared service and nginx with a test that failed while using them."""
    report: pytest.TestReport = yield  # type: ignore[assignment] # what a wrapper is sent is not in its type
    if report.failed and isinstance(item, pytest.Function):
        if isinstance(shared := item.funcargs.get("server"), Server):
            report.sections.append(("log of the service", shared.log_text()))
        if isinstance(proxy := item.funcargs.get("nginx"), Nginx):
            report.sections.append(("error log of nginx", proxy.error_log()[-4000:]))
    return report  # type: ignore[return-value] # likewise
