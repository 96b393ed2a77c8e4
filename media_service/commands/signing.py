"""The keys of playback tokens, for commands that give addresses away."""

from __future__ import annotations

from media_service.server.token import SIGNING_KEY_FILE, TokenUnusable, signing_keys
from media_service.settings import Settings
from media_service.wire.signatures import read_keys


def signing_keys_of(settings: Settings) -> dict[str, bytes]:
    """The keys of playback tokens by their ids, the first of which signs.

    Raises TokenUnusable for a kept one that was spoilt: with an empty one nobody, or everybody, could sign."""
    try:
        found = read_keys(signing_keys(settings.signing_keys, settings.data_dir))
    except ValueError as error:
        raise TokenUnusable(f"{settings.data_dir / SIGNING_KEY_FILE}: {error}.") from None
    if not found:
        raise TokenUnusable(f"{settings.data_dir / SIGNING_KEY_FILE} is empty.")
    return found
