"""Deletes what a crash left behind."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import segments_tree

log = logging.getLogger(__name__)


async def sweep(blobs: BlobStore, trees: Sequence[str], keys: Sequence[str]) -> None:
    """Delete these trees and single blobs, and end deletions that were broken off; errors of the disk are logged."""
    try:
        await blobs.finish_deletions()
        for tree in trees:
            log.info("sweeping %s: nothing refers to it", tree)
            await blobs.delete_tree(tree)
        for key in keys:
            await blobs.delete(key)
    except OSError:
        log.exception("sweeping broke off; the next start goes on with it")


async def unknown_segments(catalog: Catalog, blobs: BlobStore, asset_id: str) -> set[str]:
    """The blobs of segments that were stored, and not committed when the service ended."""
    stored = await blobs.keys(segments_tree(asset_id))
    return set(stored) - await catalog.segment_blobs(asset_id)
