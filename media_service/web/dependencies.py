"""What handlers are given by name; `app` provides it."""

from __future__ import annotations

from typing import Annotated

from litestar.params import Dependency

from media_service.store.blobs import BlobStore

# A Protocol: there is nothing to check an instance against.
Blobs = Annotated[BlobStore, Dependency(skip_validation=True)]
