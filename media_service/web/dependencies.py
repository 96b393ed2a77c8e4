"""What handlers are given by name; `app` and `sender` provide it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from litestar.datastructures import State
from litestar.di import Provide
from litestar.params import Dependency

from media_service.store.blobs import BlobStore
from media_service.web.doors import access_of

# A Protocol: there is nothing to check an instance against.
Blobs = Annotated[BlobStore, Dependency(skip_validation=True)]


def provided(names: Iterable[str]) -> dict[str, Provide]:
    """For Litestar: those of an application's state by the same names, and what a request may have of its asset."""
    return {
        **{name: Provide(_from_state(name), sync_to_thread=False) for name in names},
        "access": Provide(access_of, sync_to_thread=False),
    }


def _from_state(name: str) -> Any:
    def provide(state: State) -> Any:
        return state[name]

    return provide
