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


def posters_tree(asset_id: str) -> str:
    """The tree of the posters: one, but for the moment in which another takes its place."""
    return f"{asset_id}/posters"


def poster_key(asset_id: str, version: str | None) -> str:
    """A JPEG that stands for the film. None: one from before posters could change."""
    return f"{asset_id}/poster" if version is None else f"{posters_tree(asset_id)}/{version}"


def previews_key(asset_id: str, version: str) -> str:
    """A pack of previews: its tiles, one after another (timeline.previews)."""
    return f"{previews_tree(asset_id)}/{version}"


def previews_tree(asset_id: str) -> str:
    """The tree of the packs, of which the catalog names one."""
    return f"{asset_id}/previews"


def clip_key(asset_id: str) -> str:
    """A few seconds of the film, small and silent (timeline.clips), as MP4."""
    return f"{asset_id}/clip"


def animation_key(asset_id: str) -> str:
    """The clip as an animated WebP."""
    return f"{asset_id}/animation"


def waveform_key(asset_id: str) -> str:
    """How loud the main sound is over the film's length, as JSON (timeline.waveforms)."""
    return f"{asset_id}/waveform"


def outline_key(asset_id: str) -> str:
    """What renditions the film has and where they are cut (timeline.outline)."""
    return f"{asset_id}/outline"


def segments_tree(asset_id: str) -> str:
    """The tree of what transcoding made."""
    return f"{asset_id}/segments"


def segment_key(asset_id: str, rendition: str, number: int, making: str) -> str:
    """One encoded segment. `making` is different each time that it is made: twins of it never meet in one file."""
    return f"{segments_tree(asset_id)}/{rendition}/{number}-{making}"


def classic_header_key(asset_id: str, rendition: str) -> str:
    """The `moov` of the classic MP4 that is put together from a rendition's segments."""
    return f"{asset_id}/classic/{rendition}"


def subtitles_key(asset_id: str, number: int) -> str:
    """A text subtitle track as WebVTT."""
    return f"{asset_id}/subtitles/{number}"


def first_version_tree(asset_id: str) -> str:
    """What the first version of the service made of an asset; nothing refers to it any more."""
    return f"{asset_id}/runs"
