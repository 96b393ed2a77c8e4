"""What somebody may have of a film: by a playback token, or because everybody may."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from media_service.errors import OutsideWindow, PlaybackDenied
from media_service.playback.caching import IMMUTABLE, Headers
from media_service.store.records import Asset, Visibility
from media_service.timeline.excerpt import ending, is_taller, no_taller, starts
from media_service.timeline.outline import Outline, OutlineRendition
from media_service.wire.signatures import PlaybackToken

YEAR_SECONDS = 31_536_000


@dataclass(frozen=True, slots=True)
class Access:
    """The right of one request. `token` was verified for the asset that is asked for; `default` is what PLAYBACK says.

    Everything that opens a part of a film asks `admit` and those of the others that are about this part. They raise
    PlaybackDenied or OutsideWindow.
    """

    default: Visibility
    token: PlaybackToken | None = None

    def admit(self, visibility: Visibility | None) -> None:
        """To an asset of that visibility."""
        if self.token is None and (visibility or self.default) == "signed":
            raise PlaybackDenied("This is played at /t/{token}/media/{id}/... only.")

    @property
    def has_whole(self) -> bool:
        """Whether files are allowed that have the whole film in them."""
        return self.token is None or self.token.window is None

    def whole(self) -> None:
        """To a file that has the whole film in it."""
        if not self.has_whole:
            raise OutsideWindow("The token is for a part of the film, and this is all of it.")

    def has_picture(self, width: int | None, height: int | None) -> bool:
        """Whether a picture of that size (pixels) is allowed. None for both: there is no picture."""
        if self._max_height is None or (width is None and height is None):
            return True
        return width is not None and height is not None and min(width, height) <= self._max_height

    def picture(self, width: int | None, height: int | None) -> None:
        """To a picture of that size (pixels)."""
        if not self.has_picture(width, height):
            raise self._too_tall()

    def original(self, asset: Asset) -> None:
        """To the file as it was uploaded."""
        self.whole()
        self.admit(asset.visibility)
        self.picture(asset.width, asset.height)

    def rendition(self, one: OutlineRendition) -> None:
        """To a rendition at all."""
        if self._max_height is not None and is_taller(one, self._max_height):
            raise self._too_tall()

    def segment(self, outline: Outline, one: OutlineRendition, number: int) -> None:
        """To a segment of it."""
        self.rendition(one)
        if self.token is None or self.token.window is None:
            return
        begin, end = self.token.window
        if not (
            starts(outline, one, number) * 1000 < end and starts(outline, one, number + 1) * 1000 > begin
        ):
            raise OutsideWindow(f"Segment {number} is not in the part of the film that the token is for.")

    def shows(self, begin: Fraction, stop: Fraction) -> bool:
        """Whether some of [begin, stop), in seconds of the film, lies in the part that may be seen."""
        if self.token is None or self.token.window is None:
            return True
        first, last = self.token.window
        return begin * 1000 < last and stop * 1000 > first

    def still(self, begin: Fraction, stop: Fraction) -> None:
        """To a frame that is on the screen from `begin` until `stop`, in seconds of the film."""
        if not self.shows(begin, stop):
            raise OutsideWindow("This frame is not in the part of the film that the token is for.")

    @property
    def short_side(self) -> int | None:
        """How many pixels the short side of a picture may have at most; None: any."""
        return self._max_height

    def tracks(self, outline: Outline) -> Outline:
        """What there is to choose from: a film's outline for its master playlist and manifest."""
        # Cut before any is dropped: all pictures end alike, and the main one's clock says where.
        seen = self.length(outline)
        if self._max_height is not None and not (seen := no_taller(seen, self._max_height)).renditions:
            raise self._too_tall()
        return seen

    def length(self, outline: Outline) -> Outline:
        """As much of it as playlists list: up to the end of the window."""
        if self.token is None or self.token.window is None:
            return outline
        cut = ending(outline, Fraction(self.token.window[1], 1000))
        if not cut.renditions:
            raise OutsideWindow("Nothing of this film is in the part that the token is for.")
        return cut

    @property
    def begins_at(self) -> int:
        """Where players are to begin: milliseconds of the film."""
        return 0 if self.token is None or self.token.window is None else self.token.window[0]

    @property
    def view(self) -> str:
        """Names what `tracks` and `length` make of an outline."""
        window = None if self.token is None else self.token.window
        return f"{self._max_height} {window}"

    def headers(self, headers: Headers, now: float) -> Headers:
        """The headers of an answer. What a cache may keep, it may keep until the token expires and no longer."""
        if self.token is None or headers != IMMUTABLE:
            return headers
        seconds = max(0, min(YEAR_SECONDS, self.token.expires_at - int(now)))
        return (("Cache-Control", f"public, max-age={seconds}, immutable"),)

    @property
    def _max_height(self) -> int | None:
        return None if self.token is None else self.token.max_height

    def _too_tall(self) -> PlaybackDenied:
        return PlaybackDenied(
            f"The token is for pictures of up to {self._max_height} pixels on the short side."
        )
