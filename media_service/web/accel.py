"""Files that nginx sends by itself (`X-Accel-Redirect`): the service says who may have which, and no byte of it goes through it.

Only what is exactly one stored blob, whole or one range of it. Everything is judged here first, as for an answer of our own;
what nginx would judge once more, by validators of its own, is not left to it. And only where nginx says, on a connection that
is believed, that it has the files: docs/nginx.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial

from litestar.types import Scope

from media_service.store.blobs import checked_key
from media_service.wire.delivery import Delivery
from media_service.wire.forwarded import Networks, is_trusted
from media_service.wire.representation import BlobExtent, Cut

Header = tuple[bytes, bytes]

# What such an answer says to everybody but nginx, which looks for the redirect first, whatever the status: not an empty film
# that a browser or a cache would take for the whole.
NOT_FOLLOWED = 502

MAPPING = b"x-accel-mapping"
# nginx copies these three to what it sends, by itself, and would add them to the service's second answer too, where it could
# not read the file and asks again. Under these names they are what it is told to make of them, and are kept by no cache.
RENAMED = {
    b"accept-ranges": b"x-kept-accept-ranges",
    b"cache-control": b"x-kept-cache-control",
    b"content-disposition": b"x-kept-content-disposition",
}
# The others that nginx is told of in k8s/nginx.conf, beside those that web.headers adds to every answer.
_PASSED_ON = frozenset({b"access-control-expose-headers", b"content-type", b"etag", b"last-modified"})
_ITS_OWN = frozenset({b"content-length", b"content-range"})  # it has the file
_KNOWN = _PASSED_ON | _ITS_OWN | RENAMED.keys()

# Judged by nginx too, with the file's own times, or before it knows our entity-tag. (Of If-None-Match and If-Modified-Since
# only those come so far that are not met, and to those it says nothing.)
_JUDGED_TWICE = frozenset({b"if-match", b"if-range", b"if-unmodified-since"})
# Others can be read in more ways than one.
_PLAIN_RANGE = re.compile(rb"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})")
_PEERS = 64  # proxies whose address is looked up once


class Accel:
    """The files below `prefix` of an nginx that is one of the `trusted` proxies."""

    def __init__(self, prefix: str, trusted: Networks) -> None:
        self._prefix = prefix.encode("ascii")
        self._is_trusted = lru_cache(_PEERS)(partial(is_trusted, trusted=trusted))

    def redirected(
        self, scope: Scope, delivery: Delivery, headers: Sequence[Header], size_of: Callable[[str], int]
    ) -> list[Header] | None:
        """The headers that have nginx send `delivery`, with status NOT_FOLLOWED and no body; None: it is ours to send.

        `headers` are all that the delivery goes out with, but for those that every answer has (web.headers); `size_of` gives
        the bytes of a blob of it, which is open: one that is missing is no longer told to anybody.
        """
        if not self._asks(scope, partial=delivery.status == 206):
            return None
        blob = _one_blob(delivery)
        if blob is None or blob.start != 0 or size_of(blob.blob) != blob.stop:
            return None
        names = [name for name, _ in headers]
        if len(set(names)) != len(names) or not _KNOWN.issuperset(names):
            return None  # nothing that nginx would drop
        return [
            # Safe characters alone, no dot before a name: nothing to escape, and no way out of the directory.
            (b"x-accel-redirect", self._prefix + checked_key(blob.blob).encode("ascii")),
            (b"content-length", b"0"),
            *_told(headers, partial=delivery.status == 206),
        ]

    def _asks(self, scope: Scope, *, partial: bool) -> bool:
        """Whether nginx offers to send files, and has those that we mean, and would send what was planned."""
        found: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in _JUDGED_TWICE or (name in found and name in {MAPPING, b"range"}):
                return False
            found[name] = value
        if found.get(MAPPING) != self._prefix or (b"range" in found) != partial:
            return False
        if partial and not _PLAIN_RANGE.fullmatch(found[b"range"]):
            return False
        client = scope["client"]
        return client is not None and self._is_trusted(client[0])


def _one_blob(delivery: Delivery) -> BlobExtent | None:
    """The only extent of the representation that is delivered, whole or a range of it; None for HEAD, which has no parts."""
    if delivery.status not in {200, 206} or len(delivery.parts) != 1:
        return None
    (part,) = delivery.parts
    if not isinstance(part, Cut) or len(part.representation.extents) != 1:
        return None
    (extent,) = part.representation.extents
    return extent if isinstance(extent, BlobExtent) else None


def _told(headers: Iterable[Header], *, partial: bool) -> Iterable[Header]:
    for name, value in headers:
        # To a whole answer nginx adds Accept-Ranges by itself, to a part of it not.
        if name not in _ITS_OWN and (name != b"accept-ranges" or partial):
            yield RENAMED.get(name, name), value
