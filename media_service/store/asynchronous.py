"""SQLAlchemy's asynchronous engine without its object-relational mapper, which nothing here uses.

`sqlalchemy.ext.asyncio` imports the mapper for its sessions: 6 MB and 60 ms of each process. The engine lies in a module of its
own that needs none of it. So the package is entered here without running it, until somebody asks it for something else.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from typing import Any

__all__ = ["AsyncConnection", "AsyncEngine", "create_async_engine"]

_PARENT, _NAME = "sqlalchemy.ext", "asyncio"
_PACKAGE = f"{_PARENT}.{_NAME}"


def _enter() -> None:
    """Put the package where it belongs, as it is before its first line runs."""
    spec = find_spec(_PACKAGE)  # imports the parent
    assert spec is not None
    assert spec.loader is not None
    loader, package = spec.loader, module_from_spec(spec)

    def run(name: str) -> Any:
        # What Python asks modules for, and before it imports one of a package: not what this one's __init__ has to offer.
        if name.startswith("__") or find_spec(f"{_PACKAGE}.{name}") is not None:
            raise AttributeError(name)
        del package.__getattr__
        loader.exec_module(package)
        return getattr(package, name)

    # Called for what the package does not have (PEP 562).
    package.__getattr__ = run  # type: ignore[method-assign]  # that is how a module gets one from outside
    sys.modules[_PACKAGE] = package
    setattr(sys.modules[_PARENT], _NAME, package)


if _PACKAGE not in sys.modules:
    _enter()

from sqlalchemy.ext.asyncio.engine import (  # noqa: E402 - not before
    AsyncConnection,
    AsyncEngine,
    create_async_engine,
)
