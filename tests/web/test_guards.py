"""Every route declares what it needs; the table in docs/security.md says the same."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from media_service.settings import Settings
from media_service.web.guards import Needs, public

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "security.md"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    """The application, not started: its routes are all there."""
    with warnings.catch_warnings():
        # Litestar 2.23 began to announce what 3.0 will want of handlers; the service's own log does not show it either.
        warnings.simplefilter("ignore", DeprecationWarning)
        from media_service.app import create_app  # noqa: PLC0415 - see above

        return create_app(
            Settings(data_dir=tmp_path_factory.mktemp("app")),
            admin_token="token",
            signing_keys={"k1": bytes(32)},
        )


def handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Method, path and handler of everything that can be asked for."""
    for route in app.routes:
        assert isinstance(route, HTTPRoute), f"{route.path}: what are websockets and mounts guarded by?"
        for handler in route.route_handlers:
            for method in handler.http_methods:
                yield str(method), route.path_format, handler


def declared(handler: HTTPRouteHandler) -> list[object]:
    """The guards that say what the handler needs, of all layers."""
    found = (guard for layer in handler.ownership_layers for guard in layer.guards or ())
    return [guard for guard in found if isinstance(guard, Needs) or guard is public]


def is_the_frameworks(method: str, handler: HTTPRouteHandler) -> bool:
    """Litestar's own answer to OPTIONS where a path has none: the methods, and nothing else."""
    return method == "OPTIONS" and handler.fn.__module__ == "litestar.routes.http"


def test_every_route_declares_what_it_needs_once(app: Litestar) -> None:
    seen = 0
    for method, path, handler in handlers(app):
        if is_the_frameworks(method, handler):
            continue
        assert len(declared(handler)) == 1, f"{method} {path} declares {declared(handler)}"
        seen += 1
    assert seen > 40


def test_whatever_lies_below_api_needs_a_scope_and_little_else_does(app: Litestar) -> None:
    for method, path, handler in handlers(app):
        guarded = any(isinstance(guard, Needs) for guard in declared(handler))
        expected = path.startswith("/api/") and method != "OPTIONS"
        assert guarded == (expected or (method, path) == ("DELETE", "/admin/session")), f"{method} {path}"


def test_the_document_says_what_each_scope_opens(app: Litestar) -> None:
    rows = re.findall(r"^\| `(read|upload|transform|manage)` \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)
    documented = {(scope, route) for scope, text in rows for route in re.findall(r"`([A-Z]+ [^`]+)`", text)}
    ours = {
        (guard.scope, f"{method} {path}")
        for method, path, handler in handlers(app)
        for guard in declared(handler)
        if isinstance(guard, Needs) and method != "HEAD"
    }
    assert documented == ours
