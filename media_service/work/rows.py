"""What a film's rows in the catalog mean: its facts, and its renditions before anything of them is made."""

from __future__ import annotations

import msgspec

from media_service.store.records import Asset, Rendition
from media_service.timeline.facts import Facts
from media_service.timeline.outline import Outline


def facts_of(asset: Asset) -> Facts:
    """What is known of the asset's original."""
    assert asset.facts is not None, "an asset is admitted with facts"
    return msgspec.json.decode(asset.facts, type=Facts)


def rows_of(asset_id: str, outline: Outline) -> list[Rendition]:
    """A row for each rendition of the outline, in its order. What is cut out of the original is there already."""
    return [
        Rendition(
            asset_id=asset_id,
            name=one.name,
            position=position,
            kind=one.kind,
            state="queued" if one.packaged is None else "ready",
            packaged=one.packaged is not None,
            width=one.width,
            height=one.height,
            frame_rate=one.frame_rate,
            channels=one.channels,
            language=one.language,
            label=one.label,
            codecs=one.codecs,
            bandwidth=one.bandwidth,
            average_bandwidth=one.average_bandwidth,
            segments=one.count,
            made_segments=0 if one.packaged is None else one.count,
            init=None if one.packaged is None else one.packaged.init,
        )
        for position, one in enumerate(outline.renditions)
    ]
