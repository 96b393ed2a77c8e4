"""What lies where in the blob store: the keys below an asset's tree."""

from __future__ import annotations


def original_key(asset_id: str) -> str:
    """The upload, byte for byte."""
    return f"{asset_id}/original"


def original_header_key(asset_id: str) -> str:
    """The re-written `moov` that is served in front of the upload's own bytes."""
    return f"{asset_id}/original-header"


def index_key(asset_id: str) -> str:
    """The packet-exact index of the upload (timeline.stored_index)."""
    return f"{asset_id}/index"


def poster_key(asset_id: str) -> str:
    """A JPEG that stands for the film."""
    return f"{asset_id}/poster"


def runs_tree(asset_id: str) -> str:
    """The tree of what transcoding made; deleted as a whole when a run starts afresh."""
    return f"{asset_id}/runs"


def classic_header_key(run_key: str) -> str:
    """The `moov` of the classic MP4 that is put together from a run's fragments."""
    return f"{run_key}.header"
