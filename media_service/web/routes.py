"""All that can be asked for."""

from __future__ import annotations

from media_service.web import (
    asset_details,
    assets,
    clips,
    events,
    exports,
    keys,
    media,
    operations,
    pages,
    panel,
    playback_tokens,
    previews,
    stills,
    transform,
    uploads,
    webhooks,
)

HANDLERS = [
    *asset_details.HANDLERS,
    *assets.HANDLERS,
    *clips.HANDLERS,
    *events.HANDLERS,
    *exports.HANDLERS,
    *keys.HANDLERS,
    *media.HANDLERS,
    *operations.HANDLERS,
    *pages.HANDLERS,
    *panel.HANDLERS,
    *playback_tokens.HANDLERS,
    *previews.HANDLERS,
    *stills.HANDLERS,
    *transform.HANDLERS,
    *uploads.HANDLERS,
    *webhooks.HANDLERS,
]
