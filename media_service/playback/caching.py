"""What caches may keep of the things that `/media` serves, and for how long (RFC 9111 s5.2.2)."""

from __future__ import annotations

import hashlib

from media_service.timeline.outline import Outline

Headers = tuple[tuple[str, str], ...]

# What is addressed by content never changes: caches may keep it for a year.
IMMUTABLE: Headers = (("Cache-Control", "public, max-age=31536000, immutable"),)
# What may have changed is asked for again each time; the entity-tag makes that an answer without a body.
REVALIDATE: Headers = (("Cache-Control", "no-cache"),)
# What is named by nothing but its number could be another's tomorrow.
NO_STORE: Headers = (("Cache-Control", "no-store"),)


def versioned(outline: Outline, version: str | None) -> Headers:
    """For a piece of a film whose address names (or does not name) the version of the outline that it follows from."""
    return IMMUTABLE if version == outline.version else NO_STORE


def replaceable(there: str | None, version: str | None) -> Headers:
    """For what another one may take the place of, whole: the one `there` is, at an address that names `version` or none."""
    return IMMUTABLE if version is not None and version == there else REVALIDATE


def digest(data: bytes) -> str:
    """An entity-tag for bytes that are made in memory."""
    return hashlib.sha256(data).hexdigest()[:32]
